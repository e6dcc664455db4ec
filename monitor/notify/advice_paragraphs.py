"""What to do about an alert: at length, in one sentence, and once it is over.

Guarantees: a recalibrator is advised only where it was shown to help on held-out labels. Must
never: escape or mark up; `messages.py` does that for its receiver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.kinds import level_of
from monitor.core.measures.estimates import is_useless
from monitor.core.recalibration.repair_words import (
    WORTH_APPLYING,
    caveat_words,
    held_out_words,
    recalibrate_words,
    repair_formula,
)
from monitor.core.verdicts import Cause, Direction
from monitor.core.wording import amount

if TYPE_CHECKING:
    from monitor.core.verdicts import Evidence, Restart, Verdict

_REFIT = (
    "look at the data, then fit the quantiles or intervals anew to recent labels, or correct them "
    "by the newest residuals (conformal prediction: Romano 2019). A map of the level moves none."
)
_REFIT_IN_SHORT = "look at the data; then fit the intervals anew to recent labels."


def what_to_do(verdict: Verdict) -> str:
    """Advise: look at the traffic or the model, apply the recalibrator, or wait for labels."""
    evidence = verdict.evidence
    if evidence.direction is Direction.IMPROVED:
        return (
            "nothing is broken: the scores are more honest than in the baseline. Refit any "
            "recalibration or threshold downstream that made up for the old error, and pin a "
            "new baseline."
        )
    if evidence.cause is Cause.MIX:
        return (
            "look at the traffic: which callers, regions or products send other scores than in "
            "the baseline? The model's map is unchanged, so a recalibration made for the "
            "baseline still holds."
        )
    if evidence.repair is None:
        return _REFIT if level_of(verdict.series.claim) is not None else _wait(evidence)
    tried = f"{repair_formula(evidence.repair)}. {held_out_words(evidence.repair)}."
    if evidence.repair.ece_after > WORTH_APPLYING * evidence.repair.ece_before:
        worse = evidence.repair.ece_after >= evidence.repair.ece_before
        return (
            f"{_look(evidence)}. The best recalibrator "
            f"fitted {'does not help' if worse else 'hardly helps'}: {tried}"
        )
    if of_no_use(evidence):
        return (
            "look at the model: its scores tell next to nothing apart, and a recalibrator makes "
            f"them honest, not useful. The one fitted: {tried}"
        )
    command = recalibrate_words(verdict.series)
    return f"apply this recalibrator: {tried}{caveat_words(evidence)} {command}"


def _wait(evidence: Evidence) -> str:
    return (
        "wait for labels before recalibrating: there are too few to fit a repair and to test it. "
        f"Until then {_look(evidence)}."
    )


def _look(evidence: Evidence) -> str:
    where = " of the worst bins" if evidence.worst_bins else ""
    return f"look at the data: inputs, features and labels{where}"


def in_short(verdict: Verdict) -> str:
    """The advice in one sentence, for a reader who has just been woken."""
    evidence = verdict.evidence
    if evidence.direction is Direction.IMPROVED:
        return "nothing is broken; pin a new baseline when it is convenient."
    if evidence.cause is Cause.MIX:
        return "look at the traffic: the model's map is unchanged."
    look = "look at the data of the worst bins" if evidence.worst_bins else "look at the data"
    if evidence.repair is None:
        is_level = level_of(verdict.series.claim) is not None
        return _REFIT_IN_SHORT if is_level else f"{look}; wait for labels before recalibrating."
    before, after = evidence.repair.ece_before, evidence.repair.ece_after
    if after > WORTH_APPLYING * before:
        return f"{look}; recalibrating hardly helps."
    if of_no_use(evidence):
        return (
            "look at the model: its scores tell next to nothing apart, and recalibrating makes "
            "them honest, not useful."
        )
    return (
        f"apply the recalibrator in the thread: ECE {before:.3f} before, {after:.3f} after, on "
        f"{amount(evidence.repair.n_held_out)} held-out labels."
    )


def of_no_use(evidence: Evidence) -> bool:
    """Whether the scores are shown to tell next to nothing apart."""
    return evidence.ranking is not None and is_useless(evidence.ranking)


def after_it(restart: Restart | None = None) -> str:
    """Advice once an episode is over."""
    if restart is not None:
        return (
            "nothing: the change was taken into account. Until the new baseline is whole the "
            "series is not judged, and `calmon status` says how many labels are missing."
        )
    return (
        "if a recalibrator was put in for this, check that it is still wanted; if nothing was "
        "done, find out what came and went."
    )
