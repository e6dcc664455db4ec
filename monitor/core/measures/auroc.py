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

from bisect import bisect_left
from dataclasses import dataclass
from math import isnan, log, sqrt, tanh
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.measures.metrics import areas
from monitor.core.measures.moments import ClassMoments
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

NAN = float("nan")
SMALL_CLASS = 200
"""Fewer rows than this in a class: DeLong's standard error alone is too sure (measured: .905 for
.95 at an AUROC of .98 and 100 positives)."""
GRID = 4000
"""Steps from 0 to 1 in which the other interval is looked for."""
STEP = 1 / GRID


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


UNRANKED = Auroc(NAN, NAN, NAN, NAN, NAN)


def auroc_interval(counts: BinCounts, level: float = 0.95) -> Auroc:
    """P(score of a positive > of a negative) + P(equal) / 2, and an interval of that level."""
    moments = ClassMoments.of(counts)
    of = Segments.of([len(moments.mean)])
    return intervals_about(areas(moments.mean, moments, of).tolist(), moments, of, level)[0]


def intervals_about(
    values: Sequence[float], moments: ClassMoments, of: Segments, level: float = 0.95
) -> list[Auroc]:
    """As `auroc_interval`, of series whose moments lie one after the other.

    values: their AUROC (`metrics.areas`), NaN without rows of both classes.
    """
    from scipy.special import ndtri  # noqa: PLC0415  # most commands never need it; it takes long

    z = float(ndtri(0.5 + level / 2))
    positive, negative = moments.n_positive, moments.n_negative
    n_positive, n_negative = of.sums(positive), of.sums(negative)
    columns = (
        zip(n_positive.tolist(), n_negative.tolist(), strict=True),
        _delong(moments, of, n_positive, n_negative).tolist(),
        # A pair within one micro-bin may be ranked either way.
        of.sums(positive * negative).tolist(),
    )
    return [_interval(*each, z) for each in zip(values, *columns, strict=True)]


def _interval(
    value: float, rows: tuple[float, float], se: float, together: float, z: float
) -> Auroc:
    """rows: of either class; together: pairs of them within one micro-bin."""
    if isnan(value):
        return UNRANKED
    value = min(max(value, 0.0), 1.0)
    low, high = _logit_interval(value, z * se)
    if not se > 0 or min(rows) < SMALL_CLASS:
        other_low, other_high = _newcombe(value, *rows, z)
        low, high = min(low, other_low), max(high, other_high)
    hidden = min(1.0, together / (rows[0] * rows[1]))
    return Auroc(value, min(low, value), max(high, value), se, hidden)


def _delong(
    m: ClassMoments,
    of: Segments,
    n_positive: NDArray[np.float64],
    n_negative: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Standard errors from the placements' variances, (series,); NaN with one row of a class."""
    of_positive = _squares(m.n_positive, n_positive, m.n_negative, of)
    of_negative = _squares(m.n_negative, n_negative, m.n_positive, of)
    pairs = np.maximum(n_positive * n_negative, 1.0)
    smaller = np.minimum(n_positive, n_negative)
    mean_square = of_positive * n_positive + of_negative * n_negative
    return np.where(smaller > 1, np.sqrt(mean_square) / pairs, NAN)


def _squares(
    rows: NDArray[np.float64],
    n: NDArray[np.float64],
    others: NDArray[np.float64],
    of: Segments,
) -> NDArray[np.float64]:
    """Variance of a class's placements, (series,): how many of the other class lie below a row.

    rows, others: of either class in each micro-bin; n: the class's rows, (series,).
    """
    placed = of.below(others) + others / 2
    centred = placed - of.beside(of.sums(rows * placed) / np.maximum(n, 1.0))
    return of.sums(rows * (centred * centred)) / np.maximum(n - 1, 1.0)


def _logit_interval(value: float, half: float) -> tuple[float, float]:
    """Ends where the logit is z standard errors away (delta method); the value itself at an end."""
    if not 0 < value < 1 or not half > 0:
        return value, value
    centre, step = log(value / (1 - value)), half / (value * (1 - value))
    return 0.5 * (1 + tanh(0.5 * (centre - step))), 0.5 * (1 + tanh(0.5 * (centre + step)))


def _newcombe(value: float, n_positive: float, n_negative: float, z: float) -> tuple[float, float]:
    """All A with |A - value| <= z * se(A), se after Hanley and McNeil with equal class sizes.

    A is looked for on a grid; as these A are an interval about the value, its ends are bisected.
    """
    pairs, cells = (n_positive + n_negative) / 2 - 1, n_positive * n_negative

    def is_out(k: int) -> bool:
        area = k * STEP
        shape = 1 + pairs * ((1 - area) / (2 - area) + area / (1 + area))
        return abs(area - value) > z * sqrt(area * (1 - area) * shape / cells)

    above = int(value * GRID) + 1
    first = bisect_left(range(above), 1, key=lambda k: not is_out(k))
    last = above - 1 + bisect_left(range(above, GRID + 1), 1, key=is_out)
    if first > last:
        return value, value
    return max(0.0, first * STEP - STEP), min(1.0, last * STEP + STEP)
