"""Which bins are wrong: every bin tested against its promise, with all tests accounted for.

Guarantees: if all bins are honest, P(any is called wrong) <= alpha, whatever the bins' sizes (Holm
1979 over exact tests). Must never: call a bin wrong by its gap alone, or test an empty bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.measures.metrics import SHOWN_BINS, reliability_bins
from monitor.core.segments import Segments
from monitor.core.verdicts import Direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.verdicts import BinEstimate


LOOK_MARGIN = 1.001
"""Of the level: a look that is not nearer to it makes no tests."""


@dataclass(frozen=True, slots=True)
class BinTest:
    """A bin that holds labels, and its test.

    misplaced: labels' worth of error, n |mean score - observed|. p_value: two-sided, of this bin
    alone; adjusted: after Holm, over all bins that hold labels; off: adjusted <= alpha.
    """

    bin: BinEstimate
    direction: Direction
    misplaced: float
    p_value: float
    adjusted: float
    off: bool


def bin_tests(
    counts: BinCounts, bins: int = SHOWN_BINS, alpha: float = 0.05
) -> tuple[BinTest, ...]:
    """Tests of all equal-width bins that hold labels: wrong ones first, largest `misplaced` first.

    Raises ValueError unless `bins` divides 60.
    """
    return classify(reliability_bins(counts, bins), alpha)


def classify(bins: Sequence[BinEstimate], alpha: float = 0.05) -> tuple[BinTest, ...]:
    """As `bin_tests`, of bins that are at hand.

    The test is exact binomial with the mean score as the probability, twice the smaller tail. The
    rows' promises differ within a bin, so their sum varies less than binomial (Hoeffding 1956):
    the test errs on the safe side.
    """
    held = [b for b in bins if b.n]
    if not held:
        return ()
    n = np.array([b.n for b in held], dtype=np.int64)
    mean = np.clip([b.mean_score for b in held], 0.0, 1.0)
    observed = np.array([b.observed for b in held])
    p_values = _two_sided(np.rint(observed * n).astype(np.int64), n, mean)
    adjusted = holm(p_values)
    found = [
        BinTest(
            bin=each,
            direction=Direction.OVERCONFIDENT if gap > 0 else Direction.UNDERCONFIDENT,
            misplaced=abs(gap) * each.n,
            p_value=p_value,
            adjusted=corrected,
            off=corrected <= alpha,
        )
        for each, gap, p_value, corrected in zip(
            held, (mean - observed).tolist(), p_values.tolist(), adjusted.tolist(), strict=True
        )
    ]
    return tuple(sorted(found, key=lambda test: (not test.off, -test.misplaced)))


def wrong_bins(bins: Sequence[BinEstimate], alpha: float = 0.05) -> tuple[BinTest, ...]:
    """The tests of `classify` that call their bin wrong; a cheaper look where there is none."""
    return wrong_bins_of([bins], alpha)[0]


def wrong_bins_of(
    bins_of_each: Sequence[Sequence[BinEstimate]], alpha: float = 0.05
) -> list[tuple[BinTest, ...]]:
    """As `wrong_bins`, of each series' bins; what is in the batch besides changes no bit of it.

    The look is the same test with the tails of the incomplete beta integral, and a margin far above
    the rounding of either: only where it comes near to a wrong bin are the tests made.
    """
    from scipy.special import bdtr, bdtrc  # noqa: PLC0415  # most commands never need it; it takes long

    held = [[(b.n, b.mean_score, b.observed) for b in bins if b.n] for bins in bins_of_each]
    rows = np.array([row for each in held for row in each]).reshape(-1, 3)
    of = Segments.of([len(each) for each in held])
    n, mean = rows[:, 0].astype(np.int64), np.minimum(np.maximum(rows[:, 1], 0.0), 1.0)
    positive = np.rint(rows[:, 2] * n)
    tails = np.minimum(bdtr(positive, n, mean), bdtrc(positive - 1, n, mean))
    least = 2 * of.reduced(np.minimum, tails, 1.0) * of.sizes
    near = (of.sizes > 0) & (least <= alpha * LOOK_MARGIN)
    return [
        tuple(test for test in classify(bins, alpha) if test.off) if may_be else ()
        for bins, may_be in zip(bins_of_each, near.tolist(), strict=True)
    ]


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Step-down adjusted p-values, shape as given (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    left = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * left))
    return adjusted


def _two_sided(
    positive: NDArray[np.int64], n: NDArray[np.int64], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.stats import binom  # noqa: PLC0415  # most commands never need it; it takes long

    lower, upper = binom.cdf(positive, n, p), binom.sf(positive - 1, n, p)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(lower, upper)), dtype=np.float64)
