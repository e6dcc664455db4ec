"""Metrics: every estimate that is shown for a span, from its counts alone.

Guarantees: equal-width ECE, Brier and log loss are those of the raw rows up to the fixed point's
1e-9 a row; AUROC, slope and intercept are within the micro-bins' resolution (about 1e-4); counts
that do not decide an estimate give NaN for it. Must never: raise or warn on any counts, or look
at unlabelled rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.debiased_ece import debiased_ece
from monitor.core.measures.logistic import fit_logistic, nodes
from monitor.core.measures.moments import ClassMoments, moments_of
from monitor.core.measures.wilson import wilson
from monitor.core.verdicts import BinEstimate, Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

NAN = float("nan")
SHOWN_BINS = 15
UNIFORM_WIDTH = np.sqrt(12.0)
"""Width of a uniform distribution in units of its standard deviation."""


def metrics(counts: BinCounts, moments: ClassMoments | None = None) -> Metrics:
    """All estimates of the labelled rows; everything but `n` is NaN without labels.

    The three Murphy parts are over 15 equal-width bins (Murphy 1973), so brier differs from
    reliability - resolution + uncertainty by what happens within bins: the variance of the scores
    minus twice their covariance with the outcomes (Stephenson, Coelho and Jolliffe 2008).
    moments: of the same counts, if they are at hand.
    """
    total = counts.totals
    n, positive = total[1], total[2]
    moments = ClassMoments.of(counts) if moments is None else moments
    fit = fit_logistic(nodes(moments))
    debiased = debiased_ece(counts)
    by_15 = _labelled_bins(counts, SHOWN_BINS)
    reliability, resolution, uncertainty = _murphy(by_15)
    share, gap = _gaps(by_15)
    mean_score = total[3] / (FIXED_POINT * n) if n else NAN
    base_rate = positive / n if n else NAN
    return Metrics(
        n=n,
        ece_10=equal_width_ece(counts, 10),
        ece_15=_mean_gap(share, gap),
        ece_20=equal_width_ece(counts, 20),
        mce_15=_largest_gap(gap),
        ece_debiased=debiased.value,
        ece_debiased_low=debiased.low,
        ece_debiased_high=debiased.high,
        brier=_brier(total),
        brier_reliability=reliability,
        brier_resolution=resolution,
        brier_uncertainty=uncertainty,
        log_loss=total[6] / (FIXED_POINT * n) if n else NAN,
        auroc=ranking(moments.mean, moments),
        mean_score=mean_score,
        base_rate=base_rate,
        gap=mean_score - base_rate,
        slope=fit.slope,
        slope_se=fit.slope_se,
        intercept=fit.intercept,
        intercept_se=fit.intercept_se,
    )


def metrics_of(
    counts: Sequence[BinCounts], moments: Sequence[ClassMoments] | None = None
) -> list[Metrics]:
    """As `metrics`, of each; what is in the batch besides changes no bit of it."""
    of_each = moments_of(counts) if moments is None else moments
    return [metrics(*one) for one in zip(counts, of_each, strict=True)]


def reliability_bins(counts: BinCounts, bins: int = SHOWN_BINS) -> tuple[BinEstimate, ...]:
    """All `bins` equal-width bins in order; an empty one has n = 0 and NaN estimates.

    Raises ValueError unless `bins` divides 60.
    """
    merged = counts.equal_width(bins)
    n, positive = merged[:, 1], merged[:, 2]
    with np.errstate(invalid="ignore"):
        mean_score, observed = merged[:, 3] / (n * float(FIXED_POINT)), positive / n
    low, high = wilson(positive, n)
    columns = (n.tolist(), mean_score.tolist(), observed.tolist(), low.tolist(), high.tolist())
    return tuple(
        BinEstimate(k / bins, (k + 1) / bins, *estimates)
        for k, estimates in enumerate(zip(*columns, strict=True))
    )


def reliability_bins_of(
    counts: Sequence[BinCounts], bins: int = SHOWN_BINS
) -> list[tuple[BinEstimate, ...]]:
    """As `reliability_bins`, of each; what is in the batch besides changes no bit of it."""
    return [reliability_bins(each, bins) for each in counts]


def equal_width_ece(counts: BinCounts, bins: int) -> float:
    """Mean |rate - mean score| over right-closed bins (Guo 2017, eq. 3); NaN without labels."""
    return _mean_gap(*_gaps(_labelled_bins(counts, bins)))


def equal_width_mce(counts: BinCounts, bins: int) -> float:
    """Largest |rate - mean score| of a bin (Guo 2017, eq. 5); NaN without labels."""
    return _largest_gap(_gaps(_labelled_bins(counts, bins))[1])


def brier(counts: BinCounts) -> float:
    """Mean (score - outcome)^2, exact from the sums; NaN without labels (Brier 1950)."""
    return _brier(counts.totals)


def _brier(total: Sequence[int]) -> float:
    """From the sums of all bins, columns as in SUMS."""
    _, n, positive, _, square, score_positive, _ = total
    if not n:
        return NAN
    return (square - 2 * score_positive + FIXED_POINT * positive) / (FIXED_POINT * n)


def murphy(counts: BinCounts) -> tuple[float, float, float]:
    """Reliability, resolution and uncertainty over 15 equal-width bins; NaN without labels."""
    return _murphy(_labelled_bins(counts, SHOWN_BINS))


def _murphy(merged: NDArray[np.int64]) -> tuple[float, float, float]:
    if not len(merged):
        return NAN, NAN, NAN
    n = merged[:, 1].astype(np.float64)
    share, rate = n / n.sum(), merged[:, 2] / n
    base_rate = float(share @ rate)
    reliability = float(share @ (merged[:, 3] / (n * FIXED_POINT) - rate) ** 2)
    return reliability, float(share @ (rate - base_rate) ** 2), base_rate * (1 - base_rate)


def auroc(counts: BinCounts) -> float:
    """P(score of a positive > score of a negative) + P(equal) / 2; NaN with one class only.

    Pairs of different micro-bins are counted exactly (Mann and Whitney 1947).
    """
    moments = ClassMoments.of(counts)
    return ranking(moments.mean, moments)


def ranking(order: NDArray[np.float64], moments: ClassMoments) -> float:
    """AUROC when micro-bins rank by `order`, shape (labelled bins,); equal ones tie by halves.

    Within a micro-bin, two uniform densities with a linear tilt give .5 + (difference of the class
    means) / width to first order, with the width taken from the scores' own spread, so that ties
    count by halves; it is exact for two rows.
    """
    positive, negative = moments.n_positive, moments.n_negative
    pairs = positive.sum() * negative.sum()
    if not pairs:
        return NAN
    width = UNIFORM_WIDTH * np.where(moments.sd > 0, moments.sd, 1.0)
    lead = (moments.mean_positive - moments.mean_negative) / width
    lead = np.minimum(np.maximum(lead, -0.5), 0.5)
    lead[(moments.sd == 0) | (positive == 0) | (negative == 0)] = 0.0
    place = np.arange(len(order))
    if not (order[1:] > order[:-1]).all():
        _, place = np.unique(order, return_inverse=True)
    level_negative = np.bincount(place, negative)
    lower_or_half = np.cumsum(level_negative) - level_negative / 2
    won = positive @ lower_or_half[place] + (positive * negative) @ lead
    return float(won / pairs)


def _labelled_bins(counts: BinCounts, bins: int) -> NDArray[np.int64]:
    merged = counts.equal_width(bins)
    return merged[merged[:, 1] > 0]


def _gaps(merged: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the labels and rate minus mean score of each labelled equal-width bin."""
    n = merged[:, 1]
    gap = (merged[:, 2] * FIXED_POINT - merged[:, 3]) / (n * float(FIXED_POINT))
    return n / max(1, int(n.sum())), gap


def _mean_gap(share: NDArray[np.float64], gap: NDArray[np.float64]) -> float:
    return float(share @ np.abs(gap)) if len(share) else NAN


def _largest_gap(gap: NDArray[np.float64]) -> float:
    return float(np.abs(gap).max()) if len(gap) else NAN
