"""Who may raise an alarm on a series, when one is raised, and when it ends.

Guarantees: an alarm needs evidence and an effect beyond the tolerance; it ends when both are gone.
Must never: raise one against a baseline or a window too small to judge by.
"""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

from monitor.core.detector import second_opinions
from monitor.core.detector.arrival import COMPLETE
from monitor.core.detector.band import Band
from monitor.core.judging.series_state import (
    Alarm,
    arrival_in,
    has_evidence,
    is_covered,
    is_judgeable,
    window_shift,
)
from monitor.core.policies import DetectorName

if TYPE_CHECKING:
    from monitor.core.detector.second_opinions import SecondOpinion
    from monitor.core.detector.sequential import Detector
    from monitor.core.judging.series_state import Cohort, SeriesState
    from monitor.core.policies import Policy

RECOVERY_RATIO = 10.0
"""An alarm ends when its evidence, counted on from the threshold, has fallen by this factor."""


def asked_opinions(policy: Policy, resting: Detector) -> tuple[SecondOpinion | Band, ...]:
    """The policy's second opinions before their first cohort, against the baseline's map."""
    return tuple(
        Band.begin(resting, policy.alarm_at)
        if name is DetectorName.BAND
        else second_opinions.begin(name, resting.expected)
        for name in policy.detectors
        if name is not DetectorName.E_PROCESS
    )


def alarmed(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Raise an alarm when there is both evidence and an effect beyond the tolerance."""
    found = None if state.detector is None else _found(state, state.detector)
    return state if found is None else raised(state, cohort.end_s, found)


def raised(
    state: SeriesState, at_s: int, found: tuple[DetectorName, int] | None = None
) -> SeriesState:
    """The state with an alarm raised at `at_s`, if its effect is beyond the tolerance.

    found: the detector that asks for it and when the change began; without, the e-detector.
    """
    if state.detector is None or state.resting is None or not is_judgeable(state):
        return state
    shift = window_shift(state)
    if shift is None or shift.size <= state.policy.tolerance:
        return state
    raised_by, since_s = found or (DetectorName.E_PROCESS, state.detector.changed_since_s)
    alarm = Alarm(at_s, since_s, state.detector.log_m, raised_by)
    return replace(state, alarm=alarm, detector=state.detector.returned_to(state.resting))


def _found(state: SeriesState, detector: Detector) -> tuple[DetectorName, int] | None:
    """Who found a change, and since when, by the detectors that may raise an alarm.

    A second opinion's finding counts while its cohort is in the window.
    """
    if DetectorName.E_PROCESS in state.policy.detectors:
        since_s = detector.changed_since_s
        return (DetectorName.E_PROCESS, since_s) if has_evidence(state) else None
    from_s = state.window[0].start_s
    found = [
        (DetectorName(each.name), each.drifted_s)
        for each in state.opinions
        if each.drifted_s is not None and each.drifted_s >= from_s
    ]
    return min(found, key=lambda one: one[1], default=None)


def recovered(state: SeriesState, alarm: Alarm) -> bool:
    """Whether the window lies wholly after the alarm and is back within the tolerance.

    The evidence must be gone too: a small window is often near the baseline by chance.
    """
    if state.window[0].start_s < alarm.raised_s or not is_judgeable(state):
        return False
    gone = log(state.threshold / RECOVERY_RATIO)
    by_evidence = alarm.raised_by is DetectorName.E_PROCESS
    if state.detector is None or (by_evidence and state.detector.log_m > gone):
        return False
    shift = window_shift(state)
    return shift is not None and shift.size <= state.policy.tolerance


def rested(state: SeriesState) -> SeriesState:
    """Start again from the baseline's map; the window that showed the recovery is kept and learned.

    What was learned between baseline and alarm is given up: it may hold part of the change.
    """
    detector, arrival = state.resting, arrival_in(state) or COMPLETE
    for cohort in state.window:
        if detector is not None and is_covered(cohort.counts, state.policy):
            detector = detector.taught(cohort.counts, arrival=arrival)
    opinions = () if state.resting is None else asked_opinions(state.policy, state.resting)
    return replace(state, alarm=None, detector=detector, opinions=opinions)
