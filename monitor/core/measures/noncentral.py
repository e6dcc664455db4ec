"""Noncentral chi-square: an interval of the noncentrality from one observed statistic.

Guarantees: ends are 0 or more, finite and in order. Must never: raise or warn on a finite
statistic.
"""

from __future__ import annotations

WIDE = 12.0
"""Standard deviations beyond which no end is looked for."""


def noncentrality_interval(statistic: float, freedom: float, level: float) -> tuple[float, float]:
    """All noncentralities that the statistic does not reject, at (1 - level) / 2 on either side.

    Equal-tailed test inversion; an end at which 0 is not rejected is 0 (Kent and Hainsworth 1995).
    """
    tail = (1 - level) / 2
    return (
        noncentrality_end(statistic, freedom, 1 - tail),
        noncentrality_end(statistic, freedom, tail),
    )


def noncentrality_end(statistic: float, freedom: float, below: float) -> float:
    """Noncentrality at which P(chi-square <= statistic) = below; 0 if the central one is less."""
    from scipy.optimize import brentq  # noqa: PLC0415  # most commands never need it; it takes long
    from scipy.special import chdtr, chndtr, ndtri  # noqa: PLC0415  # most commands never need it; it takes long

    if chdtr(freedom, statistic) <= below:
        return 0.0
    z = abs(float(ndtri(below)))
    # Sankaran: the square root is nearly normal with unit variance or less.
    top = (max(statistic, 1.0) ** 0.5 + z + WIDE) ** 2
    return float(brentq(lambda nc: float(chndtr(statistic, freedom, nc)) - below, 0.0, top))
