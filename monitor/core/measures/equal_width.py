"""Equal-width bins merged from micro-bins, and what is told from their gaps, of many series.

Guarantees: merging is exact, and bins are right-closed with 0 in the first; a series' figures are
its own to the bit. Must never: read unlabelled rows, or warn where a bin is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import EDGES, FIXED_POINT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.measures.held import Held

FINEST = 60
SIXTIETH: NDArray[np.int64] = np.searchsorted(
    np.array([k / FINEST for k in range(1, FINEST + 1)]), EDGES, side="left"
)
"""Which of 60 equal-width bins each micro-bin lies in; the edges have every multiple of 1/60."""


@dataclass(frozen=True, slots=True, eq=False)
class WidthBins:
    """Equal-width bins of each series; all of shape (series, bins).

    n, positive: labels and positives; missed: outcomes less scores, in billionths.
    """

    n: NDArray[np.int64]
    positive: NDArray[np.int64]
    missed: NDArray[np.int64]

    @classmethod
    def of(cls, held: Held, bins: int = FINEST) -> Self:
        """`bins` bins of each series. Raises ValueError unless `bins` divides 60."""
        if bins < 1 or FINEST % bins:
            msg = f"{bins} equal-width bins cannot be merged from micro-bins; use a divisor of 60"
            raise ValueError(msg)
        sums = held.merged(SIXTIETH[held.bin] // (FINEST // bins), bins).all_bins()
        n, positive, score = sums[..., 1], sums[..., 2], sums[..., 3]
        return cls(n, positive, positive * FIXED_POINT - score)

    def coarser(self, bins: int) -> WidthBins:
        """The same labels in fewer bins; `bins` divides the number that there are."""
        return WidthBins(*(added(each, bins) for each in (self.n, self.positive, self.missed)))

    def mean_gap(self, bins: int) -> NDArray[np.float64]:
        """Mean |rate - mean score| over the labels, of so many bins (Guo 2017, eq. 3); (series,).

        From integers; NaN is not known here: every series must have labels.
        """
        missed = np.add.reduce(np.abs(added(self.missed, bins)), axis=1)
        return np.asarray(missed / (np.add.reduce(self.n, axis=1) * float(FIXED_POINT)))

    def largest_gap(self) -> NDArray[np.float64]:
        """Largest |rate - mean score| of a bin (Guo 2017, eq. 5); (series,)."""
        return np.asarray(np.maximum.reduce(np.abs(self._gaps()), axis=1))

    def murphy(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Reliability, resolution and uncertainty (Murphy 1973), each (series,)."""
        share = self.n / np.add.reduce(self.n, axis=1, keepdims=True)
        rate, gaps = self.positive / np.maximum(self.n, 1), self._gaps()
        base_rate = np.add.reduce(share * rate, axis=1)
        from_base = rate - base_rate[:, None]
        reliability = np.add.reduce(share * (gaps * gaps), axis=1)
        resolution = np.add.reduce(share * (from_base * from_base), axis=1)
        return reliability, resolution, base_rate * (1 - base_rate)

    def _gaps(self) -> NDArray[np.float64]:
        """Rate minus mean score; 0 in an empty bin."""
        return self.missed / (np.maximum(self.n, 1) * float(FIXED_POINT))


def added(each: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """Neighbours added, (series, more bins) to (series, bins)."""
    if each.shape[1] == bins:
        return each
    return np.asarray(np.add.reduce(each.reshape(len(each), bins, each.shape[1] // bins), axis=2))
