"""A proposed recalibration in sentences, and as plain JSON.

Guarantees: the first sentence says whether anything is proposed; every number is one of the
proposal. Must never: compute an estimate, or let honest be read as useful.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.core.measures.usefulness import Use
from monitor.core.recalibration.recalibrating import ERROR
from monitor.core.recalibration.recalibrators import Isotonic, LogitLine, Method
from monitor.core.verdicts import as_plain
from monitor.core.wording import amount, interval

if TYPE_CHECKING:
    from monitor.core.recalibration.recalibrating import Proposal
    from monitor.core.recalibration.recalibrators import CalibrationMap

Json = dict[str, object]
NAMES = {
    Method.TEMPERATURE: "temperature",
    Method.PLATT: "Platt",
    Method.BETA: "beta",
    Method.ISOTONIC: "isotonic",
}


def proposal_words(proposal: Proposal) -> list[str]:
    """Sentences in the order in which they are asked for."""
    said = [_first(proposal)]
    if proposal.map is not None:
        said += [f"The map: {map_words(proposal.map)}.", ranking_words(proposal)]
    said += [_sides(proposal)]
    warning = use_words(proposal)
    return [*said, warning] if warning else said


def map_words(map_: CalibrationMap) -> str:
    """The map with its numbers, without a full stop."""
    if isinstance(map_, Isotonic):
        x, y = map_.score, map_.probability
        return (
            f"isotonic, {len(x)} points from score {x[0]:.4g} (probability {y[0]:.4g}) to "
            f"{x[-1]:.4g} ({y[-1]:.4g})"
        )
    if isinstance(map_, LogitLine):
        if map_.method is Method.TEMPERATURE:
            return f"temperature {1 / map_.slope:.4g}, logit = logit(score) / temperature"
        return f"Platt, logit = {map_.slope:.4g} logit(score) {_signed(map_.intercept)}"
    return f"beta, logit = {map_.a:.4g} ln(score) - {map_.b:.4g} ln(1 - score) {_signed(map_.c)}"


def ranking_words(proposal: Proposal) -> str:
    """What becomes of the ranking."""
    change = proposal.of("auroc")
    if change.difference == 0:
        return f"The ranking is untouched: AUROC {change.before:.4f} before and after."
    return (
        f"No pair is turned round, but some scores become equal: AUROC {change.before:.4f} "
        f"before, {change.after:.4f} after."
    )


def use_words(proposal: Proposal) -> str:
    """What honest scores would still not do; empty where they tell outcomes apart."""
    use, rank = proposal.use.use, proposal.use.auroc
    at = f"AUROC {interval(rank.value, rank.low, rank.high)}"
    if use is Use.USELESS:
        return (
            f"The scores tell next to nothing apart ({at}): a repair makes them honest, not "
            "useful. Look at the model before recalibrating it."
        )
    if use is Use.UNPROVEN:
        return (
            f"The labels do not show that the scores tell outcomes apart ({at}); a repair can only "
            "make them honest."
        )
    return ""


def proposal_json(proposal: Proposal) -> Json:
    """Everything of a proposal but its map; NaN is null."""
    return {
        "proposed": proposal.map is not None,
        "method": None if proposal.best is None else str(proposal.best.method),
        "fitted": as_plain(proposal.fitted),
        "held_out": as_plain(proposal.held_out),
        "in_time": proposal.in_time,
        "shock": proposal.shock,
        "level": proposal.level,
        "log_evidence": proposal.log_evidence,
        "tried": [
            {
                "method": str(each.method),
                "parameters": None if each.map is None else each.map.parameters(),
                "log_loss": None if each.log_loss is None else as_plain(each.log_loss),
                "helps": each.helps,
            }
            for each in proposal.tried
        ],
        "changes": {each.metric: as_plain(each) for each in proposal.changes},
        "use": str(proposal.use.use),
        "words": proposal_words(proposal),
    }


def _first(proposal: Proposal) -> str:
    best = proposal.best
    several = len(proposal.tried) > 1
    names = ", ".join(NAMES[each.method] for each in proposal.tried)
    if best is None or best.log_loss is None:
        return f"Nothing is proposed: the labels decide no map that rises ({names})."
    loss = best.log_loss
    by = f"log loss {loss.before:.4f} before, {loss.after:.4f} after; difference " + _interval(
        loss.difference, loss.low, loss.high
    )
    if proposal.log_evidence is not None:
        by += f"; evidence {_evidence(proposal.log_evidence)}"
    if best.helps:
        return f"{NAMES[best.method].capitalize()} is shown to help: {by}."
    shown = (
        f"None of them is shown to help ({names})"
        if several
        else f"{names.capitalize()} is not shown to help"
    )
    nearest = f"the best is {NAMES[best.method]}, " if several else ""
    return f"Nothing is proposed. {shown}: {nearest}{by}."


def _evidence(logarithm: float) -> str:
    """Evidence against what is asked for: `123 of 20`, `over a million of 20`."""
    size = "over a million" if logarithm > math.log(1e6) else f"{math.exp(logarithm):.3g}"
    return f"{size} of {1 / ERROR:g}"


def _sides(proposal: Proposal) -> str:
    fitted, kept = proposal.fitted, proposal.held_out
    if not proposal.in_time:
        return (
            f"Fitted on {amount(fitted.labels)} labels; judged by moving either half, drawn at "
            "random, by a map fitted to the other: without times it cannot be told whether it "
            "would hold on later days. Evidence is how much likelier a half is that way than by "
            f"its scores; honest ones reach {1 / ERROR:g} in at most {ERROR:.0%} of files. "
            "Intervals are of 95 % each."
        )
    how = (
        f"Fitted on the {amount(fitted.labels)} labels of the {fitted.cohorts} earlier "
        f"cohorts, judged on the {amount(kept.labels)} of the {kept.cohorts} later ones"
    )
    many = len(proposal.tried)
    together = f"; intervals hold for all {many} maps together (95 %)" if many > 1 else ""
    days = f"; days may differ by {proposal.shock:.2g} logits" if proposal.shock else ""
    return f"{how}{together}{days}."


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f})"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {abs(value):.4g}"
