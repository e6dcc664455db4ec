"""Debiased ECE: how far the scores are from honest, without what noise alone adds, and how surely.

Guarantees: deterministic; the interval contains the estimate; it starts at 0 unless honesty is
excluded. Must never: be read as raw ECE, which is large for an honest model with few labels.

Model. Labels are independent given the scores, and the target is the mean over the scores seen of
|P(outcome | score) - score|. Rows are merged to at most 15 bins of equal mass and at least 25
labels. In bin b, with share w_b of the labels, the observed gap d_b (outcomes minus scores) is
normal about the true gap mu_b with standard error se_b; D = sum of w_b |d_b|. Wobble that whole
days share is not in se_b: with it, the interval is too short. `tests/benchmarks/metric_coverage.py`
measures the coverage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.wilson import wilson_of
from monitor.core.runs import run_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

MAX_BINS = 15
MIN_BIN_LABELS = 25
PRIOR_ROWS = 1.0
"""Rows that agree with the score, added to each bin so that no bin claims to have no variance."""
Z_UPPER = 1.96
Z_LOWER = 2.24
"""Normal quantiles: .975 for the upper end; .9875 for the lower end, which has a second bound."""
Z_ONE_CHANGE = 2.97
"""97.5 % quantile of max over c of |2 B(c) - B(1)|, B a Brownian motion seen at 15 points
(400,000 draws; fewer bins have a smaller one)."""
NULL_SHARE = np.sqrt(2 / np.pi)
"""Mean of |normal(0, 1)|."""
_U = np.linspace(0.0, 8.0, 2049)


@dataclass(frozen=True, slots=True)
class DebiasedEce:
    """Estimate with a 95 % interval; probabilities."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class MassBins:
    """Equal-mass bins in the order of their scores; all arrays of shape (bins,).

    se is for the rates as they seem to be; se_honest lies between that and the scores' own
    p (1 - p), which is the right one when testing whether the scores are honest.
    """

    share: NDArray[np.float64]
    gap: NDArray[np.float64]
    se: NDArray[np.float64]
    se_honest: NDArray[np.float64]


def debiased_ece(counts: BinCounts) -> DebiasedEce:
    """Estimate of ECE and 95 % interval from labelled rows; NaN without any.

    The estimate is the size of a deviation spread evenly over the bins (|mu_b| = u se_b) for which
    the expected D equals the observed one, 0 where D is below what honest scores give: it undoes
    the bias of an absolute value (Roelofs 2022, arXiv 2012.08668) by inversion instead of one
    subtraction (Kumar 2019, arXiv 1909.10155), which leaves less of it at honest scores. As ECE
    is at least the overall gap, the estimate is at least that gap without its own noise.
    """
    if not counts.n_labelled:
        return DebiasedEce(float("nan"), float("nan"), float("nan"))
    bins = mass_bins(counts)
    found = debiased_size(bins, float(np.linalg.norm(bins.share * bins.se)))
    return replace(found, high=min(1.0, max(found.high, _largest_gap(counts))))


def debiased_size(bins: MassBins, error: float) -> DebiasedEce:
    """Estimate and interval of the sum of w_b |mu_b|; error: standard error of the overall gap."""
    low = _lower(bins)
    spread = float(bins.share @ bins.se)
    observed = float(bins.share @ np.abs(bins.gap))
    overall = math.sqrt(max(0.0, float(bins.share @ bins.gap) ** 2 - error**2))
    value = max(low, overall, _matching(observed, spread, 0.0))
    return DebiasedEce(value, low, max(value, _matching(observed, spread, Z_UPPER * error)))


def mass_bins(counts: BinCounts) -> MassBins:
    """Labelled micro-bins merged to equal mass; tied scores stay together, empty bins vanish."""
    _, sums = counts.held
    total = sums[:, 1].sum()
    bins = min(max(int(total) // MIN_BIN_LABELS, 1), MAX_BINS)
    # A micro-bin goes where its middle row lies: integers, so the same on every machine.
    middle = 2 * np.cumsum(sums[:, 1]) - sums[:, 1]
    merged = np.add.reduceat(sums, run_starts(middle * bins // (2 * total)), axis=0)
    n, positive = merged[:, 1].astype(np.float64), merged[:, 2]
    promised = np.minimum(np.maximum(merged[:, 3] / (n * FIXED_POINT), 0.0), 1.0)
    seen = (positive + PRIOR_ROWS * promised) / (n + PRIOR_ROWS)
    variance, honest = seen * (1 - seen) / n, promised * (1 - promised) / n
    return MassBins(
        share=n / n.sum(),
        gap=positive / n - promised,
        se=np.sqrt(variance),
        se_honest=np.sqrt((variance + honest) / 2),
    )


def _lower(bins: MassBins) -> float:
    """The larger of two lower bounds of sum w_b |mu_b|; both hold whatever the gaps are.

    Any signs fixed beforehand give an unbiased sum below the target. The first bound takes the
    best of all signs with at most one change from low to high scores (shifts and wrong slopes) and
    pays for the choice. The second is D minus its mean under honesty, which no deviation exceeds
    by more than its own size (|mu + e| <= |mu| + |e|): local deviations.
    """
    error = bins.share * bins.se_honest
    partial = np.cumsum(bins.share * bins.gap)
    one_change = np.abs(2 * partial - partial[-1]).max() - Z_ONE_CHANGE * np.linalg.norm(error)
    # Variance under honesty, but for one bin (the noisiest) that may carry all of the deviation.
    variance = (1 - NULL_SHARE**2) * (error @ error) + NULL_SHARE**2 * error.max() ** 2
    any_signs = bins.share @ np.abs(bins.gap) - NULL_SHARE * error.sum() - Z_LOWER * variance**0.5
    return max(0.0, float(one_change), float(any_signs))


def _matching(observed: float, spread: float, tail: float) -> float:
    """Deviation u * spread with E[D] - tail * (sd of |normal(u, 1)|) = observed; at least 0.

    An evenly spread deviation has the smallest E[D] of all of its size (the folded mean is
    convex), so with a tail of z standard errors this is the largest size that D does not exclude.
    """
    if spread <= 0:
        return observed
    mean, sd = _folded()
    reached = mean * spread - tail * sd
    if observed >= reached[-1]:
        return observed + tail
    return float(np.interp(observed, reached, _U)) * spread


@cache
def _folded() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and sd of |normal(u, 1)| at _U (Leone, Nelson and Nottingham 1961); beyond it, u."""
    from scipy.special import ndtr  # noqa: PLC0415  # most commands never need it; it takes long

    mean = 2 * np.exp(-_U * _U / 2) / np.sqrt(2 * np.pi) + _U * (2 * ndtr(_U) - 1)
    return mean, np.sqrt(np.maximum(1 + _U * _U - mean * mean, 0.0))


def _largest_gap(counts: BinCounts) -> float:
    """Largest distance of the mean score from the overall rate's Wilson interval.

    ECE is at least the gap, so no upper end may lie below a gap that the labels do not exclude;
    this decides with a handful of labels, or with scores of 0 or 1 that were never wrong.
    """
    n = counts.n_labelled
    mean = float(counts.totals[3]) / (n * FIXED_POINT)
    low, high = wilson_of(counts.n_positive, n)
    return max(abs(low - mean), abs(high - mean))
