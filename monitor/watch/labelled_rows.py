"""Labelled rows of one model, by prediction id, for comparing models row by row.

Guarantees: the first prediction of an id counts, and its newest label, late ones included; a
retracted label is none. Must never: pair two rows whose labels differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.comparing import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.watch.counting import Events


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """Rows in the order of their predictions; ids are unique, or None where a file has none."""

    ids: NDArray[np.object_] | None
    score: NDArray[np.float64]
    outcome: NDArray[np.bool_]

    def counts(self) -> BinCounts:
        """The rows' histogram."""
        return BinCounts.from_rows(self.score, self.outcome)


def labelled_rows(events: Events, model: str, version: str | None = None) -> LabelledRows:
    """Labelled rows of a model, or of one version of it; empty where there are none.

    Raises ValueError for predictions that are not binary.
    """
    if events.numbers:
        message = f"predictions of {model} are not binary scores; models are compared by scores"
        raise ValueError(message)
    rows, label = newest_labels(events, model, version)
    return LabelledRows(events.prediction_id[rows], events.score[rows], label == 1)


def newest_labels(
    events: Events, model: str, version: str | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows of the labelled predictions of a model, and the newest label of each."""
    newest: dict[object, float] = {}
    for row in np.argsort(events.label_ms, kind="stable"):
        if events.label_model[row] == model:
            newest[events.label_id[row]] = float(events.label[row])
    first: dict[object, int] = {}
    mine = events.model == model
    for row in np.flatnonzero(mine):
        first.setdefault(events.prediction_id[row], int(row))
    rows = [
        row
        for key, row in first.items()
        if not np.isnan(newest.get(key, np.nan)) and version in {None, events.version[row]}
    ]
    label = [newest[events.prediction_id[row]] for row in rows]
    return np.array(rows, dtype=np.intp), np.array(label, dtype=np.float64)


def paired(a: LabelledRows, b: LabelledRows) -> Pairs | None:
    """The rows that both have, in the order of a; None where ids are missing.

    Raises ValueError for an id with two outcomes: the labels are not of the same thing.
    """
    if a.ids is None or b.ids is None:
        return None
    place = {key: row for row, key in enumerate(b.ids)}
    row_a = np.array([row for row, key in enumerate(a.ids) if key in place], dtype=np.int64)
    row_b = np.array([place[a.ids[row]] for row in row_a], dtype=np.int64)
    apart = a.outcome[row_a] != b.outcome[row_b]
    if apart.any():
        message = (
            f"{int(apart.sum())} ids ({a.ids[row_a[apart.argmax()]]!r}, ...) have one label for "
            "one model and another for the other; the two do not predict the same thing"
        )
        raise ValueError(message)
    return Pairs(a.score[row_a], b.score[row_b], a.outcome[row_a])
