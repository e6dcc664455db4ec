"""What the present cutoff costs against the best one, for a verdict, an alert and a command.

Guarantees: a function of counts and policy alone, without random numbers, and one sentence that
says it. Must never: say that a cutoff is too costly where the labels do not show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.decision.thresholds import CostCurve
from monitor.core.wording import amount

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts
    from monitor.core.decisions import DecisionPolicy

MIN_LABELS = 100
"""Fewer labels say nothing of a cutoff that could be acted on."""
PER = 1000


@dataclass(frozen=True, slots=True)
class DecisionEvidence:
    """Costs per labelled prediction, in the policy's unit, with their intervals.

    cost_low, cost_high: 95 %, of the present cutoff. best_cutoff costs least on these labels, and
    saves so much; saving_low and saving_high hold for all cutoffs at once. too_costly: the present
    cutoff is shown to cost more than 1 + tolerance times the best; is_fine: it is shown not to.
    """

    labels: int
    cutoff: float
    cost: float
    cost_low: float
    cost_high: float
    best_cutoff: float
    best_cost: float
    saving: float
    saving_low: float
    saving_high: float
    tolerance: float
    too_costly: bool
    is_fine: bool
    labels_needed: float
    reason: str


def decision_evidence(counts: BinCounts, decision: DecisionPolicy) -> DecisionEvidence | None:
    """The present cutoff against the best; None with fewer than 100 labels. About 1 ms."""
    if counts.n_labelled < MIN_LABELS:
        return None
    return evidence_of(CostCurve.of(counts, decision))


def evidence_of(curve: CostCurve) -> DecisionEvidence:
    """The present cutoff of a curve against its best one."""
    decision = curve.decision
    present, best, saving = curve.at(decision.cutoff), curve.best(), curve.saving()
    said = f"The cutoff {number(present.cutoff)} costs {cost_words(present.cost)} per 1,000 "
    said += f"predictions ({cost_words(present.low)} to {cost_words(present.high)})"
    other = f"the best, {number(best.cutoff)}, would cost {cost_words(best.cost)}"
    saves = f"saves {cost_words(saving.value)} "
    saves += f"({cost_words(saving.low)} to {cost_words(saving.high)})"
    tolerance = f"{decision.tolerance:.0%}"
    if saving.too_costly:
        said += f"; {other} and {saves}: too costly, by more than the {tolerance} tolerated."
    elif saving.is_fine:
        said += f", shown to be within {tolerance} of the best."
    elif saving.value == 0:
        said += f", the best of all on these labels; whether within {tolerance} of the best in "
        said += "truth, they do not tell."
    else:
        said += f"; on these labels {other} and {saves}. Whether that is more than the "
        said += f"{tolerance} tolerated, they do not tell."
    return DecisionEvidence(
        labels=curve.n,
        cutoff=present.cutoff,
        cost=present.cost,
        cost_low=present.low,
        cost_high=present.high,
        best_cutoff=best.cutoff,
        best_cost=best.cost,
        saving=saving.value,
        saving_low=saving.low,
        saving_high=saving.high,
        tolerance=decision.tolerance,
        too_costly=saving.too_costly,
        is_fine=saving.is_fine,
        labels_needed=saving.labels_needed,
        reason=said,
    )


def cost_words(cost: float) -> str:
    """A cost per prediction as that of 1,000 predictions: `84.2`."""
    scaled = cost * PER
    if scaled >= PER:
        return amount(scaled)
    return f"{scaled:.0f}" if scaled >= 100 else f"{scaled:.3g}"  # noqa: PLR2004  # three digits


def number(cutoff: float) -> str:
    """A cutoff to four digits at most: `0.1667`, `0.5`."""
    return f"{cutoff:.4g}" if cutoff < 0.999 else f"{cutoff:.6g}"  # noqa: PLR2004  # 0.9999 is not 1
