"""Usefulness: whether honest scores also tell the outcomes apart.

Guarantees: the resolution has its noise taken off and an interval; a model is called useless only
when the interval excludes usefulness, not for want of labels. Must never: raise or warn on any
counts, or give a state without a reason.

A model that always says the base rate is perfectly calibrated and useless. Sharpness is the
variance of its scores; resolution is the variance of the outcome's rate between scores (Murphy
1973), here as a share of the uncertainty r (1 - r): 0 when the rate is the same at all scores,
1 when the outcome is known from the score. It is invariant to recalibration but for its bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.auroc import intervals_about
from monitor.core.measures.equal_mass_ece import equal_mass_rows
from monitor.core.measures.held import Held
from monitor.core.measures.metrics import metrics_of
from monitor.core.measures.moments import joined_moments, moments_of
from monitor.core.measures.noncentral import noncentrality_intervals
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.bins import BinCounts
    from monitor.core.measures.auroc import Auroc
    from monitor.core.measures.moments import ClassMoments
    from monitor.core.verdicts import Metrics

NAN = float("nan")
MAX_BINS = 15
MIN_BIN_LABELS = 25
USELESS_SHARE = 0.01
"""Share of the uncertainty below which scores tell next to nothing: between normal scores of two
equally frequent classes, an AUROC of about .56."""
USELESS_AUROC = 0.6
"""AUROC that a useless model must be shown to stay below, and above 1 less it. Of a rare event the
best scores explain little: its share of the uncertainty alone would call good models useless."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Sharpness and resolution; NaN where the labels decide none.

    sharpness: variance of the scores. uncertainty: r (1 - r) at base rate r. share: resolution /
    uncertainty without noise, with an interval; resolution = share * uncertainty.
    """

    sharpness: float
    uncertainty: float
    share: float
    share_low: float
    share_high: float

    @property
    def resolution(self) -> float:
        """Variance of the outcome's rate between scores, without noise."""
        return self.share * self.uncertainty


class Use(StrEnum):
    """What is known of a model's power to tell outcomes apart."""

    USEFUL = "useful"
    USELESS = "useless"
    UNPROVEN = "unproven"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Usefulness:
    """A state and one sentence that says why; honest: no calibration error is proven."""

    use: Use
    honest: bool
    reason: str
    resolution: Resolution
    auroc: Auroc


def resolution(counts: BinCounts, level: float = 0.95) -> Resolution:
    """Sharpness and resolution over at most 15 equal-mass bins of 25 labels or more.

    Q, Pearson's chi-square statistic of one rate in all bins, is noncentral chi-square with
    bins - 1 degrees of freedom and noncentrality n * share when labels are independent; the
    interval holds every share whose Q is not too large or too small (test inversion). Outcomes
    that the scores resolve well vary less than r (1 - r), so it is then too wide. The share is of
    the labelled scores that were seen, with bins for scores: differences within a bin are left
    out.
    """
    return resolutions_of([counts], level)[0]


def resolutions_of(counts: Sequence[BinCounts], level: float = 0.95) -> list[Resolution]:
    """As `resolution`, of each; what is in the batch besides changes no bit of it."""
    found = [_undecided(each) for each in counts]
    asked = [k for k, each in enumerate(found) if each.uncertainty > 0]
    if not asked:
        return found
    varied = [counts[k] for k in asked]
    n = np.array([each.n_labelled for each in varied])
    bins = np.minimum(np.maximum(n // MIN_BIN_LABELS, 1), MAX_BINS)
    sums, of = equal_mass_rows(Held.in_all(varied), bins)
    labels, positive = sums[:, 1].astype(np.float64), sums[:, 2]
    rate = np.array([each.n_positive for each in varied]) / n
    from_rate = positive / labels - of.beside(rate)
    statistic = of.sums(labels * (from_rate * from_rate)) / (rate * (1 - rate))
    freedom = of.sizes - 1
    tested = freedom > 0
    low, high = np.zeros(len(n)), np.zeros(len(n))
    low[tested], high[tested] = noncentrality_intervals(
        statistic[tested], freedom[tested].astype(np.float64), level
    )
    share = np.maximum(0.0, statistic - freedom) / n
    shares = np.minimum(1.0, np.stack([share, low / n, high / n], axis=1)).tolist()
    for k, of_one, decided in zip(asked, shares, tested.tolist(), strict=True):
        if decided:
            found[k] = Resolution(found[k].sharpness, found[k].uncertainty, *of_one)
    return found


def _undecided(counts: BinCounts) -> Resolution:
    """What is known before rates are compared: the share where all scores lie in one micro-bin."""
    n = counts.n_labelled
    if not n:
        return Resolution(NAN, NAN, NAN, NAN, NAN)
    mean, square = (total / (FIXED_POINT * n) for total in counts.totals[3:5])
    rate = counts.n_positive / n
    uncertainty = rate * (1 - rate)
    known = 0.0 if uncertainty and _is_constant(counts) else NAN
    return Resolution(max(0.0, square - mean * mean), uncertainty, known, known, known)


def _is_constant(counts: BinCounts) -> bool:
    """Whether all labelled scores lie in one micro-bin."""
    return len(counts.held[0]) == 1


def usefulness(
    counts: BinCounts,
    useless_share: float = USELESS_SHARE,
    *,
    known: Metrics | None = None,
    moments: ClassMoments | None = None,
) -> Usefulness:
    """Whether the scores tell outcomes apart, and why that is said.

    useless: the interval of resolution / uncertainty lies below `useless_share` and that of AUROC
    within .4 to .6; or all scores lie in one micro-bin. useful: the first interval excludes 0 and
    the model is not useless. unproven: neither. unknown: no labels, one class only, or too few
    for two bins. known, moments: of the same counts, if they are at hand.
    """
    of_it = moments_of([counts]) if moments is None else [moments]
    now = metrics_of([counts], of_it) if known is None else [known]
    return usefulness_of([counts], now, of_it, useless_share)[0]


def usefulness_of(
    counts: Sequence[BinCounts],
    known: Sequence[Metrics],
    moments: Sequence[ClassMoments],
    useless_share: float = USELESS_SHARE,
) -> list[Usefulness]:
    """As `usefulness`, of each; what is in the batch besides changes no bit of it."""
    of = Segments.of([len(each.mean) for each in moments])
    ranks = intervals_about([each.auroc for each in known], joined_moments(moments), of)
    columns = (counts, resolutions_of(counts), ranks, known)
    return [
        _used(each, found, rank, useless_share, honest=now.ece_debiased_low <= 0)
        for each, found, rank, now in zip(*columns, strict=True)
    ]


def _used(
    counts: BinCounts, found: Resolution, rank: Auroc, useless_share: float, *, honest: bool
) -> Usefulness:
    if isnan(found.share):
        return Usefulness(
            Use.UNKNOWN, honest=False, reason=_unknown(counts), resolution=found, auroc=rank
        )
    unranked = max(abs(rank.low - 0.5), abs(rank.high - 0.5)) < USELESS_AUROC - 0.5
    if _is_constant(counts) or (found.share_high < useless_share and unranked):
        use = Use.USELESS
    else:
        use = Use.UNPROVEN if found.share_low <= 0 else Use.USEFUL
    return Usefulness(use, honest, _reason(counts, use, found, rank, honest=honest), found, rank)


def _reason(counts: BinCounts, use: Use, found: Resolution, rank: Auroc, *, honest: bool) -> str:
    scores = "The scores are not calibrated"
    if honest:
        scores = "The scores are calibrated as far as the labels can tell"
    explain = (
        f"explain {found.share:.1%} of the outcome's variance "
        f"({found.share_low:.1%} to {found.share_high:.1%}), "
        f"AUROC {rank.value:.3f} ({rank.low:.3f} to {rank.high:.3f})"
    )
    if use is Use.USELESS:
        joined = ", but" if honest else ", and"
        return (
            f"{scores}{joined} the model is useless: its scores {explain}; "
            "a constant would do as well."
        )
    if use is Use.UNPROVEN:
        return (
            f"{scores}; {counts.n_labelled:,} labels do not show that they tell outcomes apart: "
            f"they {explain}."
        )
    return f"{scores}; they {explain}."


def _unknown(counts: BinCounts) -> str:
    n = counts.n_labelled
    missing = "too few labels for two bins"
    if counts.n_positive in {0, n}:
        missing = "labels of one class only" if n else "no labels"
    return f"Whether the scores tell outcomes apart is unknown: {missing}."
