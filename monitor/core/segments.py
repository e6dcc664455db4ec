"""Segments: values of many series in one array, those of one series after those of another.

Guarantees: what is found for a segment depends on its own values alone, to the bit, wherever it
lies and whatever lies beside it. Must never: pad a segment, or add across two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Number = TypeVar("Number", np.float64, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Where segments lie along the last axis: `sizes` values each, from `first` on; (segments,).

    A segment may be empty; `held` says that none is.
    """

    sizes: NDArray[np.int64]
    first: NDArray[np.int64]
    held: bool

    @classmethod
    def of(cls, sizes: Sequence[int] | NDArray[np.int64]) -> Self:
        """Segments of these sizes, one after the other."""
        each = np.array(sizes, dtype=np.int64)
        return cls(each, each.cumsum() - each, 0 not in each.tolist())

    def __len__(self) -> int:
        return len(self.sizes)

    def sums(self, values: NDArray[Number]) -> NDArray[Number]:
        """Sum of each segment, (..., segments); 0 of an empty one."""
        return self.reduced(np.add, values, 0)

    def reduced(self, by: np.ufunc, values: NDArray[Number], of_none: float) -> NDArray[Number]:
        """Each segment reduced by a ufunc, (..., segments); `of_none` for an empty one."""
        if self.held and len(self.sizes):
            found: NDArray[Number] = by.reduceat(values, self.first, axis=-1)
            return found
        # reduceat cannot say "nothing": it gives an empty segment its neighbour's value.
        found = np.full((*values.shape[:-1], len(self)), of_none, dtype=values.dtype)
        held = self.sizes > 0
        if held.any():
            found[..., held] = by.reduceat(values, self.first[held], axis=-1)
        return found

    def spread(self, each: NDArray[Any]) -> NDArray[Any]:
        """Every segment's own number at all of its places: (..., segments) to (..., values)."""
        return np.repeat(each, self.sizes, axis=-1)

    def beside(self, each: NDArray[Any]) -> NDArray[Any]:
        """As `spread`, for arithmetic: of one segment, what broadcasts to its values."""
        return each if len(self.sizes) == 1 else self.spread(each)

    def apart(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """The values (..., values) of each segment, (..., its size): views."""
        ends = (self.first + self.sizes).tolist()
        return [values[..., a:b] for a, b in zip(self.first.tolist(), ends, strict=True)]

    def below(self, n: NDArray[Number]) -> NDArray[Number]:
        """Sum of what stands before each place in its segment, (values,).

        n: multiples of 1/2, of less than 2**52 in all, so that every sum is exact.
        """
        before = n.cumsum() - n
        if len(self) <= 1:
            return before
        held = self.sizes > 0
        return np.asarray(before - np.repeat(before[self.first[held]], self.sizes[held]))

    def cumulated(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of what stands up to each place in its segment, that one included, (values,)."""
        if len(self) == 1:
            return values.cumsum()
        longest = int(self.sizes.max(initial=0))
        rows = np.zeros((len(self), longest))
        # Zeros behind a segment come after all that is asked of it.
        inside = np.arange(longest) < self.sizes[:, None]
        rows[inside] = values
        return rows.cumsum(axis=1)[inside]
