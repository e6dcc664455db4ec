"""Cells: the sparse, mergeable counts of many series and panes at once.

Guarantees: a merge of cells is exact, associative and commutative, and the canonical form (keys
sorted and unique, no zero rows) makes equal counts equal arrays. Must never: use floats.

A cell is (series, pane, late, bin). `late` cells hold what labels past the label horizon changed:
the on-time cells alone are what was known when a pane was sealed, and on-time plus late is what is
known now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import N_BINS, N_SUMS, BinCounts
from monitor.core.runs import begins_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PANE_UNIT_S = 60
"""Panes start on whole minutes: a start fits 26 bits until the year 2097."""

_BIN_BITS, _LATE_BITS, _PANE_BITS = 9, 1, 26
_LATE_SHIFT = _BIN_BITS
_PANE_SHIFT = _BIN_BITS + _LATE_BITS
_SERIES_SHIFT = _PANE_SHIFT + _PANE_BITS
if N_BINS > 1 << _BIN_BITS:  # pragma: no cover  # a change of edges must widen the key
    raise AssertionError


def pane_start_s(ts_ms: NDArray[np.int64], pane_s: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Start of the pane that holds each time, epoch seconds."""
    return np.asarray(ts_ms // (pane_s * 1000) * pane_s)


def cell_key(
    series: NDArray[np.int32],
    pane_start: NDArray[np.int64],
    late: NDArray[np.bool_],
    bin_: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Packed identity of each cell; sorts by series, pane, late, bin."""
    return (
        (series.astype(np.int64) << _SERIES_SHIFT)
        | ((pane_start // PANE_UNIT_S) << _PANE_SHIFT)
        | (late.astype(np.int64) << _LATE_SHIFT)
        | bin_
    )


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Canonical sparse counts: `key` int64 of shape (n,), `sums` int64 of shape (n, N_SUMS)."""

    key: NDArray[np.int64]
    sums: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """No counts."""
        return cls(np.empty(0, dtype=np.int64), np.empty((0, N_SUMS), dtype=np.int64))

    @classmethod
    def of(cls, key: NDArray[np.int64], sums: NDArray[np.int64]) -> Self:
        """Canonical cells from any rows: rows of one key are added, zero cells dropped."""
        return cls._added(key, sums, np.argsort(key))  # not stable: sums of integers have no order

    @classmethod
    def merge(cls, parts: Iterable[Cells]) -> Self:
        """Sum of all parts."""
        listed = list(parts)
        if not listed:
            return cls.empty()
        key = np.concatenate([part.key for part in listed])
        # The stable sort is a merge sort, which makes use of parts that are sorted already.
        order = np.argsort(key, kind="stable")
        return cls._added(key, np.concatenate([part.sums for part in listed]), order)

    @classmethod
    def _added(
        cls, key: NDArray[np.int64], sums: NDArray[np.int64], order: NDArray[np.intp]
    ) -> Self:
        """Canonical cells of rows that `order` sorts by key."""
        if not len(key):
            return cls.empty()
        ordered = key[order]
        is_first = begins_run(ordered)
        first = np.flatnonzero(is_first)
        if 2 * len(first) < len(key):
            merged = np.add.reduceat(sums[order], first, axis=0)
        else:
            # Of many series most rows have a cell to themselves, and reduceat is slow with those.
            merged = sums[order[first]]
            further = np.flatnonzero(~is_first)
            np.add.at(merged, np.searchsorted(first, further) - 1, sums[order[further]])
        kept = np.bitwise_or.reduce(merged, axis=1) != 0
        if kept.all():
            return cls(ordered[first], merged)
        return cls(ordered[first][kept], merged[kept])

    def __len__(self) -> int:
        return len(self.key)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Cells)
            and np.array_equal(self.key, other.key)
            and np.array_equal(self.sums, other.sums)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable; nothing keys by cells

    @property
    def series(self) -> NDArray[np.int64]:
        """Series index of each cell."""
        return self.key >> _SERIES_SHIFT

    @property
    def pane_start(self) -> NDArray[np.int64]:
        """Start of each cell's pane, epoch seconds."""
        return ((self.key >> _PANE_SHIFT) & ((1 << _PANE_BITS) - 1)) * PANE_UNIT_S

    @property
    def late(self) -> NDArray[np.bool_]:
        """Whether each cell holds the changes made by late labels."""
        return ((self.key >> _LATE_SHIFT) & 1).astype(np.bool_)

    @property
    def bin(self) -> NDArray[np.int64]:
        """Micro-bin of each cell."""
        return self.key & ((1 << _BIN_BITS) - 1)

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """The chosen cells; canonical form is kept."""
        return type(self)(self.key[chosen], self.sums[chosen])

    def counts(self) -> BinCounts:
        """All cells merged over series, panes and lateness."""
        sums = np.zeros((N_BINS, N_SUMS), dtype=np.int64)
        np.add.at(sums, self.bin, self.sums)
        return BinCounts(sums)
