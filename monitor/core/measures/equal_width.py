"""Equal-width bins merged from micro-bins, and what is told from their gaps, of many series.

Guarantees: merging is exact, and bins are right-closed with 0 in the first; a series' figures are
its own to the bit. Must never: read unlabelled rows, or warn where a bin is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import EDGES, FIXED_POINT, N_BINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

FINEST = 60


@dataclass(frozen=True, slots=True, eq=False)
class WidthBins:
    """Equal-width bins of each series, (series, bins, 3): labels, positives and what was missed.

    missed: outcomes less scores, in billionths.
    """

    sums: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Sequence[BinCounts], bins: int = FINEST) -> Self:
        """`bins` bins of each series. Raises ValueError unless `bins` divides 60."""
        if bins < 1 or FINEST % bins:
            msg = f"{bins} equal-width bins cannot be merged from micro-bins; use a divisor of 60"
            raise ValueError(msg)
        every = np.array([each.sums[:, 1:4] for each in counts]).reshape(-1, N_BINS, 3)
        sums = np.add.reduceat(every, _first_of(bins), axis=1)
        sums[..., 2] = sums[..., 1] * FIXED_POINT - sums[..., 2]
        return cls(sums)

    @property
    def n(self) -> NDArray[np.int64]:
        """Labels."""
        return self.sums[..., 0]

    @property
    def positive(self) -> NDArray[np.int64]:
        """Labels that are positive."""
        return self.sums[..., 1]

    @property
    def missed(self) -> NDArray[np.int64]:
        """Outcomes less scores, in billionths."""
        return self.sums[..., 2]

    def coarser(self, bins: int) -> WidthBins:
        """The same labels in fewer bins; `bins` divides the number that there are."""
        shape = (len(self.sums), bins, self.sums.shape[1] // bins, 3)
        return WidthBins(np.add.reduce(self.sums.reshape(shape), axis=2))

    def mean_gap(self) -> NDArray[np.float64]:
        """Mean |rate - mean score| over the labels (Guo 2017, eq. 3); (series,); all have some."""
        missed = np.add.reduce(np.abs(self.missed), axis=1)
        return np.asarray(missed / (np.add.reduce(self.n, axis=1) * float(FIXED_POINT)))

    def largest_gap(self) -> NDArray[np.float64]:
        """Largest |rate - mean score| of a bin (Guo 2017, eq. 5); (series,)."""
        return np.asarray(np.maximum.reduce(np.abs(self._gaps()), axis=1))

    def murphy(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Reliability, resolution, uncertainty (Murphy 1973), each (series,); all have labels."""
        share = self.n / np.add.reduce(self.n, axis=1)[:, None]
        rate, gaps = self.positive / np.maximum(self.n, 1), self._gaps()
        base_rate = np.add.reduce(share * rate, axis=1)
        from_base = rate - base_rate[:, None]
        reliability = np.add.reduce(share * (gaps * gaps), axis=1)
        resolution = np.add.reduce(share * (from_base * from_base), axis=1)
        return reliability, resolution, base_rate * (1 - base_rate)

    def _gaps(self) -> NDArray[np.float64]:
        """Rate minus mean score; 0 in an empty bin."""
        return self.missed / (np.maximum(self.n, 1) * float(FIXED_POINT))


@cache
def _first_of(bins: int) -> list[int]:
    """First micro-bin of each equal-width bin; every one holds some, since EDGES has its edge."""
    upper = np.array([k * (FINEST // bins) / FINEST for k in range(1, bins + 1)])
    owner = np.searchsorted(upper, EDGES, side="left")
    return [int(first) for first in np.searchsorted(owner, np.arange(bins))]
