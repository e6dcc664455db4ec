"""Files of predictions and labels, for the commands that need no server.

Guarantees: every label has the model of its prediction. Must never: drop or reorder a row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.report.threshold_advice import Observed
from monitor.watch.counting import DAY_S, Events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ingest.files import LabelFile, PredictionFile, ScoredFile


def read_events(predictions: Path, labels: Path) -> Events:
    """Events of two files; raises FileError for what cannot be used."""
    from monitor.ingest.files import (  # noqa: PLC0415  # Arrow; most commands never need it
        read_labels,
        read_predictions,
        with_models,
    )

    predicted = read_predictions(predictions)
    return _events(predicted, with_models(read_labels(labels, predicted.claims), predicted))


def read_labelled(path: Path) -> Events | ScoredFile:
    """One file with its labels: scores, or the events of another kind."""
    from monitor.ingest import columns, files  # noqa: PLC0415  # Arrow; most commands never need it

    found = columns.read_columns(path)
    other = files.labelled_predictions(found)
    return files.scored_of(found) if other is None else _events(*other)


def read_with_ids(path: Path) -> tuple[Events | ScoredFile, NDArray[np.object_] | None]:
    """As `read_labelled`, with the rows' own ids where the file has them."""
    from monitor.ingest import columns, files  # noqa: PLC0415  # Arrow; most commands never need it

    found = columns.read_columns(path)
    ids = found.texts("prediction_id") if "prediction_id" in found.arrays else None
    other = files.labelled_predictions(found)
    return (files.scored_of(found) if other is None else _events(*other)), ids


def refuse_overwriting(out: Path, *read: Path | None) -> None:
    """Raises ValueError where the file to write is one of those that were read."""
    if any(each is not None and _is_same(out, each) for each in read):
        message = f"{out} is the file that is read; give another one to write"
        raise ValueError(message)


def _is_same(out: Path, read: Path) -> bool:
    try:
        return out.samefile(read)
    except OSError:  # one of them is not there, or no name of a file
        return False


def _events(predicted: PredictionFile, labelled: LabelFile) -> Events:
    if labelled.model is None:  # pragma: no cover  # with_models gives every label a model
        raise AssertionError
    return Events(
        predicted.prediction_id,
        predicted.model,
        predicted.version,
        predicted.ts_ms,
        predicted.score,
        predicted.segments,
        labelled.prediction_id,
        labelled.model,
        labelled.ts_ms,
        labelled.label,
        predicted.numbers,
    )


def is_data_file(path: Path) -> bool:
    """Whether a path has the ending of a file that can be read, be it there or not."""
    from monitor.ingest import columns  # noqa: PLC0415  # Arrow; most commands never need it

    return columns.is_data_file(path)


def read_scored(path: Path) -> ScoredFile:
    """Scores with their labels in one file; raises FileError for what cannot be used."""
    from monitor.ingest import files  # noqa: PLC0415  # Arrow; most commands never need it

    return files.read_scored(path)


def scored_by_day(scored: ScoredFile) -> dict[Series, Observed]:
    """One file of scores and labels: a series a model version, by day where the rows have times.

    Without models, the file's name is one.
    """
    n = len(scored)
    models = (
        np.full(n, Path(scored.source).name, dtype=object) if scored.model is None else scored.model
    )
    versions = np.full(n, "", dtype=object) if scored.version is None else scored.version
    found = {}
    for model, version in sorted(set(zip(models.tolist(), versions.tolist(), strict=True))):
        mine = (models == model) & (versions == version)
        score, outcome = scored.score[mine], scored.label[mine] == 1
        series = Series(model, version)
        if scored.ts_ms is None:
            found[series] = Observed([BinCounts.from_rows(score, outcome)])
            continue
        at_s = scored.ts_ms[mine] // 1000
        day = at_s // DAY_S
        cohorts = [BinCounts.from_rows(score[day == d], outcome[day == d]) for d in np.unique(day)]
        start, end = (datetime.fromtimestamp(int(s), UTC) for s in (at_s.min(), at_s.max()))
        found[series] = Observed(cohorts, as_of=end, window=(start, end))
    return found
