"""Rows of the join index, as columns.

Guarantees: row i of every column is one prediction, or the labels that came before it. Must never:
decide anything; `join.py` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TIME = int(np.iinfo(np.int64).min)
"""Time of a label slot that holds nothing; older than every label."""
VACANT = int(np.iinfo(np.int32).min)
"""Series of a row that nothing has touched yet."""


class JoinRows:
    """series >= 0: index of the prediction's series; -1 - model: labels that wait for it.

    ts_ms: prediction time, or the time of the first waiting label. label and label_ms: the
    newest label within the label horizon (or the first waiting one); late_label and late_ms: the
    newest past it. A NaN label with a time is a retraction.
    """

    def __init__(self) -> None:
        self._size = 0
        self.series: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.shard: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.ts_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.score: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self.label: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self.label_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.late_label: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self.late_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def grow(self, size: int) -> None:
        """Make room for `size` rows; new ones are vacant."""
        if size <= self._size:
            return
        more = max(size, self._size + self._size // 2, 1024) - self._size
        for name, vacant in _VACANT_ROW.items():
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.full(more, vacant, column.dtype)]))
        self._size += more

    def reordered(self, positions: NDArray[np.intp], new_rows: NDArray[np.int64]) -> JoinRows:
        """Only the rows at `positions`, put at `new_rows`."""
        moved = JoinRows()
        moved.grow(len(positions))
        for name in _VACANT_ROW:
            getattr(moved, name)[new_rows] = getattr(self, name)[positions]
        return moved


_VACANT_ROW: dict[str, int | float] = {
    "series": VACANT,
    "shard": 0,
    "ts_ms": 0,
    "score": 0.0,
    "label": float("nan"),
    "label_ms": NO_TIME,
    "late_label": float("nan"),
    "late_ms": NO_TIME,
}
