"""Selective labelling: whether the labelled predictions score otherwise than the unlabelled.

Guarantees: labelled and unlabelled are compared within each cohort, so a day with few labels and
other scores is not taken for selection; selection that turns from cohort to cohort is scatter, not
a finding. Must never: say
that labels are a fair sample; within a score they may still be chosen by outcome, which no count
can show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import MIDDLES
from monitor.core.measures.equal_mass import equal_mass_bins, merged_bins
from monitor.core.measures.permutations import p_values, signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

NAN = float("nan")
BINS = 10
LEVEL = 0.001
MIN_DISTANCE = 0.1
"""Total variation below this is not worth a warning: one row in ten would have to move."""
MIN_ROWS = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """Scores of labelled against unlabelled predictions.

    total_variation: half the sum of |differences| of the two histograms, cohorts weighted alike
    for both sides; psi: population stability index of the same; mean_difference: mean score of
    the labelled less that of the unlabelled, from bin middles, in probability; dispersion: factor
    by which cohorts scatter more than chance. All NaN when insufficient. warning: None if fine.
    """

    p_value: float
    total_variation: float
    psi: float
    mean_difference: float
    dispersion: float
    warning: str | None
    insufficient: str | None


def labelled_selectively(
    cohorts: Sequence[BinCounts], *, level: float = LEVEL, test_small: bool = True
) -> Selection:
    """Compare labelled and unlabelled score histograms over mature cohorts.

    Conditional score test, stratified by cohort (Mantel and Haenszel 1959; Birch 1965): of the
    labels of a cohort, bin b expects its share of the cohort's predictions, with hypergeometric
    covariance. With enough cohorts, its null is drawn by turning the sign of whole cohorts'
    excesses, which holds for any scatter about no selection. With fewer, the statistic is divided
    by the quasi-likelihood dispersion, at least 1 (McCullagh 1983), and compared with F: too bold
    where cohorts scatter along one direction. Effects are of the histograms over at most 10
    equal-mass bins. Without `test_small` a distance too small for a warning is not tested: its
    p_value and dispersion are NaN.
    """
    mixed = [c for c in cohorts if 0 < c.n_labelled < c.n_predicted]
    n_labelled = sum(c.n_labelled for c in mixed)
    fewest = min(n_labelled, sum(c.n_predicted for c in mixed) - n_labelled)
    if fewest < MIN_ROWS:
        return _insufficient(
            f"Too few rows to compare labelled and unlabelled scores: {fewest} of the {MIN_ROWS} "
            "needed on the smaller side."
        )
    predicted = np.array([c.predicted for c in mixed])
    labelled = np.array([c.labelled for c in mixed])
    owner = equal_mass_bins(predicted.sum(axis=0), BINS)
    all_, with_label = merged_bins(predicted, owner), merged_bins(labelled, owner)
    rows = np.array([[c.n_labelled, c.n_predicted - c.n_labelled] for c in mixed])
    weight = rows.prod(axis=1) / rows.sum(axis=1)
    weight = weight / weight.sum()
    yes = weight @ (with_label / with_label.sum(axis=1, keepdims=True))
    without = all_ - with_label
    no = weight @ (without / without.sum(axis=1, keepdims=True))
    distance = float(np.abs(yes - no).sum() / 2)
    half = 0.5 / all_.sum()
    psi = float((yes - no) @ np.log((yes + half) / (no + half)))
    middle = _mean_scores(predicted.sum(axis=0), owner)
    higher = float((yes - no) @ middle)
    p_value, dispersion = NAN, NAN
    if test_small or distance >= MIN_DISTANCE:
        p_value, dispersion = _score_test(all_, with_label, level)
    found = p_value <= level and distance >= MIN_DISTANCE
    warning = _warning(distance, higher) if found else None
    return Selection(p_value, distance, psi, higher, dispersion, warning, None)


def _score_test(
    all_: NDArray[np.float64], labelled: NDArray[np.float64], level: float
) -> tuple[float, float]:
    """P value and dispersion of "each bin has its share of each cohort's labels"."""
    bins = all_.shape[1]
    if bins == 1:
        return 1.0, 1.0
    total, chosen = all_.sum(axis=1), labelled.sum(axis=1)
    share = all_ / total[:, None]
    excess = labelled - chosen[:, None] * share
    scale = chosen * (total - chosen) / np.maximum(total - 1, 1)
    spread = np.einsum("cb,bd->cbd", share, np.eye(bins)) - share[:, :, None] * share[:, None, :]
    covariance = scale[:, None, None] * spread
    whole = np.linalg.pinv(covariance.sum(axis=0), hermitian=True)
    together = excess.sum(axis=0)
    statistic = float(together @ whole @ together)
    rest = excess - covariance @ (whole @ together)
    own = np.linalg.pinv(covariance, hermitian=True)
    scatter = float(np.einsum("cb,cbd,cd->", rest, own, rest))
    freedom = int(np.maximum((all_ > 0).sum(axis=1) - 1, 0).sum()) - (bins - 1)
    dispersion = max(1.0, scatter / freedom) if freedom > 0 else 1.0
    if 2.0 ** (len(excess) - 1) * level >= 1:
        turned = signs(len(excess)) @ excess
        drawn = np.einsum("sb,bd,sd->s", turned, whole, turned)
        return float(p_values(drawn[:, None])[0, 0]), dispersion
    from scipy.special import chdtrc, fdtrc  # noqa: PLC0415  # most commands never need it; it takes long

    if dispersion == 1.0:
        return float(chdtrc(bins - 1, max(0.0, statistic))), dispersion
    ratio = max(0.0, statistic) / (bins - 1) / dispersion
    return float(fdtrc(bins - 1, freedom, ratio)), dispersion


def _mean_scores(predicted: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """About the mean score of each bin, from the middles of its micro-bins."""
    n = np.bincount(owner, weights=predicted)
    return np.asarray(np.bincount(owner, weights=predicted * MIDDLES) / n)


def _insufficient(why: str) -> Selection:
    nan = NAN
    return Selection(nan, nan, nan, nan, nan, None, why)


def _warning(distance: float, higher: float) -> str:
    which = "higher" if higher > 0 else "lower"
    return (
        f"Labels are selective: labelled predictions score {which} than unlabelled ones (mean "
        f"{higher:+.3f}, {distance:.0%} of the rows would have to move), so the estimates speak "
        "of the labelled traffic and not of all."
    )
