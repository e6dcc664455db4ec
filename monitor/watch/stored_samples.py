"""What only whole rows tell of a running monitor: one temperature for classes, and corroboration.

Guarantees: of each model version by itself, from its sample of labelled predictions; the same
figures as from files with the same rows. Must never: write, or pool versions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import combinations, groupby
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.recalibration.class_temperature import ClassTemperature, class_temperature
from monitor.watch.corroboration import Agreement, agreement, agreement_words
from monitor.watch.temperatures import fitted_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from monitor.store.labelled_samples import LabelledSampleStore, SampledPrediction

_CLASS, _SOURCE = "class:", "confidence:"


@dataclass(frozen=True, slots=True)
class SampleFindings:
    """What the sampled predictions of one model version say, of prediction days since to until.

    rows: predictions with a label. temperature: None but for several classes; agreements: of every
    pair of sources.
    """

    model: str
    version: str
    rows: int
    since: date
    until: date
    temperature: ClassTemperature | None
    agreements: tuple[Agreement, ...]


def sample_findings(store: LabelledSampleStore, model: str) -> list[SampleFindings]:
    """Of every version of a model that has a sample with labels."""
    found = []
    for version, drawn in groupby(store.drawn(model), key=lambda one: one.version):
        answered = [one for one in drawn if any(y is not None for _, y in one.claims.values())]
        if answered:
            days = [one.predicted_on for one in answered]
            found.append(
                SampleFindings(
                    model,
                    version,
                    len(answered),
                    min(days),
                    max(days),
                    _temperature(answered),
                    tuple(_agreements(model, answered)),
                )
            )
    return found


def findings_json(found: Sequence[SampleFindings]) -> dict[str, object]:
    """The keys `temperatures` and `corroboration`, as `calmon report --json` has them of files."""
    temperatures, corroboration = [], []
    for one in found:
        of_sample = {"model": one.model, "version": one.version}
        span = {"since": one.since.isoformat(), "until": one.until.isoformat()}
        if one.temperature is not None:
            temperatures.append(of_sample | asdict(one.temperature) | span)
        corroboration += [of_sample | each.as_json() | span for each in one.agreements]
    return {"temperatures": temperatures, "corroboration": corroboration}


def findings_words(found: Sequence[SampleFindings]) -> list[str]:
    """Sentences for people."""
    lines = []
    for one in found:
        name = f"{one.model} {one.version}"
        if one.temperature is not None:
            lines.append(f"{name}: {fitted_words(one.temperature)}")
        lines += [f"{name}: {agreement_words(each)}" for each in one.agreements]
        if one.temperature is not None or one.agreements:
            lines.append(
                f"{name}: from a uniform sample of {one.rows:,} labelled predictions of "
                f"{one.since} to {one.until}."
            )
    return lines


def _temperature(drawn: Sequence[SampledPrediction]) -> ClassTemperature | None:
    """Fitted to the predictions that state all classes, as most of them do."""
    stated = Counter(tuple(sorted(_names(one, _CLASS))) for one in drawn)
    names = stated.most_common(1)[0][0]
    if not names:
        return None
    rows = [[one.claims[name] for name in names] for one in drawn if {*names} <= one.claims.keys()]
    labelled = [row for row in rows if sum(y or 0 for _, y in row) == 1]
    return class_temperature(
        np.array([[score for score, _ in row] for row in labelled]).reshape(-1, len(names)),
        np.array([[y for _, y in row].index(1) for row in labelled], dtype=np.intp),
    )


def _agreements(model: str, drawn: Sequence[SampledPrediction]) -> list[Agreement]:
    names = sorted({name for one in drawn for name in _names(one, _SOURCE)})
    found = []
    for pair in combinations(names, 2):
        both = [
            [one.claims[name] for name in pair] for one in drawn if {*pair} <= one.claims.keys()
        ]
        labelled = [row for row in both if row[0][1] is not None]
        scores: NDArray[np.float64] = np.array([[p for p, _ in row] for row in labelled])
        right = np.array([row[0][1] == 1 for row in labelled], dtype=np.bool_)
        source, other = (name.removeprefix(_SOURCE) for name in pair)
        found.append(agreement(model, source, other, list(scores.reshape(-1, 2).T), right))
    return found


def _names(one: SampledPrediction, prefix: str) -> list[str]:
    return [name for name in one.claims if name.startswith(prefix)]
