"""The interval of a rate. Must never: leave [0, 1] or collapse to a point without a reason."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z_95 = 1.959963984540054


def wilson(
    positive: NDArray[np.int64] | NDArray[np.float64],
    n: NDArray[np.int64] | NDArray[np.float64],
    z: float = Z_95,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score interval of each rate, shape as given; NaN where n is 0 (Wilson 1927).

    z: standard errors to either end, 95 % by default.
    """
    rows = np.where(n > 0, n, 1).astype(np.float64)
    rate = positive / rows
    square = z * z
    centre = (rate + square / (2 * rows)) / (1 + square / rows)
    spread = np.sqrt(rate * (1 - rate) / rows + square / (4 * rows * rows))
    half = z * spread / (1 + square / rows)
    # At 0 and n positives the ends are 0 and 1 exactly; rounding must not say otherwise.
    low = np.where(positive == 0, 0.0, centre - half)
    high = np.where(positive == n, 1.0, centre + half)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def wilson_of(positive: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """As `wilson`, of one rate with n > 0, to the bit: the same operations in the same order."""
    rate, square = positive / n, z * z
    centre = (rate + square / (2 * n)) / (1 + square / n)
    spread = sqrt(rate * (1 - rate) / n + square / (4 * n * n))
    half = z * spread / (1 + square / n)
    return 0.0 if positive == 0 else centre - half, 1.0 if positive == n else centre + half
