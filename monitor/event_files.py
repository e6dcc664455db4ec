"""A prediction file and its label file as events, for the commands that need no server.

Guarantees: every label has the model of its prediction. Must never: drop or reorder a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.ingest.files import read_labels, read_predictions, with_models
from monitor.watch.backtest import Events

if TYPE_CHECKING:
    from pathlib import Path


def read_events(predictions: Path, labels: Path) -> Events:
    """Events of two files; raises FileError for what cannot be used."""
    predicted = read_predictions(predictions)
    labelled = with_models(read_labels(labels), predicted)
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
    )
