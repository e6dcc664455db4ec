"""Repairs: a line of the logit for a verdict, fitted on half of the labels, judged on the rest.

Guarantees: a repair is a rising line of the logit, so it never changes the ranking; fits agree
with those to raw pairs to about 1e-4. Must never: be judged on the labels it was fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.measures.logistic import LogisticFit, fit_logistic, logit, nodes, sigmoid
from monitor.core.measures.metrics import auroc, equal_width_ece, ranking
from monitor.core.measures.moments import ClassMoments
from monitor.core.verdicts import Repair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

MIN_LABELS = 100
MIN_CLASS = 10
"""Fewest labels, and fewest of either class, that each half must hold."""
INTERCEPT_LR = 3.841458820694124
"""95 % quantile of chi-square with 1 degree of freedom."""
REPAIR_BINS = 15


def fit_temperature(counts: BinCounts) -> tuple[float, float]:
    """Slope 1 / T and intercept 0 of temperature scaling (Guo 2017, section 4.2).

    NaN slope where the labels decide none.
    """
    fit = fit_logistic(nodes(ClassMoments.of(counts)), with_intercept=False)
    return fit.slope, fit.intercept


def fit_platt(counts: BinCounts) -> tuple[float, float]:
    """Slope and intercept of Platt scaling of the logit, by maximum likelihood (Platt 1999).

    NaN where the labels decide none. Platt's smoothed targets are left out: they matter with a
    handful of labels only, where no repair is offered.
    """
    fit = fit_logistic(nodes(ClassMoments.of(counts)))
    return fit.slope, fit.intercept


def apply(score: NDArray[np.float64], slope: float, intercept: float) -> NDArray[np.float64]:
    """Repaired probabilities, shape as given; scores are clipped to [1e-6, 1 - 1e-6] first."""
    return sigmoid(intercept + slope * logit(score))


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair makes of the labelled rows of some counts; NaN where they do not decide it."""

    ece_15: float
    mean_score: float
    auroc: float


def recalibrated(counts: BinCounts, slope: float, intercept: float) -> Repaired:
    """Estimates after a repair: each micro-bin moves as a whole, by its mean score."""
    n_labelled = counts.n_labelled
    if not n_labelled:
        return Repaired(float("nan"), float("nan"), float("nan"))
    moments = ClassMoments.of(counts)
    n = moments.n_positive + moments.n_negative
    moved = apply(moments.mean, slope, intercept)
    # Right-closed bins, as everywhere; a moved score that is 0 belongs to the first.
    upper = np.array([k / REPAIR_BINS for k in range(1, REPAIR_BINS + 1)])
    bin_ = np.searchsorted(upper, moved, side="left")
    miss = np.bincount(bin_, n * moved - moments.n_positive)
    return Repaired(
        ece_15=float(np.abs(miss).sum() / n_labelled),
        mean_score=float(n @ moved / n_labelled),
        auroc=ranking(moved, moments),
    )


def best_repair(fit: BinCounts, held_out: BinCounts) -> Repair | None:
    """Temperature or Platt scaling, whichever fits one half, scored on the other.

    None with fewer than 100 labels or 10 of a class in either half, or if the line does not rise.
    """
    if not (enough(fit) and enough(held_out)):
        return None
    line = _chosen_line(fit)
    if line is None:
        return None
    method, slope, intercept = line
    after = recalibrated(held_out, slope, intercept)
    return Repair(
        method=method,
        slope=slope,
        intercept=intercept,
        n_fitted=fit.n_labelled,
        n_held_out=held_out.n_labelled,
        ece_before=equal_width_ece(held_out, REPAIR_BINS),
        ece_after=after.ece_15,
        auroc_before=auroc(held_out),
        auroc_after=after.auroc,
    )


def enough(counts: BinCounts) -> bool:
    """Whether one side of a split holds enough labels, and of either class."""
    n, positive = counts.n_labelled, counts.n_positive
    return n >= MIN_LABELS and min(positive, n - positive) >= MIN_CLASS


def _chosen_line(fit: BinCounts) -> tuple[str, float, float] | None:
    """Method, slope and intercept of the repair that fits; None if the line does not rise.

    Temperature if the labels do not contradict an intercept of 0 by a likelihood ratio test at
    5 %, otherwise Platt: a temperature cannot repair an intercept.
    """
    points = nodes(ClassMoments.of(fit))
    temperature = fit_logistic(points, with_intercept=False)
    platt = fit_logistic(points)
    sound = 2 * (platt.log_likelihood - temperature.log_likelihood) < INTERCEPT_LR
    method, chosen = ("temperature", temperature) if sound else ("platt", platt)
    return (method, chosen.slope, chosen.intercept) if _rises(chosen) else None


def _rises(fit: LogisticFit) -> bool:
    return bool(np.isfinite(fit.slope) and fit.slope > 0 and np.isfinite(fit.intercept))
