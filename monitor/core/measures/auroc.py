"""AUROC with an interval, from counts.

Guarantees: ties count by halves; the interval lies in [0, 1], contains the estimate and never
collapses to a point; `resolution` bounds the distance to the AUROC of the raw rows. Must never:
raise or warn on any counts, or depend on the scores but by their order (of micro-bins).

Standard error: DeLong, DeLong and Clarke-Pearson 1988, from placements, which are the same for all
rows of a class in one micro-bin. Interval: on the logit of AUROC (Pepe 2003, section 5.2), which
keeps it within [0, 1]. Where placements do not vary (perfect ranking, a class of one row,
constant scores) and in classes below 200 rows, the interval is at least that of Newcombe 2006
(Statistics in Medicine 25:559, method 5): the score-like inversion of the variance of Hanley and
McNeil 1982 for exponential scores. Assumes independent rows: wobble that whole days share is not
in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.measures.metrics import ranking
from monitor.core.measures.moments import ClassMoments

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts

NAN = float("nan")
SMALL_CLASS = 200
"""Fewer rows than this in a class: DeLong's standard error alone is too sure (measured: .905 for
.95 at an AUROC of .98 and 100 positives)."""
GRID = 4001


@dataclass(frozen=True, slots=True)
class Auroc:
    """AUROC with its interval; all NaN without rows of both classes.

    se is DeLong's (0 where the placements do not vary, NaN with one row in a class).
    """

    value: float
    low: float
    high: float
    se: float
    resolution: float


def auroc_interval(counts: BinCounts, level: float = 0.95) -> Auroc:
    """P(score of a positive > of a negative) + P(equal) / 2, and an interval of that level."""
    moments = ClassMoments.of(counts)
    return interval_about(ranking(moments.mean, moments), moments, level)


def interval_about(value: float, moments: ClassMoments, level: float = 0.95) -> Auroc:
    """As `auroc_interval`, about the AUROC of these moments (`metrics.ranking`)."""
    from scipy.special import ndtri  # noqa: PLC0415  # most commands never need it; it takes long

    if np.isnan(value):
        return Auroc(NAN, NAN, NAN, NAN, NAN)
    value = min(max(value, 0.0), 1.0)
    positive, negative = moments.n_positive, moments.n_negative
    z = float(ndtri(0.5 + level / 2))
    n_positive, n_negative = float(positive.sum()), float(negative.sum())
    se = _delong(moments)
    low, high = _logit_interval(value, z * se)
    if not se > 0 or min(n_positive, n_negative) < SMALL_CLASS:
        other_low, other_high = _newcombe(value, n_positive, n_negative, z)
        low, high = min(low, other_low), max(high, other_high)
    # A pair within one micro-bin may be ranked either way.
    together = float(positive @ negative) / (n_positive * n_negative)
    return Auroc(value, min(low, value), max(high, value), se, min(1.0, together))


def _delong(m: ClassMoments) -> float:
    """Standard error from the placements' variances; NaN with a single row of a class."""
    positive, negative = m.n_positive, m.n_negative
    n_positive, n_negative = positive.sum(), negative.sum()
    if min(n_positive, n_negative) <= 1:
        return NAN
    won = (np.cumsum(negative) - negative / 2) / n_negative
    lost_to = 1 - (np.cumsum(positive) - positive / 2) / n_positive
    return float(np.sqrt(_variance(won, positive) + _variance(lost_to, negative)))


def _variance(placement: np.ndarray, rows: np.ndarray) -> float:
    """Variance of the mean placement of a class whose micro-bins hold so many rows."""
    n = rows.sum()
    centred = placement - rows @ placement / n
    return float(rows @ (centred * centred) / ((n - 1) * n))


def _logit_interval(value: float, half: float) -> tuple[float, float]:
    """Ends where the logit is z standard errors away (delta method); the value itself at an end."""
    if not 0 < value < 1 or not half > 0:
        return value, value
    centre, step = np.log(value / (1 - value)), half / (value * (1 - value))
    low, high = (0.5 * (1 + np.tanh(0.5 * (centre + side * step))) for side in (-1, 1))
    return float(low), float(high)


def _newcombe(value: float, n_positive: float, n_negative: float, z: float) -> tuple[float, float]:
    """All A with |A - value| <= z * se(A), se after Hanley and McNeil with equal class sizes."""
    area = np.linspace(0.0, 1.0, GRID)
    pairs = (n_positive + n_negative) / 2 - 1
    shape = 1 + pairs * ((1 - area) / (2 - area) + area / (1 + area))
    se = np.sqrt(area * (1 - area) * shape / (n_positive * n_negative))
    held = area[np.abs(area - value) <= z * se]
    if not len(held):
        return value, value
    step = 1 / (GRID - 1)
    return max(0.0, float(held[0]) - step), min(1.0, float(held[-1]) + step)
