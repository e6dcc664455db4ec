"""Paragraphs: the sentences of an alert, each from the evidence, in plain words.

Guarantees: every sentence is plain text that reads by itself and says "unknown" rather than
leave a number out; nothing is promised that the evidence does not hold. Must never: escape or
mark up; `messages.py` does that for its receiver.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.core.estimates import is_useless
from monitor.core.kinds import covered_words, level_of
from monitor.core.repair_words import (
    WORTH_APPLYING,
    caveat_words,
    held_out_words,
    recalibrate_words,
    repair_formula,
)
from monitor.core.verdicts import Cause, Direction
from monitor.core.wording import (
    amount,
    day,
    interval,
    model_name,
    moment,
    probabilities,
    span,
)

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.verdicts import BinEstimate, Evidence, Metrics, Restart, Verdict

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


def size(evidence: Evidence) -> str:
    """How far the probabilities moved, with interval, and ECE now and in the baseline."""
    errors = now_and_before(evidence)
    if evidence.shift is None or math.isnan(evidence.shift):
        return errors
    moved = f"probabilities are off by {evidence.shift:.3f} on average against the baseline's map"
    if evidence.shift_low is not None and evidence.shift_high is not None:
        moved += f" (95% interval {evidence.shift_low:.3f} to {evidence.shift_high:.3f})"
    return f"{moved}. {errors}"


def now_and_before(evidence: Evidence) -> str:
    """ECE of the window and of the baseline, debiased, with 95 % intervals."""
    now, before = _ece(evidence.window), _ece(evidence.baseline)
    return f"ECE {now} now, {before} in the baseline (debiased, with 95% intervals)."


def _ece(metrics: Metrics | None) -> str:
    if metrics is None:
        return "unknown"
    return interval(metrics.ece_debiased, metrics.ece_debiased_low, metrics.ece_debiased_high)


def since_when(evidence: Evidence, fired_at: datetime) -> str:
    """When the change most likely began, and how long it took to be sure."""
    if evidence.drift_since_at is None:
        return f"unknown; noticed {moment(fired_at)}."
    took = span(fired_at - evidence.drift_since_at)
    return f"about {day(evidence.drift_since_at)}; certain enough {took} later, {moment(fired_at)}."


def how_sure(evidence: Evidence) -> str:
    """The e-detector's evidence against its threshold, and what the threshold promises.

    Average run length to a false alarm >= A labels: Shin, Ramdas and Rinaldo 2022
    (arXiv 2203.03532), theorem 2.4.
    """
    bound = amount(evidence.alarm_at)
    value = "unknown" if evidence.e_value is None else amount(evidence.e_value)
    if evidence.raised_by not in {None, "e_process"}:
        return (
            f"found by {evidence.raised_by}, which promises no rate of false alarms; the policy "
            f"leaves the e-process out, which stands at e-value {value} of {bound}. "
            f"{amount(evidence.labels_seen)} labels seen since the baseline."
            f"{_second_opinions(evidence)}"
        )
    return (
        f"e-value {value} against a threshold of {bound}: {_promise(evidence)} "
        f"{amount(evidence.labels_seen)} labels seen since the baseline."
        f"{_second_opinions(evidence)}"
    )


def _promise(evidence: Evidence) -> str:
    """What the threshold promises: of this series alone, or as its part of a fleet's budget."""
    bound, budget = amount(evidence.alarm_at), evidence.budget
    if budget is None:
        return f"without a change, a false alarm comes at most once in {bound} labels on average."
    shared = "1 series has it" if budget.series == 1 else f"{budget.series} series share it"
    said = (
        f"the budget is {budget.budget}; {shared}, and this one's threshold follows from its part "
        f"and about {amount(budget.labels_per_month)} labels a month."
    )
    below = evidence.e_value is not None and evidence.e_value < evidence.alarm_at
    if below and budget.rule == "e_d_bh":
        said += (
            " It was named below its threshold, together with others (e-d-BH): of the series so "
            "named, the expected share that is false keeps to the budget."
        )
    return said


def _second_opinions(evidence: Evidence) -> str:
    """What the detectors beside the one that raised the alarm have found; empty without any."""
    said = [
        f"{each.name} found a change in the cohort of {day(each.drifted_at)}"
        if each.drifted_at is not None
        else f"{each.name} found none"
        for each in evidence.opinions
        if each.name != evidence.raised_by
    ]
    return f" Second opinions: {'; '.join(said)}." if said else ""


def cause(evidence: Evidence) -> str:
    """Whether the map changed or the traffic moved, with each one's part of the change."""
    said = {
        Cause.MAP: "the map changed: the same score now means another probability",
        Cause.MIX: "the mix changed: traffic moved to scores that were dishonest all along",
        None: "neither the map nor the mix alone moved ECE beyond the tolerance",
    }[evidence.cause]
    if evidence.map_part is None or evidence.mix_part is None:
        return f"{said}."
    if evidence.cause is Cause.MAP and abs(evidence.map_part) <= abs(evidence.mix_part):
        return f"{said}, about as far from honest as before, but elsewhere."
    parts = f"ECE moved {evidence.map_part:+.3f} by map, {evidence.mix_part:+.3f} by mix"
    return f"{said} ({parts})."


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


def behind_it(verdict: Verdict) -> str:
    """Labels, coverage and the window of prediction time that the verdict rests on."""
    window = verdict.evidence.window
    labels = amount(window.n) if window else "unknown"
    coverage = verdict.evidence.coverage
    covered = "unknown" if math.isnan(coverage) else f"{coverage:.0%}"
    rate = verdict.evidence.sample_rate
    whole = ""
    if rate < 1 and window:
        whole = (
            f" Counted is a sample of {100 * rate:.3g} % of the traffic: "
            f"about {amount(round(window.n / rate))} labels in all."
        )
    return (
        f"{labels} labels, {covered} of the predictions made "
        f"{moment(verdict.window_start_at)} to {moment(verdict.window_end_at)}.{whole}"
        f"{_beside(verdict.evidence)}"
    )


def _beside(evidence: Evidence) -> str:
    """Warnings: scores have shifted, labels are chosen, scores are of no use; empty without any."""
    shift, selection = evidence.score_shift, evidence.selection
    said = [shift.reason] if shift is not None and shift.shifted else []
    said += [selection.warning] if selection is not None and selection.warning else []
    if evidence.ranking is not None and _is_useless(evidence):
        said.append(evidence.ranking.reason)
    return "".join(f" {one}" for one in said)


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
    if _is_useless(evidence):
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
    if _is_useless(evidence):
        return (
            "look at the model: its scores tell next to nothing apart, and recalibrating makes "
            "them honest, not useful."
        )
    return (
        f"apply the recalibrator in the thread: ECE {before:.3f} before, {after:.3f} after, on "
        f"{amount(evidence.repair.n_held_out)} held-out labels."
    )


def _is_useless(evidence: Evidence) -> bool:
    return evidence.ranking is not None and is_useless(evidence.ranking)


def over(restart: Restart | None) -> str:
    """How an episode ended: the title's words after the name."""
    if restart is None:
        return "is no longer shown to differ from its baseline"
    return "begins again with a new baseline"


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
