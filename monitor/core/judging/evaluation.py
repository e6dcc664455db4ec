"""Judging: what a series' state says at one moment, as a verdict with all its evidence.

Guarantees: pure; a verdict does not depend on what is judged beside it. Must never: change the
state, or choose the status; `conclusion.py` does, from the evidence that is gathered here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.core.decision.decision_evidence import decision_evidence
from monitor.core.detector import shift as shifts
from monitor.core.judging.conclusion import conclusion
from monitor.core.judging.delay_evidence import (
    as_of_all_labels,
    delay_evidence,
    moves_labels,
)
from monitor.core.judging.evidence import e_value
from monitor.core.judging.measuring import measured, score_shifts
from monitor.core.judging.series_state import (
    SeriesState,
    has_evidence,
    merged,
    moment,
)
from monitor.core.kinds import level_of
from monitor.core.measures.estimates import estimates
from monitor.core.measures.halves import halves
from monitor.core.policies import WobbleRule
from monitor.core.recalibration.repairs import best_repair
from monitor.core.verdicts import (
    Cause,
    Direction,
    Evidence,
    Opinion,
    Repair,
    Status,
    Verdict,
    WobbleFound,
    WrongBin,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.bins import BinCounts
    from monitor.core.judging.measuring import Measured
    from monitor.core.verdicts import DelayEvidence, Metrics

WORST_BINS = 3


def judge(state: SeriesState, evaluated_at: datetime) -> Verdict:
    """The verdict on a series at event time `evaluated_at` (aware UTC)."""
    return judge_all([(state, evaluated_at)])[0]


def judge_all(asked: Sequence[tuple[SeriesState, datetime]]) -> list[Verdict]:
    """As `judge`, of each; what is asked besides changes no bit of it."""
    windows = [merged(state.window) for state, _ in asked]
    found = measured([state for state, _ in asked], windows)
    return [
        _verdict(state, evaluated_at, window, of_window)
        for (state, evaluated_at), window, of_window in zip(asked, windows, found, strict=True)
    ]


def _verdict(
    state: SeriesState, evaluated_at: datetime, window: BinCounts, found: Measured
) -> Verdict:
    """The verdict from what was measured; window: counts of the state's window."""
    end_at = evaluated_at - state.policy.label_horizon
    start_at = end_at - state.policy.window
    if state.window:
        start_at, end_at = moment(state.window[0].start_s), moment(state.window[-1].end_s)
    evidence = _evidence(state, window, found)
    status, reason = conclusion(state, window, evidence, evaluated_at)
    if status is Status.DRIFTED:
        evidence = replace(evidence, repair=_repair(state), estimates=estimates(window))
    return Verdict(state.series, status, reason, evaluated_at, start_at, end_at, evidence)


def has_shifted(state: SeriesState) -> bool:
    """Whether scores have shifted since the baseline: a reason to look, never an alert."""
    found = score_shifts([state], [merged(state.window)])[0]
    return found is not None and found.shifted


def _evidence(state: SeriesState, window: BinCounts, found: Measured) -> Evidence:
    """Everything but the repair and the estimates that are made for a drift alone."""
    policy, shift, split = state.policy, found.shift, found.split
    before, now = state.baseline_metrics, found.metrics
    log_m, since_s = _standing(state)
    decided = policy.decision_on(state.series.claim)
    delays = delay_evidence(state, window)
    cause: Cause | None = (
        shifts.cause_of(shift, split, policy.tolerance) if shift and split else None
    )
    return Evidence(
        e_value=None if log_m is None else e_value(log_m),
        alarm_at=state.threshold,
        labels_seen=state.labels_seen,
        drift_since_at=None if since_s is None else moment(since_s),
        sigma=None if state.detector is None else state.detector.sigma,
        coverage=window.coverage,
        direction=_direction(state, before, as_of_all_labels(now, delays), delays),
        cause=cause,
        shift=shift.size if shift else None,
        shift_low=shift.low if shift else None,
        shift_high=shift.high if shift else None,
        gap_shift=shift.gap if shift else None,
        map_part=split.map_part if split else None,
        mix_part=split.mix_part if split else None,
        baseline=before,
        window=now,
        bins=found.bins,
        baseline_bins=state.baseline_bins,
        worst_bins=tuple(test.bin for test in found.wrong_bins[:WORST_BINS]),
        repair=None,
        sample_rate=policy.sample_ppm / 1e6,
        delays=delays,
        restart=state.restart,
        ranking=found.ranking,
        wrong_bins=tuple(
            WrongBin(test.bin.lower, test.bin.upper, test.direction, test.misplaced, test.adjusted)
            for test in found.wrong_bins
        ),
        score_shift=found.score_shift,
        selection=found.selection,
        wobble=_wobble(state),
        raised_by=None if state.alarm is None else str(state.alarm.raised_by),
        opinions=tuple(
            Opinion(
                each.name,
                each.findings,
                each.labels_fed,
                None if each.drifted_s is None else moment(each.drifted_s),
            )
            for each in state.opinions
        ),
        budget=state.share,
        decision=None if decided is None else decision_evidence(window, decided),
    )


def _direction(
    state: SeriesState,
    before: Metrics | None,
    now: Metrics | None,
    delays: DelayEvidence | None,
) -> Direction | None:
    """How the scores mislead: for a drift always, else where the labels show that they do.

    Labels that the horizon sorts by outcome do not show it: the error of on-time labels is theirs.
    """
    if before is None or now is None:
        return None
    found = shifts.direction_of(before, now)
    shown = found is Direction.IMPROVED or now.ece_debiased_low > 0
    shown = shown and not moves_labels(delays)
    return found if shown or state.alarm is not None else None


def _wobble(state: SeriesState) -> WobbleFound | None:
    """The form of wobble that the detector goes by, and why."""
    memory = state.memory
    if memory is None or state.resting is None:
        return None
    form = WobbleRule.HIDDEN_LEVEL if state.resting.has_hidden_level else WobbleRule.INDEPENDENT
    reason = memory.reason
    if state.policy.wobble is not WobbleRule.AUTO:
        reason = f"{reason} The policy asks for {form.replace('_', ' ')}."
    return WobbleFound(
        str(form), str(memory.memory), memory.p_value, memory.lag_1, memory.weekly, reason
    )


def _standing(state: SeriesState) -> tuple[float | None, int | None]:
    """Log M and the start of the change: at the alarm if one holds, else now."""
    if state.alarm is not None:
        return state.alarm.log_m, state.alarm.since_s
    if state.detector is None:
        return None, None
    since_s = state.detector.changed_since_s if has_evidence(state) else None
    return state.detector.log_m, since_s


def _repair(state: SeriesState) -> Repair | None:
    """A repair fitted on half of the window's cohorts since the change and scored on the rest."""
    if state.alarm is None or level_of(state.series.claim) is not None:
        return None  # a constant is not repaired by a map of it
    since_s = state.alarm.since_s
    changed = [c.counts for c in state.window if c.start_s >= since_s and c.counts.n_labelled]
    return best_repair(*halves(changed, since_s))
