"""Fits of recalibrators to the micro-bins' counts.

Guarantees: maximum likelihood within the family, as a fit to the raw pairs up to the width of a
micro-bin; None where the labels decide no map that rises. Must never: look at unlabelled rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.logistic import fit_logistic, maximum_likelihood, nodes
from monitor.core.measures.moments import ClassMoments
from monitor.core.recalibration.recalibrators import Beta, Isotonic, LogitLine, Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.measures.logistic import Nodes
    from monitor.core.recalibration.recalibrators import CalibrationMap

HALF_LABEL = 0.5
"""What a block that saw one class only is taken to have seen of the other (Krichevsky and Trofimov
1981): a probability of 0 or 1 would be infinitely wrong once."""


def fit_map(method: Method, counts: BinCounts) -> CalibrationMap | None:
    """The best map of a family for some labels; None where the labels decide none that rises."""
    if method is Method.ISOTONIC:
        return _isotonic(counts)
    points = nodes(ClassMoments.of(counts))
    if method is Method.BETA:
        return _beta(points)
    with_intercept = method is Method.PLATT
    found = fit_logistic(points, with_intercept=with_intercept)
    try:
        return LogitLine(method, found.slope, found.intercept if with_intercept else 0.0)
    except ValueError:
        return None


def _beta(points: Nodes) -> Beta | None:
    """Logistic regression on ln s and -ln(1 - s); a side that would fall is left out."""
    if not np.isfinite(fit_logistic(points).slope):
        # Classes that a line of the logit separates have no finite maximum here either.
        return None
    sides = np.column_stack([-np.logaddexp(0, -points.logit), np.logaddexp(0, points.logit)])
    one = np.ones((len(points.logit), 1))
    both = maximum_likelihood(np.hstack([one, sides]), points)
    if both is not None and both[1:].min() >= 0:
        return _made(both[1], both[2], both[0])
    falls = 0 if both is None or both[1] < both[2] else 1
    kept = maximum_likelihood(np.hstack([one, sides[:, [1 - falls]]]), points)
    if kept is None:
        return None
    return _made(kept[1], 0.0, kept[0]) if falls else _made(0.0, kept[1], kept[0])


def _made(a: float, b: float, c: float) -> Beta | None:
    try:
        return Beta(float(a), float(b), float(c))
    except ValueError:
        return None


def _isotonic(counts: BinCounts) -> Isotonic | None:
    """Pooled adjacent violators (Ayer et al. 1955) of the micro-bins, a knot at each block's mean.

    scikit-learn's thresholds keep a block's first and last score, and so tie all between them;
    lines from mean to mean keep their order, and do better on labels that were not fitted.
    """
    held = np.flatnonzero(counts.labelled)
    if not len(held):
        return None
    score = np.clip(counts.score_sum[held] / (counts.labelled[held] * float(FIXED_POINT)), 0, 1)
    # Means of neighbours can be one number, by the rounding of their sums.
    score, place = np.unique(score, return_inverse=True)
    n = np.bincount(place, counts.labelled[held]).astype(np.float64)
    positive = np.bincount(place, counts.positive[held]).astype(np.float64)
    first, last, rate = _blocks(n, positive)
    if len(rate) == 1:
        return None
    rows = np.add.reduceat(n, first)
    mean = np.clip(np.add.reduceat(n * score, first) / rows, score[first], score[last])
    return Isotonic(tuple(mean.tolist()), tuple(rate.tolist()))


def _blocks(
    n: NDArray[np.float64], positive: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """First and last index of each block of one rate, and the rates, rising."""
    blocks: list[tuple[int, float, float]] = []
    for index, (rows, ones) in enumerate(zip(n.tolist(), positive.tolist(), strict=True)):
        start, all_rows, all_ones = index, rows, ones
        while blocks and blocks[-1][2] * all_rows >= all_ones * blocks[-1][1]:
            start, more_rows, more_ones = blocks.pop()
            all_rows, all_ones = all_rows + more_rows, all_ones + more_ones
        blocks.append((start, all_rows, all_ones))
    first = np.array([start for start, _, _ in blocks], dtype=np.int64)
    rows, ones = np.array([block[1:] for block in blocks]).T
    rate = ones / rows
    if len(rate) > 1:
        # Never past the next block, so that the probabilities still rise.
        if not rate[0]:
            rate[0] = min(rate[1], HALF_LABEL / (rows[0] + 1))
        if rate[-1] == 1:
            rate[-1] = max(rate[-2], 1 - HALF_LABEL / (rows[-1] + 1))
    return first, np.append(first[1:] - 1, len(n) - 1), rate
