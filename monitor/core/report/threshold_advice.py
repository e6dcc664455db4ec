"""Threshold advice: everything that hangs on a cutoff, from counts and a policy.

Guarantees: pure, the same counts give the same advice; the repair is fitted on one half of the
cohorts, and what it does for the cutoff is measured on the other. Must never: measure a repair on
the labels it was fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import EDGES, BinCounts
from monitor.core.decision.decision_evidence import MIN_LABELS, DecisionEvidence, evidence_of
from monitor.core.decision.thresholds import CUTOFFS, CostCurve, CutoffCost
from monitor.core.measures.halves import halves
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.measures.wilson import wilson
from monitor.core.recalibration.repairs import apply, best_repair

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.decisions import DecisionPolicy
    from monitor.core.verdicts import Repair

SHOWN_CUTOFFS = (0.85, 0.9, 0.95)
LONGEST_WAIT = timedelta(days=365)
"""Labels that take longer than this to come are not waited for."""
LONGEST_AHEAD_DAYS = 36_500.0


@dataclass(frozen=True, slots=True)
class Volume:
    """Predictions above a cutoff: as a share of all, and a day (None where days are unknown).

    precision: share of 1s among the labelled ones above, with its 95 % interval (Wilson); NaN
    where there are none. recall: share of the 1s that are above.
    """

    cutoff: float
    share: float
    per_day: float | None
    labelled: float
    precision: float
    precision_low: float
    precision_high: float
    recall: float


@dataclass(frozen=True, slots=True)
class Band:
    """Traffic above, in and below the review band; shares of all, and a day where days are known.

    load: reviews asked for over reviews_per_day. cost: per labelled prediction, when what the
    reviewers can take of the band is decided rightly for cost_review each, and the rest by the
    cutoff; None without cost_review. Scores in (calibrated_from, calibrated_to] would be worth a
    review if the scores were honest; None without cost_review, or where none would.
    """

    review_from: float
    review_to: float
    share_above: float
    share_within: float
    share_below: float
    above_per_day: float | None
    within_per_day: float | None
    below_per_day: float | None
    reviews_per_day: float | None
    load: float | None
    cost: float | None
    calibrated_from: float | None
    calibrated_to: float | None


@dataclass(frozen=True, slots=True)
class RepairedCutoff:
    """The honest scores' best cutoff before and after a repair, both on held-out labels.

    raw_cutoff: the score that the repair turns into the cutoff.
    """

    repair: Repair
    cutoff: float
    raw_cutoff: float
    before: CutoffCost
    after: CutoffCost


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdAdvice:
    """What `calmon threshold` says of one series.

    per_day: predictions a day, all of them, however few are sampled. best_from, best_to: cutoffs
    that the labels do not show to cost more than the best. calibrated: the cutoff that is best for
    honest scores, on the scores as they are. look_again_at: None where no times are known.
    """

    decision: DecisionPolicy
    labels: int
    predictions: int
    per_day: float | None
    curve: CostCurve
    standing: DecisionEvidence
    present: CutoffCost
    best: CutoffCost
    best_from: float
    best_to: float
    calibrated: CutoffCost
    repaired: RepairedCutoff | None
    volumes: tuple[Volume, ...]
    band: Band | None
    look_again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What advice is given on. cohorts: counts of whole days or cohorts, to fit a repair.

    days: length of prediction time that they cover; as_of: event time of the newest; None where
    times are unknown. sample_rate: share of the traffic that is counted. window: the prediction
    time; evaluation_id: number of the verdict that was given on it.
    """

    cohorts: Sequence[BinCounts]
    days: float | None = None
    as_of: datetime | None = None
    sample_rate: float = 1.0
    window: tuple[datetime, datetime] | None = None
    evaluation_id: int | None = None


def threshold_advice(observed: Observed, decision: DecisionPolicy) -> ThresholdAdvice:
    """Advice on a cutoff; raises ValueError with fewer than 100 labels."""
    counts = sum(observed.cohorts, BinCounts.empty())
    if counts.n_labelled < MIN_LABELS:
        msg = f"{counts.n_labelled} labels; a cutoff's cost needs {MIN_LABELS} or more"
        raise ValueError(msg)
    curve = CostCurve.of(counts, decision)
    standing = evidence_of(curve)
    per_day = None
    if observed.days:
        per_day = counts.n_predicted / observed.days / observed.sample_rate
    lowest, highest = curve.about_as_good()
    return ThresholdAdvice(
        decision=decision,
        labels=counts.n_labelled,
        predictions=counts.n_predicted,
        per_day=per_day,
        curve=curve,
        standing=standing,
        present=curve.at(decision.cutoff),
        best=curve.best(),
        best_from=lowest,
        best_to=highest,
        calibrated=curve.at(decision.calibrated_cutoff),
        repaired=_repaired(observed.cohorts, decision),
        volumes=tuple(_volume(counts, cutoff, per_day) for cutoff in SHOWN_CUTOFFS),
        band=_band(counts, curve, per_day),
        look_again_at=_look_again(observed, standing, decision),
    )


def repaired_cutoffs(repaired: RepairedCutoff) -> np.ndarray:
    """CUTOFFS as scores after the repair: the same costs, since a repair keeps the order."""
    moved = apply(CUTOFFS, repaired.repair.slope, repaired.repair.intercept)
    moved[0], moved[-1] = 0.0, 1.0
    return moved


def _repaired(cohorts: Sequence[BinCounts], decision: DecisionPolicy) -> RepairedCutoff | None:
    fitted, held_out = halves([each for each in cohorts if each.n_labelled], 0)
    repair = best_repair(fitted, held_out)
    if repair is None:
        return None
    wanted = decision.calibrated_cutoff
    at = (logit(np.array([wanted])) - repair.intercept) / repair.slope
    raw_cutoff = float(sigmoid(at)[0])
    curve = CostCurve.of(held_out, decision)
    return RepairedCutoff(repair, wanted, raw_cutoff, curve.at(wanted), curve.at(raw_cutoff))


def _volume(counts: BinCounts, cutoff: float, per_day: float | None) -> Volume:
    above = _above(counts.predicted, cutoff) / max(1, counts.n_predicted)
    labelled, positive = _above(counts.labelled, cutoff), _above(counts.positive, cutoff)
    low, high = wilson(np.array([positive]), np.array([labelled]))
    return Volume(
        cutoff=cutoff,
        share=above,
        per_day=None if per_day is None else above * per_day,
        labelled=labelled,
        precision=positive / labelled if labelled else float("nan"),
        precision_low=float(low[0]),
        precision_high=float(high[0]),
        recall=positive / counts.n_positive if counts.n_positive else float("nan"),
    )


def _above(rows: np.ndarray, cutoff: float) -> float:
    """Rows with a score above a cutoff; within a micro-bin they are taken to lie evenly."""
    if cutoff <= 0:
        return float(rows.sum())
    bin_ = int(np.searchsorted(EDGES, cutoff, side="left"))
    below = (cutoff - CUTOFFS[bin_]) / (EDGES[bin_] - CUTOFFS[bin_])
    return float(rows[bin_ + 1 :].sum() + (1 - below) * rows[bin_])


def _band(counts: BinCounts, curve: CostCurve, per_day: float | None) -> Band | None:
    decision = curve.decision
    low, high = decision.review_from, decision.review_to
    if low is None or high is None:
        return None
    total = max(1, counts.n_predicted)
    above, from_on = _above(counts.predicted, high) / total, _above(counts.predicted, low) / total
    shares = (above, from_on - above, 1 - from_on)
    a_day = [None if per_day is None else share * per_day for share in shares]
    load = None
    if decision.reviews_per_day and a_day[1] is not None:
        load = a_day[1] / decision.reviews_per_day
    worth = decision.calibrated_band
    return Band(
        review_from=low,
        review_to=high,
        share_above=shares[0],
        share_within=shares[1],
        share_below=shares[2],
        above_per_day=a_day[0],
        within_per_day=a_day[1],
        below_per_day=a_day[2],
        reviews_per_day=decision.reviews_per_day,
        load=load,
        cost=_cost_with_reviews(counts, curve, low, high, load),
        calibrated_from=worth[0] if worth else None,
        calibrated_to=worth[1] if worth else None,
    )


def _cost_with_reviews(
    counts: BinCounts, curve: CostCurve, low: float, high: float, load: float | None
) -> float | None:
    decision = curve.decision
    if decision.cost_review is None:
        return None
    without = curve.at(decision.cutoff).cost
    outside = curve.at(high).false_positive * decision.cost_false_positive
    outside += curve.at(low).false_negative * decision.cost_false_negative
    within = (_above(counts.labelled, low) - _above(counts.labelled, high)) / counts.n_labelled
    reviewed = 1.0 if load is None else min(1.0, 1 / load) if load else 1.0
    all_reviewed = outside + within * decision.cost_review
    return reviewed * all_reviewed + (1 - reviewed) * without


def _look_again(
    observed: Observed, standing: DecisionEvidence, decision: DecisionPolicy
) -> datetime | None:
    """After look_again_every, or when the labels that are missing for a clear word will be there.

    Labels that would take more than a year are not waited for.
    """
    if observed.as_of is None:
        return None
    wait = decision.look_again_every
    missing = standing.labels_needed - standing.labels
    if observed.days and missing > 0:
        days = min(LONGEST_AHEAD_DAYS, missing / (standing.labels / observed.days))
        labels_come = timedelta(days=days)
        wait = max(wait, labels_come) if labels_come <= LONGEST_WAIT else wait
    return observed.as_of + wait
