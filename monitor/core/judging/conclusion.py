"""Concluding: the status that a series' state and evidence come to, with a plain reason.

Guarantees: pure; every status has a reason a person can act on; an alarm that holds stays DRIFTED
however few labels follow, until predictions stop (NO_DATA). Must never: say OK where something is
missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.judging.delay_evidence import (
    delay_words,
    moves_labels,
    unknown_arrival_words,
)
from monitor.core.judging.folding import collection_rule
from monitor.core.judging.restarts import restart_words
from monitor.core.judging.series_state import (
    MIN_BASELINE_LABELS,
    Alarm,
    SeriesState,
    arrival_in,
    has_evidence,
    is_covered,
    merged,
    moment,
)
from monitor.core.kinds import covered_words, level_of
from monitor.core.measures.estimates import is_useless
from monitor.core.policies import DetectorName, FirstLabels
from monitor.core.verdicts import Evidence, Status, rfc3339
from monitor.core.wording import direction_words

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.bins import BinCounts
    from monitor.core.policies import Policy

LATE_LABELS_SELECT = "A label horizon that sorts labels by outcome makes them differ too."


def conclusion(
    state: SeriesState, window: BinCounts, evidence: Evidence, evaluated_at: datetime
) -> tuple[Status, str]:
    """Status and reason, with what a reader must know besides.

    window: counts of the state's window; evidence: as `evaluation.py` makes it.
    """
    status, reason = _status(state, window, evidence, evaluated_at)
    if status is Status.NO_DATA:
        return status, reason
    delays = delay_words(evidence.delays, state.policy, drifted=status is Status.DRIFTED)
    return status, " ".join([reason, *_warnings(evidence), *delays])


def _status(
    state: SeriesState, window: BinCounts, evidence: Evidence, evaluated_at: datetime
) -> tuple[Status, str]:
    """Status and reason; the first condition that holds decides."""
    policy = state.policy
    if (silent := _silence(state, evaluated_at)) is not None:
        return Status.NO_DATA, silent
    if state.facts is None:
        return Status.INSUFFICIENT, _collecting(state)
    if state.alarm is not None:
        return Status.DRIFTED, _drifted(state.alarm, evidence) + _coverage(state, window)
    if (unknown := unknown_arrival_words(policy, arrival_in(state))) is not None:
        return Status.INSUFFICIENT, unknown
    if (lacking := _lacking(state.facts.counts, window, policy)) is not None:
        return Status.INSUFFICIENT, lacking
    return Status.OK, _fine(state, evidence)


def _warnings(evidence: Evidence) -> list[str]:
    """What a reader of the reason must know besides."""
    shift, selection = evidence.score_shift, evidence.selection
    said = [shift.reason] if shift is not None and shift.shifted else []
    if evidence.ranking is not None and is_useless(evidence.ranking):
        said.append(evidence.ranking.reason)
    if selection is not None and selection.warning:
        said.append(selection.warning)
        said += [LATE_LABELS_SELECT] if moves_labels(evidence.delays) else []
    if evidence.decision is not None and evidence.decision.too_costly:
        said.append(evidence.decision.reason)
    return said


def _lacking(baseline: BinCounts, window: BinCounts, policy: Policy) -> str | None:
    """What is missing to call a series OK, or None."""
    if baseline.n_labelled < MIN_BASELINE_LABELS:
        return (
            f"The baseline holds {baseline.n_labelled} of the {MIN_BASELINE_LABELS} labels that a "
            "comparison needs: pin a longer one."
        )
    if window.n_predicted and not is_covered(window, policy):
        return (
            f"Only {window.coverage:.1%} of the window's predictions have a label on time; "
            f"{policy.min_coverage:.1%} are needed."
        )
    if window.n_labelled < policy.min_labels:
        return f"The window holds {window.n_labelled} of the {policy.min_labels} labels needed."
    if baseline.n_positive in {0, baseline.n_labelled}:
        return (
            f"The baseline's {baseline.n_labelled} labels all have the same outcome, "
            "so there is no calibration to compare with."
        )
    return None


def _silence(state: SeriesState, evaluated_at: datetime) -> str | None:
    """Why there is no data: a whole window without a prediction, or None."""
    if state.predicted_until_s is None:
        return "No predictions yet."
    until_at = moment(state.predicted_until_s)
    if until_at + state.policy.window >= evaluated_at - state.policy.label_horizon:
        return None
    return f"No predictions since {rfc3339(until_at)}."


def _collecting(state: SeriesState) -> str:
    rule = collection_rule(state)
    labels = merged(state.collecting).n_labelled
    if isinstance(rule, FirstLabels) and state.restart is not None:
        return (
            f"Collecting a new baseline: {labels} of {rule.labels} labels since "
            f"{rfc3339(state.restart.since_at)}, after {restart_words(state.restart)}."
        )
    if isinstance(rule, FirstLabels):
        return f"Collecting the baseline: {labels} of {rule.labels} labels so far."
    period = f"{rfc3339(rule.start_at)} to {rfc3339(rule.end_at)}"
    if state.seen_until_s is not None and moment(state.seen_until_s) >= rule.end_at:
        return f"The baseline period {period} holds {labels} of {state.policy.min_labels} labels."
    return f"Collecting the baseline of {period}: {labels} labels so far."


def _drifted(alarm: Alarm, evidence: Evidence) -> str:
    size = "" if evidence.shift is None else f" by {evidence.shift:.3f} on average"
    how = direction_words(evidence.direction)
    return (
        f"The model {how}: outcomes differ from the baseline{size}, "
        f"most likely since {rfc3339(moment(alarm.since_s))}.{_by_whom(alarm)}"
    )


def _coverage(state: SeriesState, window: BinCounts) -> str:
    """What a quantile or an interval covers, as one more sentence; nothing of other claims."""
    level = level_of(state.series.claim)
    if level is None or not window.n_labelled:
        return ""
    share = window.n_positive / window.n_labelled
    within = covered_words(state.series.claim)
    return f" Of the window's labels {share:.1%} are {within}, and {level:.1%} are promised."


def _by_whom(alarm: Alarm) -> str:
    if alarm.raised_by is DetectorName.E_PROCESS:
        return ""
    if alarm.raised_by is DetectorName.BAND:
        return " Found by the band around the baseline's map."
    return f" Found by {alarm.raised_by}, which promises no rate of false alarms."


def _fine(state: SeriesState, evidence: Evidence) -> str:
    if has_evidence(state) and evidence.shift is not None:
        return (
            f"Evidence of change, effect below tolerance: shift {evidence.shift:.3f}, "
            f"tolerance {state.policy.tolerance:.3f}."
        )
    return "No evidence of a change of calibration since the baseline."
