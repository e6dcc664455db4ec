"""Rows of the join index, as columns.

Guarantees: row i of every column is one prediction, or the labels that came before it; a row
takes 26 bytes, its label 16 and its own references 16, and room that no row has taken yet takes
none. Must never: decide anything; `join.py` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from monitor.core.counting.key_table import ABSENT, KeyTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TIME = int(np.iinfo(np.int64).min)
"""Time of a label slot that holds nothing; older than every label."""
VACANT = int(np.iinfo(np.int32).min)
"""Series of a row that nothing has touched yet."""
MAX_SHARDS = 1 << 16
"""Shards are partitions; a row keeps its own in 16 bits."""

_Number = TypeVar("_Number", np.int32, np.int64, np.uint16, np.float64)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio: spreads row numbers over the table (Knuth, TAOCP 3, 6.4)."""


class JoinRows:
    """series >= 0: index of the prediction's series; -1 - model: labels that wait for it.

    ts_ms: prediction time, or the time of the first waiting label. `labels` are the newest label
    within the label horizon (or the first waiting one), `late` the newest past it. A NaN label with
    a time is a retraction. refs: the numbers that the label is compared with, shape (size, 2); None
    while no prediction has brought its own.
    """

    def __init__(self) -> None:
        self._size = 0
        self.series: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.shard: NDArray[np.uint16] = np.empty(0, dtype=np.uint16)
        self.ts_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.score: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self.refs: NDArray[np.float64] | None = None
        self.labels = RowLabels()
        self.late = LateLabels()

    def grow(self, size: int) -> None:
        """Have `size` rows; new ones are vacant."""
        before = self._size
        if size <= before:
            return
        for name, vacant in _VACANT_ROW.items():
            column = _with_room(getattr(self, name), before, size)
            column[before:size] = vacant
            setattr(self, name, column)
        if self.refs is not None:
            self.refs = _with_room(self.refs, before, size)
            self.refs[before:size] = np.nan
        self.labels.grow(before, size)
        self._size = size

    def put_refs(self, rows: NDArray[np.int64], refs: NDArray[np.float64] | None) -> None:
        """Keep the references that predictions bring; `refs` has shape (rows, 2)."""
        if refs is None:
            return
        if self.refs is None:
            self.refs = np.full((self._size, 2), np.nan)
        self.refs[rows] = refs

    def reordered(self, positions: NDArray[np.intp], new_rows: NDArray[np.int64]) -> JoinRows:
        """Only the rows at `positions`, put at `new_rows`."""
        moved = JoinRows()
        moved.grow(len(positions))
        for name in _VACANT_ROW:
            getattr(moved, name)[new_rows] = getattr(self, name)[positions]
        moved.put_refs(new_rows, None if self.refs is None else self.refs[positions])
        for mine, its in ((self.labels, moved.labels), (self.late, moved.late)):
            ms, label = mine.get(positions)
            kept = ms != NO_TIME
            its.put(new_rows[kept], ms[kept], label[kept])
        return moved


class RowLabels:
    """Label time (ms) and label of the rows that have one: 4 bytes a row, 16 more a label."""

    def __init__(self) -> None:
        self._place: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._n = 0
        self._ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._label: NDArray[np.float64] = np.empty(0, dtype=np.float64)

    def grow(self, before: int, size: int) -> None:
        """Have `size` rows, the new ones without a label."""
        self._place = _with_room(self._place, before, size)
        self._place[before:size] = ABSENT

    def get(
        self, rows: NDArray[np.intp] | NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Time and label of each row; NO_TIME and NaN where there is none."""
        ms = np.full(len(rows), NO_TIME, dtype=np.int64)
        label = np.full(len(rows), np.nan)
        place = self._place[rows]
        held = np.flatnonzero(place != ABSENT)
        ms[held], label[held] = self._ms[place[held]], self._label[place[held]]
        return ms, label

    def put(
        self, rows: NDArray[np.int64], ms: NDArray[np.int64], label: NDArray[np.float64]
    ) -> None:
        """Set time and label of rows, none of them twice."""
        new = rows[self._place[rows] == ABSENT]
        if len(new):
            size = self._n + len(new)
            self._ms = _with_room(self._ms, self._n, size)
            self._label = _with_room(self._label, self._n, size)
            self._place[new] = np.arange(self._n, size)
            self._n = size
        place = self._place[rows]
        self._ms[place], self._label[place] = ms, label

    def clear(self, rows: NDArray[np.int64]) -> None:
        """Take the labels of rows out."""
        self.put(rows, np.full(len(rows), NO_TIME, dtype=np.int64), np.full(len(rows), np.nan))


class LateLabels:
    """Label time (ms) and label past the label horizon, of the few rows that have one."""

    def __init__(self) -> None:
        self._places = KeyTable()
        self._ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._label: NDArray[np.float64] = np.empty(0, dtype=np.float64)

    def __len__(self) -> int:
        return len(self._places)

    def get(
        self, rows: NDArray[np.intp] | NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Time and label of each row; NO_TIME and NaN where there is none."""
        ms = np.full(len(rows), NO_TIME, dtype=np.int64)
        label = np.full(len(rows), np.nan)
        if len(self):
            place = self._places.find(_spread(rows))
            held = place != ABSENT
            ms[held], label[held] = self._ms[place[held]], self._label[place[held]]
        return ms, label

    def put(
        self, rows: NDArray[np.int64], ms: NDArray[np.int64], label: NDArray[np.float64]
    ) -> None:
        """Set time and label of rows, none of them twice."""
        if not len(rows):
            return
        place = self._places.rows(_spread(rows))
        self._ms = _with_room(self._ms, len(self._ms), len(self._places))
        self._label = _with_room(self._label, len(self._label), len(self._places))
        self._ms[place], self._label[place] = ms, label


def _spread(rows: NDArray[np.intp] | NDArray[np.int64]) -> NDArray[np.uint64]:
    return rows.astype(np.uint64) * _GOLDEN


_VACANT_ROW: dict[str, int | float] = {
    "series": VACANT,
    "shard": 0,
    "ts_ms": 0,
    "score": 0.0,
}


def _with_room(column: NDArray[_Number], used: int, size: int) -> NDArray[_Number]:
    """The column, or a longer one that begins with its first `used` elements.

    What is not written yet takes no memory: the system hands out pages when they are touched.
    """
    if size <= len(column):
        return column
    length = max(size, len(column) + len(column) // 2, 1024)
    larger = np.empty((length, *column.shape[1:]), dtype=column.dtype)
    larger[:used] = column[:used]
    return larger
