"""Prediction files and their label files as events, for the commands that need no server.

Guarantees: every label has the model of its prediction. Must never: drop or reorder a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.watch.backtest import Events

if TYPE_CHECKING:
    from pathlib import Path

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
