"""Paragraphs: the sentences of an alert, each from the evidence, in plain words.

Guarantees: every sentence is plain text that reads by itself and says "unknown" rather than
leave a number out; nothing is promised that the evidence does not hold. Must never: escape or
mark up; `messages.py` does that for its receiver.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.core.verdicts import Cause
from monitor.core.wording import amount, day, interval, moment, span
from monitor.notify.advice_paragraphs import of_no_use

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.verdicts import Evidence, Metrics, Restart, Verdict


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
    if evidence.ranking is not None and of_no_use(evidence):
        said.append(evidence.ranking.reason)
    return "".join(f" {one}" for one in said)


def over(restart: Restart | None) -> str:
    """How an episode ended: the title's words after the name."""
    if restart is None:
        return "is no longer shown to differ from its baseline"
    return "begins again with a new baseline"
