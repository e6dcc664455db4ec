"""Sentences about single bins: the one in the headline, the worst ones, and the way they are off.

Guarantees: a bin is shown with what came of it in the baseline, where that is known. Must never:
escape or mark up; `messages.py` does that for its receiver.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.core.kinds import covered_words, level_of
from monitor.core.verdicts import Direction
from monitor.core.wording import amount, model_name, probabilities

if TYPE_CHECKING:
    from monitor.core.verdicts import BinEstimate, Evidence, Verdict

_WORST_SHOWN = 3


def headline_bin(verdict: Verdict) -> str:
    """What the model says and what comes: `fraud v7 says 0.83 and is right 0.71 of the time`."""
    name = model_name(verdict.series)
    shown = _telling_bin(verdict.evidence)
    if shown is None:
        return f"{name} no longer keeps the promises it kept in its baseline."
    before = _in_baseline(shown, verdict.evidence)
    claimed, observed, was = probabilities(
        shown.mean_score, shown.observed, before.observed if before else math.nan
    )
    if level_of(verdict.series.claim) is not None:
        before_words = f" ({was} in the baseline)" if before else ""
        within = covered_words(verdict.series.claim)
        return f"Of {name}'s labels {observed} are {within}, {claimed} is promised{before_words}."
    # Of a claim of 3 % nobody says that the model "is right" 8 % of the time.
    comes = "is right" if shown.mean_score >= 0.5 else "it happens"  # noqa: PLR2004
    compared = f" ({was} in the baseline)" if before else ""
    return f"{name} says {claimed} and {comes} {observed} of the time in that bin{compared}."


def _telling_bin(evidence: Evidence) -> BinEstimate | None:
    """The bin that weighs most in ECE among those that show the direction, or among all."""

    def weight(one: BinEstimate) -> tuple[bool, float]:
        return _shows(one, evidence), one.n * abs(one.observed - one.mean_score)

    held = [one for one in (*evidence.bins, *evidence.worst_bins) if one.n]
    return max(held, key=weight, default=None)


def _shows(one: BinEstimate, evidence: Evidence) -> bool:
    """Whether the bin is off in the way that the direction says of all of them."""
    excess = one.mean_score - one.observed
    if not _is_level(evidence):
        # Too far from the middle, not too high.
        excess *= math.copysign(1.0, one.mean_score - 0.5)
    match evidence.direction:
        case Direction.OVERCONFIDENT:
            return excess > 0
        case Direction.UNDERCONFIDENT:
            return excess < 0
        case _:
            return True


def _is_level(evidence: Evidence) -> bool:
    """Whether the direction is one of level (too high or low) rather than of spread.

    The rule by which the direction was chosen: the gap carries half of ECE or more.
    """
    now = evidence.window
    return now is None or math.isnan(now.slope) or abs(now.gap) >= 0.5 * now.ece_debiased


def way(evidence: Evidence) -> str:
    """How the scores are off on the whole, in one sentence; empty where no direction is known."""
    level = _is_level(evidence)
    match evidence.direction:
        case Direction.OVERCONFIDENT:
            off = "too high" if level else "too extreme: too far from 0.5 on both sides"
        case Direction.UNDERCONFIDENT:
            off = "too low" if level else "too timid: too close to 0.5 on both sides"
        case _:
            return ""
    return f" On the whole its scores are {off}."


def _in_baseline(one: BinEstimate, evidence: Evidence) -> BinEstimate | None:
    same = (b for b in evidence.baseline_bins if (b.lower, b.upper) == (one.lower, one.upper))
    return next((b for b in same if b.n), None)


def worst_bins(evidence: Evidence) -> str:
    """Up to three bins where claim and outcome are furthest apart, a line each."""
    if not evidence.worst_bins:
        return "none stands out."
    lines = [_bin_line(one, evidence) for one in evidence.worst_bins[:_WORST_SHOWN]]
    return "\n".join(["", *lines])


def _bin_line(one: BinEstimate, evidence: Evidence) -> str:
    before = _in_baseline(one, evidence)
    lower, upper = probabilities(one.lower, one.upper)
    claimed, observed, low, high, was = probabilities(
        one.mean_score,
        one.observed,
        one.ci_low,
        one.ci_high,
        before.observed if before else math.nan,
    )
    compared = f", {was} in the baseline" if before else ""
    return (
        f"• {lower} to {upper}: says {claimed}, observed {observed} ({low} to {high}){compared}; "
        f"{amount(one.n)} labels{_bin_class(one, evidence)}"
    )


def _bin_class(one: BinEstimate, evidence: Evidence) -> str:
    """Which way the bin is off, where the tests of all bins together say so."""
    same = (b for b in evidence.wrong_bins if (b.lower, b.upper) == (one.lower, one.upper))
    wrong = next(same, None)
    if wrong is None:
        return ""
    side = "too high" if wrong.direction is Direction.OVERCONFIDENT else "too low"
    return f", scores {side} by {amount(wrong.misplaced)} labels"
