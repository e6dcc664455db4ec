"""Noncentral chi-square: an interval of the noncentrality from one observed statistic.

Guarantees: ends are 0 or more, finite and in order; an end is found by its own steps, so what is
asked besides changes no bit of it. Must never: raise or warn on a finite statistic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDE = 12.0
"""Standard deviations beyond which no end is looked for."""
NEAR, NEAR_SHARE = 2e-12, 1e-15
"""A step to an end that is shorter, in itself or as a share of the end, is the last one."""
STEPS = 100


def noncentrality_interval(statistic: float, freedom: float, level: float) -> tuple[float, float]:
    """All noncentralities that the statistic does not reject, at (1 - level) / 2 on either side.

    Equal-tailed test inversion; an end at which 0 is not rejected is 0 (Kent and Hainsworth 1995).
    """
    low, high = noncentrality_intervals(np.array([statistic]), np.array([freedom]), level)
    return float(low[0]), float(high[0])


def noncentrality_intervals(
    statistic: NDArray[np.float64], freedom: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `noncentrality_interval`, of each; low and high, shape as given."""
    tail = (1 - level) / 2
    below = np.repeat([1 - tail, tail], len(statistic))
    x, f = np.concatenate([statistic, statistic]), np.concatenate([freedom, freedom])
    ends = noncentrality_ends(x, f, below)
    return ends[: len(statistic)], ends[len(statistic) :]


def noncentrality_end(statistic: float, freedom: float, below: float) -> float:
    """Noncentrality at which P(chi-square <= statistic) = below; 0 if the central one is less."""
    ends = noncentrality_ends(np.array([statistic]), np.array([freedom]), np.array([below]))
    return float(ends[0])


def noncentrality_ends(
    statistic: NDArray[np.float64], freedom: NDArray[np.float64], below: NDArray[np.float64]
) -> NDArray[np.float64]:
    """As `noncentrality_end`, of each; shape as given.

    Secant steps between bounds that close in. The normal quantile of the probability is nearly
    linear in the root of the noncentrality, with a slope of -1 (Sankaran 1963), so few are needed.
    """
    from scipy.special import chdtr, chndtr, ndtri  # noqa: PLC0415  # most commands never need it; it takes long

    found = np.zeros(len(statistic))
    left = (chdtr(freedom, statistic) > below).nonzero()[0]
    x, f, p = statistic[left], freedom[left], below[left]
    z, moved = ndtri(p), np.maximum(f - 1, 0.0) / 2
    # Roots of noncentrality + moved: where 0, the farthest that is looked at, and a first guess.
    low = np.sqrt(moved)
    high = np.sqrt(moved + (np.sqrt(np.maximum(x, 1.0)) + np.abs(z) + WIDE) ** 2)
    at = np.minimum(np.maximum(np.sqrt(np.maximum(x - moved, 0.0)) - z, low), high)
    last, last_over = at, np.full(len(left), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(STEPS):
            here = at * at - moved
            over = ndtri(chndtr(x, f, here)) - z
            low, high = np.where(over > 0, at, low), np.where(over < 0, at, high)
            slope = (over - last_over) / (at - last)
            to = at - over / np.where(slope < 0, slope, -1.0)  # not at first, or of rounding
            to = np.where((low <= to) & (to <= high), to, (low + high) / 2)
            end = to * to - moved
            found[left] = end
            going = np.abs(end - here) > NEAR + NEAR_SHARE * end
            if not any(going.tolist()):
                break
            last, last_over, at = at, over, to
            if not all(going.tolist()):
                left, x, f, z, moved = left[going], x[going], f[going], z[going], moved[going]
                last, last_over, at = last[going], last_over[going], at[going]
                low, high = low[going], high[going]
    return found
