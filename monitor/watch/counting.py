"""Events of files as columns, and what they come to: counts, reports and advice, without a server.

Guarantees: the join and the counts are the worker's own, under the policies' panes and horizons.
Must never: judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import Series
from monitor.core.counting.join import JoinIndex
from monitor.core.counting.losses import LossCells
from monitor.core.delay.delay_advice import LabelAdvice, label_advice
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.kinds import salt
from monitor.core.report.reports import series_report
from monitor.watch.claimed import NamedSeries, claimed_by
from monitor.watch.cohorts import label_claims, members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.counting.delay_cells import DelayCells
    from monitor.core.panes import Cells
    from monitor.core.policies import Policy
    from monitor.core.report.reports import SeriesReport

    Text = NDArray[np.object_]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: multiples of it spread evenly (Knuth 1973, section 6.4)."""
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Events:
    """Predictions and labels as columns, each in its order of arrival.

    segments: values by dimension; label NaN retracts; label_model `""` has no prediction.
    numbers: by name, what predictions of other kinds than binary state (`ClaimSet.columns`), NaN
    where one does not; then `score` is not looked at, and the labels are those of `kinds.py`.
    """

    prediction_id: Text
    model: Text
    version: Text
    ts_ms: NDArray[np.int64]
    score: NDArray[np.float64]
    segments: Mapping[str, Text]
    label_id: Text
    label_model: Text
    label_ms: NDArray[np.int64]
    label: NDArray[np.float64]
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything counted from files: cells, the labels' delays, losses, and each index's series."""

    cells: Cells
    delays: DelayCells
    named: dict[int, Series]
    losses: LossCells = field(default_factory=LossCells.empty)


def count(events: Events, policy_for: Callable[[str], Policy]) -> Counted:
    """Join and count all events under the policies' panes and horizons.

    Raises ValueError where a model's policy declares other claims than the events make.
    """
    ids = np.concatenate([_keyed(events.model, events.prediction_id),
                          _keyed(events.label_model, events.label_id)])  # fmt: skip
    _, number_of_id = np.unique(ids, return_inverse=True)
    # The table wants keys whose upper bits differ; times an odd number is one to one.
    key = number_of_id.astype(np.uint64) * GOLDEN
    n = len(events.prediction_id)
    claimed = claimed_by(events, policy_for)
    named = NamedSeries(events, policy_for)
    predictions = [
        PredictionColumns(
            key[:n][made.row] ^ np.uint64(salt(made.name)),
            np.zeros(len(made.row), dtype=np.int32),
            named.indices(made),
            events.ts_ms[made.row],
            made.score,
            made.refs,
        )
        for made in claimed.predictions
    ]
    labels = [
        LabelColumns(
            key[n:][row] ^ np.uint64(salt(name)),
            np.zeros(len(row), dtype=np.int32),
            named.models(events.label_model[row]),
            events.label_ms[row],
            events.label[row],
        )
        for name, row in claimed.labels
    ]
    applied = JoinIndex(named.table).apply(
        PredictionColumns.concatenated(predictions), LabelColumns.concatenated(labels)
    )
    return Counted(applied.cells, applied.delays, named.named, applied.losses)


def label_advices(
    events: Events, counted: Counted, policy_for: Callable[[str], Policy]
) -> list[LabelAdvice]:
    """What is known of each model version's labels at the newest event."""
    until_s = newest_s(events)
    return [
        label_advice(
            model,
            version,
            counted.cells.take(np.isin(counted.cells.series, indices)),
            counted.delays.take(np.isin(counted.delays.series, indices)),
            policy_for(model),
            until_s,
        )
        for (model, version), indices in sorted(label_claims(counted.named).items())
    ]


def series_reports(counted: Counted, *, by_version: bool) -> list[SeriesReport]:
    """Report of each model, claim and segment, or of each version of them, with coverage."""
    return [report for report, _ in counted_reports(counted, by_version=by_version)]


def counted_reports(counted: Counted, *, by_version: bool) -> list[tuple[SeriesReport, BinCounts]]:
    """As `series_reports`, each with its counts."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for series, indices in members(counted.named).items():
        version = series.version if by_version else ""
        identity = (series.model, version, series.claim, series.segment)
        groups.setdefault(identity, []).extend(indices)
    reports = []
    for (model, version, claim, segment), indices in sorted(groups.items()):
        cells = counted.cells.take(np.isin(counted.cells.series, indices))
        counts = cells.counts()
        report = series_report(
            Series(model, version, claim, segment),
            counts,
            pooled=not by_version,
            with_coverage=True,
            cohorts=_by_day(cells),
            losses=counted.losses.take(np.isin(counted.losses.series, indices)).total(),
        )
        reports.append((report, counts))
    return reports


def newest_s(events: Events) -> int:
    """Time of the newest event, epoch seconds."""
    return int(max(events.ts_ms.max(initial=0), events.label_ms.max(initial=0))) // 1000


def _by_day(cells: Cells) -> list[BinCounts]:
    """All counts of each day of prediction time, late labels included."""
    day = cells.pane_start // DAY_S
    return [cells.take(day == each).counts() for each in np.unique(day)]


def _keyed(model: Text, prediction_id: Text) -> NDArray[np.str_]:
    """One text a (model, id); the length keeps two pairs from reading alike."""
    joined = [f"{len(m)}:{m}{p}" for m, p in zip(model, prediction_id, strict=True)]
    return np.array(joined, dtype=np.str_)
