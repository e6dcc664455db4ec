"""The labelled micro-bins of many series, those of one series after those of another.

Guarantees: integers as they were counted; micro-bins without labels are left out. Must never: merge
two series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import N_SUMS
from monitor.core.runs import run_starts
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """bin: micro-bin of each row, rising in a series, (rows,); sums: its counts, (rows, N_SUMS)."""

    bin: NDArray[np.int64]
    sums: NDArray[np.int64]
    of: Segments

    @classmethod
    def in_all(cls, counts: Sequence[BinCounts]) -> Self:
        """Labelled micro-bins of each, in the order given."""
        rows = [each.held for each in counts]
        of = Segments.of([len(at) for at, _ in rows])
        if len(rows) == 1:
            return cls(*rows[0], of)
        empty = np.empty(0, dtype=np.int64)
        return cls(
            np.concatenate([empty, *(at for at, _ in rows)]),
            np.concatenate([empty.reshape(0, N_SUMS), *(sums for _, sums in rows)]),
            of,
        )

    def merged(self, owner: NDArray[np.int64], bins: int) -> tuple[NDArray[np.int64], Segments]:
        """Rows that go to the same bin of their series added, (held, N_SUMS), and where they lie.

        owner: (rows,), in 0 to bins - 1, never falling in a series; bins without rows are left out.
        """
        if not len(owner):
            return self.sums, self.of
        place = owner + self.of.beside(np.arange(len(self.of)) * bins)
        first = run_starts(place)
        sizes = np.bincount(place[first] // bins, minlength=len(self.of))
        return np.add.reduceat(self.sums, first, axis=0), Segments.of(sizes)
