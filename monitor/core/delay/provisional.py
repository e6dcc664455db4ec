"""A fresh, provisional view of panes that are not mature, weighted for labels still to come.

Guarantees: each label counts 1 / F_y(age) times, F_y the share of its class's labels that come by
its age: inverse probability of censoring weights (Yasui et al. 2020, arXiv 2002.02068). The
weighted estimates are then those of all labels, if delays depend on the outcome alone and are as
in the mature cohorts. Must never: raise an alarm, or be fed to a detector: it is for looking at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import EDGES, FIXED_POINT, N_BINS
from monitor.core.delays import BUCKETS, NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.delays import DelayCounts

WEIGHT_MAX = 20.0
"""Panes where a class is seen by less than one in twenty are left out: all would hang on a few."""


@dataclass(frozen=True, slots=True, eq=False)
class FreshPane:
    """A pane's labels so far, and the age of its youngest and oldest prediction, in seconds."""

    counts: BinCounts
    youngest_s: float
    oldest_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Provisional:
    """Weighted counts of fresh panes.

    n, positive and score_sum: weighted labels, positives and scores of each micro-bin, shape
    (N_BINS,). n_labelled: labels behind them; n_effective: labels without weights that would tell
    as much (Kish: (sum w)^2 / sum w^2). panes_left_out: too young to be weighted.
    """

    n: NDArray[np.float64]
    positive: NDArray[np.float64]
    score_sum: NDArray[np.float64]
    n_labelled: int
    n_effective: float
    panes_left_out: int

    @property
    def mean_score(self) -> float:
        """Weighted mean score; NaN without labels."""
        return float(self.score_sum.sum() / self.n.sum()) if self.n.sum() else float("nan")

    @property
    def base_rate(self) -> float:
        """Weighted share of positives; NaN without labels."""
        return float(self.positive.sum() / self.n.sum()) if self.n.sum() else float("nan")

    @property
    def gap(self) -> float:
        """Mean score minus base rate, as in `Metrics`; NaN without labels."""
        return self.mean_score - self.base_rate


def arrived_share(delays: DelayCounts, outcome: int, youngest_s: float, oldest_s: float) -> float:
    """Mean of F_y(age) over ages spread evenly between two ages; 1 beyond the observed age.

    Exact for the linear pieces of F. NaN without labels of this class.
    """
    n = delays.labels(outcome)
    if not n.sum():
        return float("nan")
    edges = np.concatenate([[0], BUCKETS]).astype(np.float64)
    share = np.concatenate([[0], np.cumsum(n)]) / n.sum()
    inner = edges[(edges > youngest_s) & (edges < oldest_s)]
    ages = np.concatenate([[youngest_s], inner, [oldest_s]])
    arrived = np.interp(ages, edges, share)
    if oldest_s <= youngest_s:
        return float(arrived[0])
    return float(np.trapezoid(arrived, ages) / (oldest_s - youngest_s))


def provisional(
    panes: Sequence[FreshPane], delays: DelayCounts, *, unlabelled_negative: bool = False
) -> Provisional:
    """Weighted counts of panes, each class of each pane by its own share of labels arrived.

    unlabelled_negative: the counts hold predictions without a label as negatives, and what the
    positives' weights add is taken from them.
    """
    n, positive, scores = np.zeros(N_BINS), np.zeros(N_BINS), np.zeros(N_BINS)
    square = 0.0
    labelled = left_out = 0
    for pane in panes:
        shares = [
            arrived_share(delays, outcome, max(0.0, pane.youngest_s), max(0.0, pane.oldest_s))
            for outcome in (POSITIVE, NEGATIVE)
        ]
        if unlabelled_negative:
            shares[1] = 1.0
        if not float(np.min(shares)) * WEIGHT_MAX >= 1:  # NaN too
            left_out += 1
            continue
        counts = pane.counts
        of_positive, of_negative = 1 / shares[0], 1 / shares[1]
        negative = counts.labelled - counts.positive
        positive_scores = counts.sums[:, 5] / FIXED_POINT
        negative_scores = counts.score_sum / FIXED_POINT - positive_scores
        if unlabelled_negative:
            n += counts.labelled
            positive += of_positive * counts.positive
            scores += counts.score_sum / FIXED_POINT
            square += float(counts.n_labelled)
            labelled += counts.n_labelled
            continue
        n += of_positive * counts.positive + of_negative * negative
        positive += of_positive * counts.positive
        scores += of_positive * positive_scores + of_negative * negative_scores
        square += float(of_positive**2 * counts.positive.sum() + of_negative**2 * negative.sum())
        labelled += counts.n_labelled
    weights = float(n.sum())
    effective = weights**2 / square if square else 0.0
    return Provisional(n, positive, scores, labelled, effective, left_out)


def equal_width_ece(found: Provisional, bins: int = 15) -> float:
    """Raw ECE of weighted counts over `bins` equal-width bins, a divisor of 60; NaN without any."""
    if not found.n.sum():
        return float("nan")
    upper = np.array([k * (60 // bins) / 60 for k in range(1, bins + 1)])
    owner = np.searchsorted(upper, EDGES, side="left")
    gap = np.bincount(owner, weights=found.score_sum - found.positive, minlength=bins)
    return float(np.abs(gap).sum() / found.n.sum())
