"""Delays of labels as cells: the sparse, mergeable counts of many series and panes at once.

Guarantees: a merge is exact, associative and commutative, and the canonical form (keys sorted and
unique, no zero rows) makes equal counts equal arrays. Must never: use floats.

A cell is (series, pane, late, outcome, bucket of the delay). As with the bins, the on-time cells
alone are what was known at the label horizon, and on-time plus late is what is known now. A delay
is that of the label in force: a correction takes the old label's out and puts its own in. Panes
are whole days of prediction time where the counts' panes divide a day, and those panes otherwise:
how long labels take is not asked by the hour, and a day needs fewer cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.delays import BUCKETS, DAY_S, N_BUCKETS, DelayCounts
from monitor.core.panes import PANE_UNIT_S
from monitor.core.runs import run_starts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

BUCKETS_MS: NDArray[np.int64] = BUCKETS * 1000
_BUCKET_BITS, _LATE_BITS, _PANE_BITS = 8, 1, 26
_LATE_SHIFT = _BUCKET_BITS + 1
_PANE_SHIFT = _LATE_SHIFT + _LATE_BITS
_SERIES_SHIFT = _PANE_SHIFT + _PANE_BITS
if N_BUCKETS >= 1 << _BUCKET_BITS:  # pragma: no cover  # more buckets must widen the key
    raise AssertionError


def delay_pane_s(pane_s: int) -> int:
    """Length of the panes that delays are counted in, for counts in panes of `pane_s` seconds."""
    return DAY_S if DAY_S % pane_s == 0 else pane_s


def delay_key(
    series: NDArray[np.int32],
    pane_start: NDArray[np.int64],
    late: bool | NDArray[np.bool_],  # noqa: FBT001  # one for all, or one for each
    outcome: NDArray[np.bool_],
    delay_ms: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Packed identity of each cell; sorts by series, pane, late, outcome, bucket.

    A delay beyond the longest bucket gets a bucket of its own, N_BUCKETS.
    """
    return (
        (series.astype(np.int64) << _SERIES_SHIFT)
        | ((pane_start // PANE_UNIT_S) << _PANE_SHIFT)
        | (np.int64(late) << _LATE_SHIFT if isinstance(late, bool) else late << _LATE_SHIFT)
        | (outcome.astype(np.int64) << _BUCKET_BITS)
        | np.searchsorted(BUCKETS_MS, delay_ms, side="left")
    )


@dataclass(frozen=True, slots=True, eq=False)
class DelayCells:
    """Canonical sparse counts of labels: `key` and `n` are int64 of shape (cells,)."""

    key: NDArray[np.int64]
    n: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """No labels."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, key: NDArray[np.int64], n: NDArray[np.int64] | None = None) -> Self:
        """Canonical cells from any rows: rows of one key are added, zero cells dropped.

        n: labels of each row; without it each row is one label.
        """
        if n is not None:
            return cls._added(key, n, np.argsort(key))
        if not len(key):
            return cls.empty()
        ordered = np.sort(key)
        first = run_starts(ordered)
        return cls(ordered[first], np.diff(np.append(first, len(key))))

    @classmethod
    def merge(cls, parts: Iterable[DelayCells]) -> Self:
        """Sum of all parts."""
        listed = list(parts)
        if not listed:
            return cls.empty()
        key = np.concatenate([part.key for part in listed])
        # The stable sort is a merge sort, which makes use of parts that are sorted already.
        order = np.argsort(key, kind="stable")
        return cls._added(key, np.concatenate([part.n for part in listed]), order)

    @classmethod
    def _added(cls, key: NDArray[np.int64], n: NDArray[np.int64], order: NDArray[np.intp]) -> Self:
        """Canonical cells of rows that `order` sorts by key."""
        if not len(key):
            return cls.empty()
        ordered = key[order]
        first = run_starts(ordered)
        total = np.add.reduceat(n[order], first)
        kept = total != 0
        return cls(ordered[first][kept], total[kept])

    def __len__(self) -> int:
        return len(self.key)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DelayCells)
            and np.array_equal(self.key, other.key)
            and np.array_equal(self.n, other.n)
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
    def outcome(self) -> NDArray[np.int64]:
        """Outcome of each cell's labels, 0 or 1."""
        return (self.key >> _BUCKET_BITS) & 1

    @property
    def bucket(self) -> NDArray[np.int64]:
        """Bucket of each cell's delays; N_BUCKETS beyond the longest."""
        return self.key & ((1 << _BUCKET_BITS) - 1)

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """The chosen cells; canonical form is kept."""
        return type(self)(self.key[chosen], self.n[chosen])

    def counts(self, until_s: int) -> DelayCounts:
        """All cells merged to one histogram, of panes that were all seen up to until_s.

        Delays beyond the longest bucket are left out, and so are labels that were counted before
        delays were and taken out since, which leave less than none.
        """
        counts = np.zeros((2, N_BUCKETS + 1), dtype=np.int64)
        np.add.at(counts, (self.outcome, self.bucket), self.n)
        whole = DelayCounts(np.maximum(counts[:, :N_BUCKETS], 0), int(BUCKETS[-1]))
        return whole.until(max(until_s, int(BUCKETS[0])))
