"""Comparing quantiles or intervals of one level: coverage, distance from it, losses.

Guarantees: closed forms, so equal rows give equal bits; every difference has a 95 % interval. Must
never: call losses comparable that are of different labels without saying that the rows differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.decision.comparing import (
    Comparison,
    Difference,
    mover,
    paired_shares,
    refuse_few,
    shares,
)
from monitor.core.kinds import level_of
from monitor.core.measures.wilson import Z_95, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """Rows of one model's claim; shape (rows,) each. width: 0 of quantiles.

    loss: pinball of a quantile, interval score of an interval.
    """

    outcome: NDArray[np.bool_]
    loss: NDArray[np.float64]
    width: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> Covered:
        """These rows, in this order."""
        return Covered(self.outcome[rows], self.loss[rows], self.width[rows])


def compare_levels(a: Covered, b: Covered, claim: str, *, paired: bool) -> Comparison:
    """Two models at one level; paired: rows are the same, in the same order.

    Raises ValueError for fewer than 100 rows in either.
    """
    n_a, n_b = len(a.outcome), len(b.outcome)
    refuse_few(n_a, n_b)
    positive = int(a.outcome.sum()), int(b.outcome.sum())
    covered = _shares(positive, (n_a, n_b))
    if paired:
        covered = paired_shares("coverage", a.outcome, b.outcome)
    is_interval = claim.startswith("interval:")
    means = [("interval_score" if is_interval else "pinball", a.loss, b.loss)]
    means += [("width", a.width, b.width)] if is_interval else []
    found = [covered, _distance(positive, (n_a, n_b), _level(claim))]
    found += [_means(name, x, y, paired=paired) for name, x, y in means]
    return Comparison(paired=paired, n_a=n_a, n_b=n_b, differences=tuple(found))


def compare_coverage(a: BinCounts, b: BinCounts, claim: str) -> Comparison:
    """As `compare_levels`, of counts alone, which know no losses."""
    n = a.n_labelled, b.n_labelled
    refuse_few(*n)
    distance = _distance((a.n_positive, b.n_positive), n, _level(claim))
    found = (shares("coverage", a, b), distance)
    return Comparison(paired=False, n_a=n[0], n_b=n[1], differences=found)


def _level(claim: str) -> float:
    level = level_of(claim)
    if level is None:
        message = f"{claim} has no level"
        raise ValueError(message)
    return level


def _ends(positive: int, n: int) -> tuple[float, float, float]:
    low, high = wilson(np.array([positive]), np.array([n]))
    return positive / n, float(low[0]), float(high[0])


def _shares(positive: tuple[int, int], n: tuple[int, int]) -> Difference:
    return mover("coverage", _ends(positive[0], n[0]), _ends(positive[1], n[1]))


def _distance(positive: tuple[int, int], n: tuple[int, int], level: float) -> Difference:
    """How far each coverage is from what is promised, by what its interval allows."""
    a, b = (_folded(_ends(k, of), level) for k, of in zip(positive, n, strict=True))
    return mover("coverage_error", a, b)


def _folded(ends: tuple[float, float, float], level: float) -> tuple[float, float, float]:
    value, low, high = (abs(each - level) for each in ends)
    least = 0.0 if ends[1] <= level <= ends[2] else min(low, high)
    return value, least, max(low, high)


def _means(
    metric: str, a: NDArray[np.float64], b: NDArray[np.float64], *, paired: bool
) -> Difference:
    """Means of the same rows, or of different ones (Welch 1947, large samples)."""
    value_a, value_b = float(a.mean()), float(b.mean())
    if paired:
        variance = float(np.var(a - b, ddof=1)) / len(a)
    else:
        variance = float(np.var(a, ddof=1)) / len(a) + float(np.var(b, ddof=1)) / len(b)
    half, apart = Z_95 * float(np.sqrt(variance)), value_a - value_b
    method = "paired means" if paired else "means"
    return Difference(metric, value_a, value_b, apart, apart - half, apart + half, method)
