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
from monitor.core.measures.debiased_ece import debiased_of, mass_bins_of
from monitor.core.measures.equal_width import WidthBins
from monitor.core.measures.held import Held
from monitor.core.measures.logistic import fit_logistics, nodes_of
from monitor.core.measures.moments import ClassMoments, joined_moments
from monitor.core.measures.wilson import wilson
from monitor.core.segments import Segments
from monitor.core.verdicts import BinEstimate, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.measures.debiased_ece import DebiasedEce
    from monitor.core.measures.logistic import LogisticFit

NAN = float("nan")
UNLABELLED = Metrics(0, *[NAN] * 20)
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
    return metrics_of([counts], None if moments is None else [moments])[0]


def metrics_of(
    counts: Sequence[BinCounts], moments: Sequence[ClassMoments] | None = None
) -> list[Metrics]:
    """As `metrics`, of each; what is in the batch besides changes no bit of it."""
    found = [UNLABELLED] * len(counts)
    asked = [k for k, each in enumerate(counts) if each.n_labelled]
    if asked:
        labelled = [counts[k] for k in asked]
        held = Held.in_all(labelled)
        if moments is None:
            joined = ClassMoments.of_rows(held)
        else:
            joined = joined_moments([moments[k] for k in asked])
        for k, each in zip(asked, _metrics_of(labelled, held, joined), strict=True):
            found[k] = each
    return found


def _metrics_of(counts: Sequence[BinCounts], held: Held, moments: ClassMoments) -> list[Metrics]:
    """Of series that all have labels; held, moments: theirs, one after the other."""
    finest = WidthBins.of(counts)
    by_10, by_15, by_20 = (finest.coarser(bins) for bins in (10, SHOWN_BINS, 20))
    in_bins = [
        *(each.mean_gap() for each in (by_10, by_15, by_20)),
        *(by_15.largest_gap(), *by_15.murphy(), areas(moments.mean, moments, held.of)),
    ]
    fits = fit_logistics(*nodes_of(moments, held.of))
    debiased = debiased_of(counts, *mass_bins_of(held))
    of_each: Iterable[tuple[float, ...]] = zip(*(each.tolist() for each in in_bins), strict=True)
    return [
        _metrics(each.totals, in_bin, ece, fit)
        for each, in_bin, ece, fit in zip(counts, of_each, debiased, fits, strict=True)
    ]


def _metrics(
    total: Sequence[int], in_bins: Sequence[float], debiased: DebiasedEce, fit: LogisticFit
) -> Metrics:
    """From the sums of all bins, columns as in SUMS, and what was found beside them."""
    n, positive = total[1], total[2]
    ece_10, ece_15, ece_20, mce_15, reliability, resolution, uncertainty, area = in_bins
    mean_score, base_rate = total[3] / (FIXED_POINT * n), positive / n
    return Metrics(
        n=n,
        ece_10=ece_10,
        ece_15=ece_15,
        ece_20=ece_20,
        mce_15=mce_15,
        ece_debiased=debiased.value,
        ece_debiased_low=debiased.low,
        ece_debiased_high=debiased.high,
        brier=_brier(total),
        brier_reliability=reliability,
        brier_resolution=resolution,
        brier_uncertainty=uncertainty,
        log_loss=total[6] / (FIXED_POINT * n),
        auroc=area,
        mean_score=mean_score,
        base_rate=base_rate,
        gap=mean_score - base_rate,
        slope=fit.slope,
        slope_se=fit.slope_se,
        intercept=fit.intercept,
        intercept_se=fit.intercept_se,
    )


def reliability_bins(counts: BinCounts, bins: int = SHOWN_BINS) -> tuple[BinEstimate, ...]:
    """All `bins` equal-width bins in order; an empty one has n = 0 and NaN estimates.

    Raises ValueError unless `bins` divides 60.
    """
    return reliability_bins_of([counts], bins)[0]


def reliability_bins_of(
    counts: Sequence[BinCounts], bins: int = SHOWN_BINS
) -> list[tuple[BinEstimate, ...]]:
    """As `reliability_bins`, of each; what is in the batch besides changes no bit of it."""
    found = WidthBins.of(counts, bins)
    n, positive = found.n, found.positive
    with np.errstate(invalid="ignore"):
        mean_score = (positive * FIXED_POINT - found.missed) / (n * float(FIXED_POINT))
        observed = positive / n
    low, high = wilson(positive, n)
    columns = [each.tolist() for each in (n, mean_score, observed, low, high)]
    edges = [(k / bins, (k + 1) / bins) for k in range(bins)]
    return [
        tuple(
            BinEstimate(*edge, *estimates) for edge, *estimates in zip(edges, *of_one, strict=True)
        )
        for of_one in zip(*columns, strict=True)
    ]


def equal_width_ece(counts: BinCounts, bins: int) -> float:
    """Mean |rate - mean score| over right-closed bins (Guo 2017, eq. 3); NaN without labels."""
    return float(_width_bins(counts, bins).mean_gap()[0]) if counts.n_labelled else NAN


def brier(counts: BinCounts) -> float:
    """Mean (score - outcome)^2, exact from the sums; NaN without labels (Brier 1950)."""
    return _brier(counts.totals) if counts.n_labelled else NAN


def _brier(total: Sequence[int]) -> float:
    """From the sums of all bins, columns as in SUMS; there is a label."""
    _, n, positive, _, square, score_positive, _ = total
    return (square - 2 * score_positive + FIXED_POINT * positive) / (FIXED_POINT * n)


def murphy(counts: BinCounts) -> tuple[float, float, float]:
    """Reliability, resolution and uncertainty over 15 equal-width bins; NaN without labels."""
    if not counts.n_labelled:
        return NAN, NAN, NAN
    reliability, resolution, uncertainty = _width_bins(counts, SHOWN_BINS).murphy()
    return float(reliability[0]), float(resolution[0]), float(uncertainty[0])


def _width_bins(counts: BinCounts, bins: int) -> WidthBins:
    return WidthBins.of([counts], bins)


def auroc(counts: BinCounts) -> float:
    """P(score of a positive > score of a negative) + P(equal) / 2; NaN with one class only.

    Pairs of different micro-bins are counted exactly (Mann and Whitney 1947).
    """
    moments = ClassMoments.of(counts)
    return ranking(moments.mean, moments)


def ranking(order: NDArray[np.float64], moments: ClassMoments) -> float:
    """AUROC when micro-bins rank by `order`, shape (labelled bins,); equal ones tie by halves."""
    return float(areas(order, moments, Segments.of([len(order)]))[0])


def areas(order: NDArray[np.float64], moments: ClassMoments, of: Segments) -> NDArray[np.float64]:
    """As `ranking`, of series whose moments lie one after the other; (series,).

    Within a micro-bin, two uniform densities with a linear tilt give .5 + (difference of the class
    means) / width to first order, with the width taken from the scores' own spread, so that ties
    count by halves; it is exact for two rows.
    """
    positive, negative = moments.n_positive, moments.n_negative
    both = positive * negative
    width = UNIFORM_WIDTH * np.where(moments.sd > 0, moments.sd, 1.0)
    lead = (moments.mean_positive - moments.mean_negative) / width
    lead = np.minimum(np.maximum(lead, -0.5), 0.5)
    lead[moments.sd == 0] = 0.0
    place = _places(order, of)
    level = negative
    if place is not None:
        level = np.bincount(place, negative, len(order)).astype(np.float64)
    lower_or_half = of.below(level) + level / 2
    if place is not None:
        lower_or_half = lower_or_half[place]
    pairs = of.sums(positive) * of.sums(negative)
    won = of.sums(positive * lower_or_half + both * lead)
    return np.where(pairs > 0, won / np.maximum(pairs, 1.0), NAN)


def _places(order: NDArray[np.float64], of: Segments) -> NDArray[np.int64] | None:
    """Where each micro-bin's level stands, from its series' first on; None if all rise by `order`.

    Equal ones of a series share a level.
    """
    rises = order[1:] > order[:-1]
    rises[of.first[of.sizes > 0][1:] - 1] = True  # from one series to the next
    if rises.all():
        return None
    levels = [
        first + np.unique(each, return_inverse=True)[1]
        for first, each in zip(of.first.tolist(), of.apart(order), strict=True)
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *levels])
