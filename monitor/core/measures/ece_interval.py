"""Root mean square calibration error, with an interval that covers for honest and wrong models.

Guarantees: the interval contains the estimate, starts at 0 unless honesty is excluded at
(1 - level) / 2, and lies in [0, 1]. Must never: raise or warn on any counts, or be read as ECE: by
Jensen's inequality it is ECE's upper bound, so its upper end bounds ECE too.

Model. As in debiased_ece.py: over at most 15 equal-mass bins of 25 labels or more, the observed
gap d_b is normal about the true gap mu_b with standard error se_b; the target is the root of the
sum of w_b mu_b^2. T = sum of w_b d_b^2 has a mean of sum w_b se_b^2 too much (Kumar 2019, arXiv
1909.10155; Brocker 2012). Its law is quite another for honest models (a weighted chi-square, error
1 / n) than for wrong ones (normal, error 1 / sqrt(n)), as Sun, Chaudhari, Barnett and Dobriban
show (arXiv 2408.08998). Here one scaled noncentral chi-square stands for both (Satterthwaite 1946):
its mean is T's, its variance at least T's, both when honest and when wrong. All target values that
it does not reject form the interval. `tests/benchmarks/bench_ece_coverage.py` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.debiased_ece import mass_bins
from monitor.core.measures.noncentral import noncentrality_end
from monitor.core.measures.wilson import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.measures.debiased_ece import MassBins

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class RmsCalibrationError:
    """Root mean square of P(outcome | score) - score over the scores, debiased, with an interval.

    NaN without labels.
    """

    value: float
    low: float
    high: float


def rms_calibration_error(counts: BinCounts, level: float = 0.95) -> RmsCalibrationError:
    """Estimate and equal-tailed interval of that level from the labelled rows."""
    if not counts.n_labelled:
        return RmsCalibrationError(NAN, NAN, NAN)
    bins = mass_bins(counts)
    found = float(bins.share @ bins.gap**2)
    noise = float(bins.share @ bins.se**2)
    tail = (1 - level) / 2
    scale = _scale_of_size(bins, found, counts.n_labelled)
    low = _end(found, bins.share, bins.se_honest, scale, 1 - tail)
    high = max(_end(found, bins.share, bins.se, scale, tail), _gap_end(counts))
    value = min(1.0, max(low, float(np.sqrt(max(0.0, found - noise)))))
    return RmsCalibrationError(value, min(low, value), min(1.0, max(high, value)))


def _scale_of_size(bins: MassBins, found: float, n: int) -> float:
    """Variance of T that a mean square error t adds, in units of 4 t, where deviations seem to lie.

    Sampling adds 4 sum of w^2 mu^2 se^2; that the scores are themselves a sample adds the variance
    of mu^2 between scores, over n.
    """
    if not found > 0:
        return 0.0
    square, error = bins.gap**2, bins.se**2
    sampling = float(bins.share**2 @ (square * error)) / found
    apart = bins.share @ ((square - found) ** 2 - 2 * error * (error + 2 * square))
    return sampling + max(0.0, float(apart)) / (4 * found * n)


def _end(
    found: float,
    share: NDArray[np.float64],
    se: NDArray[np.float64],
    scale_of_size: float,
    below: float,
) -> float:
    """Target value at which T <= found has the probability `below`; 0 if even 0 has less.

    scale * (noncentral chi-square) of noncentrality t / scale has a variance of 4 scale * t more
    than at t = 0: the larger of the scales that fit the noise and the size is taken.
    """
    mean, spread = float(share @ se**2), float(share**2 @ se**4)
    if not spread > 0:
        return float(np.sqrt(found))
    scale = max(spread / mean, scale_of_size)
    return float(np.sqrt(scale * noncentrality_end(found / scale, mean / scale, below)))


def _gap_end(counts: BinCounts) -> float:
    """Largest distance of the mean score from the Wilson interval of the rate (95 %).

    No root mean square is below the overall gap; this decides with a handful of labels, or with
    scores of 0 or 1 that were never wrong, where the normal law has no error.
    """
    n = counts.n_labelled
    mean = float(counts.score_sum.sum()) / (n * FIXED_POINT)
    low, high = wilson(np.array([counts.n_positive]), np.array([n]))
    return max(abs(float(low[0]) - mean), abs(float(high[0]) - mean))
