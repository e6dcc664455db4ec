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

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.held import Held
from monitor.core.measures.wilson import wilson_of
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

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
U_STEP, LAST = 1 / 256, 2048


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
    return debiased_of([counts], *mass_bins_of(Held.in_all([counts])))[0]


def debiased_of(counts: Sequence[BinCounts], bins: MassBins, of: Segments) -> list[DebiasedEce]:
    """As `debiased_ece`, of series that all have labels; bins: theirs, one after the other."""
    error = bins.share * bins.se
    found = debiased_sizes(bins, of, np.sqrt(of.sums(error * error)))
    return [
        replace(size, high=min(1.0, max(size.high, _largest_gap(each))))
        for each, size in zip(counts, found, strict=True)
    ]


def debiased_size(bins: MassBins, error: float) -> DebiasedEce:
    """Estimate and interval of the sum of w_b |mu_b|; error: standard error of the overall gap."""
    return debiased_sizes(bins, Segments.of([len(bins.share)]), np.array([error]))[0]


def debiased_sizes(bins: MassBins, of: Segments, error: NDArray[np.float64]) -> list[DebiasedEce]:
    """As `debiased_size`, of series whose bins lie one after the other; error: (series,)."""
    noise, moved = bins.share * bins.se_honest, bins.share * bins.gap
    spread, gap = of.sums(bins.share * bins.se), of.sums(moved)
    observed = of.sums(np.abs(moved))
    low = _lower(noise, moved, observed, of)
    overall = np.sqrt(np.maximum(0.0, gap * gap - error * error))
    in_all = (low, np.maximum(low, overall), observed, spread, error)
    return [_sized(*each) for each in zip(*(each.tolist() for each in in_all), strict=True)]


def _sized(low: float, least: float, observed: float, spread: float, error: float) -> DebiasedEce:
    """least: a bound that the estimate must not lie below."""
    value = max(least, _matching(observed, spread, 0.0))
    return DebiasedEce(value, low, max(value, _matching(observed, spread, Z_UPPER * error)))


def mass_bins(counts: BinCounts) -> MassBins:
    """Labelled micro-bins merged to equal mass; tied scores stay together, empty bins vanish."""
    return mass_bins_of(Held.in_all([counts]))[0]


def mass_bins_of(held: Held) -> tuple[MassBins, Segments]:
    """As `mass_bins`, of series that all have labels, one after the other, and where they lie."""
    labels = held.sums[:, 1]
    total = held.of.sums(labels)
    bins = np.minimum(np.maximum(total // MIN_BIN_LABELS, 1), MAX_BINS)
    # A micro-bin goes where its middle row lies: integers, so the same on every machine.
    middle = 2 * held.of.below(labels) + labels
    owner = middle * held.of.beside(bins) // (2 * held.of.beside(total))
    sums, of = held.merged(owner, MAX_BINS)
    n, positive, score = sums[:, 1].astype(np.float64), sums[:, 2], sums[:, 3]
    promised = np.minimum(np.maximum(score / (n * FIXED_POINT), 0.0), 1.0)
    seen = (positive + PRIOR_ROWS * promised) / (n + PRIOR_ROWS)
    variance, honest = seen * (1 - seen) / n, promised * (1 - promised) / n
    found = MassBins(
        share=n / of.beside(total),
        gap=positive / n - promised,
        se=np.sqrt(variance),
        se_honest=np.sqrt((variance + honest) / 2),
    )
    return found, of


def _lower(
    error: NDArray[np.float64],
    moved: NDArray[np.float64],
    observed: NDArray[np.float64],
    of: Segments,
) -> NDArray[np.float64]:
    """The larger of two lower bounds of sum w_b |mu_b|; both hold whatever the gaps are.

    Any signs fixed beforehand give an unbiased sum below the target. The first bound takes the
    best of all signs with at most one change from low to high scores (shifts and wrong slopes) and
    pays for the choice. The second is D minus its mean under honesty, which no deviation exceeds
    by more than its own size (|mu + e| <= |mu| + |e|): local deviations.

    error, moved: w_b se_b if honest, and w_b d_b, (bins,); observed: D, (series,).
    """
    square, null = of.sums(error * error), of.sums(error)
    partial = of.cumulated(moved)
    whole = partial[of.first + of.sizes - 1]
    most = of.reduced(np.maximum, np.abs(2 * partial - of.beside(whole)), 0.0)
    one_change = most - Z_ONE_CHANGE * np.sqrt(square)
    # Variance under honesty, but for one bin (the noisiest) that may carry all of the deviation.
    noisiest = of.reduced(np.maximum, error, 0.0)
    variance = (1 - NULL_SHARE**2) * square + NULL_SHARE**2 * noisiest**2
    any_signs = observed - NULL_SHARE * null - Z_LOWER * np.sqrt(variance)
    return np.asarray(np.maximum(0.0, np.maximum(one_change, any_signs)), dtype=np.float64)


def _matching(observed: float, spread: float, tail: float) -> float:
    """Deviation u * spread with E[D] - tail * (sd of |normal(u, 1)|) = observed; at least 0.

    An evenly spread deviation has the smallest E[D] of all of its size (the folded mean is
    convex), so with a tail of z standard errors this is the largest size that D does not exclude.
    """
    if spread <= 0:
        return observed
    mean, sd = _folded()

    def reached(k: int) -> float:
        return mean[k] * spread - tail * sd[k]

    if observed >= reached(LAST):
        return observed + tail
    above = bisect_right(range(LAST), observed, key=reached)
    if not above:
        return 0.0
    start = reached(above - 1)
    return (above - 1 + (observed - start) / (reached(above) - start)) * U_STEP * spread


@cache
def _folded() -> tuple[list[float], list[float]]:
    """Mean and sd of |normal(u, 1)| at each u = k U_STEP (Leone, Nelson and Nottingham 1961).

    From the last one on, the mean is u and the sd is 1.
    """
    from scipy.special import ndtr  # noqa: PLC0415  # most commands never need it; it takes long

    u = np.arange(LAST + 1) * U_STEP
    mean = 2 * np.exp(-u * u / 2) / np.sqrt(2 * np.pi) + u * (2 * ndtr(u) - 1)
    return mean.tolist(), np.sqrt(np.maximum(1 + u * u - mean * mean, 0.0)).tolist()


def _largest_gap(counts: BinCounts) -> float:
    """Largest distance of the mean score from the overall rate's Wilson interval.

    ECE is at least the gap, so no upper end may lie below a gap that the labels do not exclude;
    this decides with a handful of labels, or with scores of 0 or 1 that were never wrong.
    """
    n = counts.n_labelled
    mean = float(counts.totals[3]) / (n * FIXED_POINT)
    low, high = wilson_of(counts.n_positive, n)
    return max(abs(low - mean), abs(high - mean))
