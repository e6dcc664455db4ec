"""The fold that takes a series' cohorts, in time order, to its state.

Guarantees: a step is pure, and does not depend on what is stepped beside it, so the daemon, a
backtest and a later reproduction of a verdict agree bit for bit; every cohort is fed to the
detector once and whole; a baseline never changes once pinned. What an alarm's threshold promises is
said in `sequential.py`; it is an average over a prior. Must never: judge; `evaluation.py` does.
"""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.autocorrelation import find_memory
from monitor.core.detector.sequential import Detector, Observation, observe_all
from monitor.core.detector.shift import baseline_error
from monitor.core.judging.alarms import alarmed, asked_opinions, recovered, rested
from monitor.core.judging.evidence import scaled
from monitor.core.judging.series_state import (
    FIRST_LABELS,
    IMPORTED,
    PERIOD,
    Baseline,
    BaselineFacts,
    Cohort,
    SeriesState,
    arrival_in,
    is_covered,
    moment,
)
from monitor.core.judging.traffic import log_excess, with_cohort
from monitor.core.measures.metrics import metrics, reliability_bins
from monitor.core.policies import FirstLabels, NamedPeriod, Policy, WobbleRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.claims import Series

BINS_SHOWN = 15


def begin(series: Series, policy: Policy, baseline: Baseline | None = None) -> SeriesState:
    """A series before its first cohort, with a stored or imported baseline if there is one."""
    state = SeriesState(series, policy)
    return state if baseline is None else _pinned(state, baseline)


def step(state: SeriesState, cohort: Cohort) -> SeriesState:
    """The state after one more cohort; the given state stays as it was.

    Cohorts that began before the end of a stored baseline are passed over, so that a fold may start
    from the first row again. Raises ValueError for a cohort that is not later than all before it.
    """
    return step_all([(state, cohort)])[0]


def step_all(asked: Sequence[tuple[SeriesState, Cohort]]) -> list[SeriesState]:
    """As `step`, of each; what is asked besides changes no bit of it."""
    after = [_received(state, cohort) for state, cohort in asked]
    set_against = [
        place for place, (_, cohort) in enumerate(asked) if _is_after_baseline(after[place], cohort)
    ]
    compared = _compared([(after[place], asked[place][1]) for place in set_against])
    for place, state in zip(set_against, compared, strict=True):
        after[place] = state
    return after


def _received(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Everything of a step that is not a comparison with the baseline."""
    if state.seen_until_s is not None and cohort.start_s < state.seen_until_s:
        msg = f"cohort {moment(cohort.start_s)} of {state.series} comes after a later one"
        raise ValueError(msg)
    predicted = cohort.counts.n_predicted > 0
    state = replace(
        state,
        seen_until_s=cohort.end_s,
        first_s=cohort.start_s if state.first_s is None else state.first_s,
        traffic=with_cohort(state.traffic, cohort),
        predicted_until_s=cohort.end_s if predicted else state.predicted_until_s,
        delays=state.delays.after(cohort.start_s, cohort.delays, cohort.complete),
    )
    return _collected(state, cohort) if state.baseline is None else state


def _is_after_baseline(state: SeriesState, cohort: Cohort) -> bool:
    """Whether there is a baseline, of which the cohort is no part."""
    baseline = state.baseline
    return baseline is not None and (
        baseline.source == IMPORTED or cohort.start_s >= baseline.cohorts[-1].end_s
    )


def _compared(asked: Sequence[tuple[SeriesState, Cohort]]) -> list[SeriesState]:
    """Set one more cohort against the baseline of each."""
    states = [
        replace(state, window=_window((*state.window, cohort), state.policy))
        for state, cohort in asked
    ]
    cohorts = [cohort for _, cohort in asked]
    fed = _fed(states, cohorts)
    return [_looked_at(state, cohort) for state, cohort in zip(fed, cohorts, strict=True)]


def _looked_at(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Raise an alarm that the evidence asks for, or lay one down that is over."""
    if state.alarm is None:
        return alarmed(state, cohort)
    return rested(state) if recovered(state, state.alarm) else state


def collection_rule(state: SeriesState) -> FirstLabels | NamedPeriod:
    """How the baseline is collected; after a restart a named period is over, so by labels."""
    rule = state.policy.baseline
    if isinstance(rule, FirstLabels) or state.restart is None:
        return rule
    return FirstLabels(max(FirstLabels().labels, state.policy.min_labels))


def _window(cohorts: tuple[Cohort, ...], policy: Policy) -> tuple[Cohort, ...]:
    """The newest cohorts that cover policy.window, reaching back until they hold min_labels."""
    from_s = cohorts[-1].end_s - policy.window.total_seconds()
    labels, kept = 0, len(cohorts)
    while kept and (cohorts[kept - 1].start_s >= from_s or labels < policy.min_labels):
        kept -= 1
        labels += cohorts[kept].counts.n_labelled
    return cohorts[kept:]


def _collected(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Add a cohort to the baseline to come, and pin it once its rule is met."""
    rule = collection_rule(state)
    if state.restart is not None and cohort.start_s < state.restart.since_at.timestamp():
        return state  # part of it is from before the restart
    if isinstance(rule, FirstLabels):
        cohorts = (*state.collecting, cohort)
        if sum(c.counts.n_labelled for c in cohorts) < rule.labels:
            return replace(state, collecting=cohorts)
        return _pinned(state, Baseline(state.series, FIRST_LABELS, cohorts, state.restart))
    start_s, end_s = rule.start_at.timestamp(), rule.end_at.timestamp()
    cohorts = state.collecting
    if start_s <= cohort.start_s and cohort.end_s <= end_s:
        cohorts = (*cohorts, cohort)
    state = replace(state, collecting=cohorts)
    if cohort.end_s < end_s or sum(c.counts.n_labelled for c in cohorts) < state.policy.min_labels:
        return state
    return _pinned(state, Baseline(state.series, PERIOD, cohorts))


def _pinned(state: SeriesState, baseline: Baseline) -> SeriesState:
    cohorts, rule = [c.counts for c in baseline.cohorts], state.policy.wobble
    detector = Detector.from_baseline(cohorts)
    memory = find_memory(detector, [(c.start_s, c.counts) for c in baseline.cohorts])
    lives_on = memory.has_memory if rule is WobbleRule.AUTO else rule is WobbleRule.HIDDEN_LEVEL
    if lives_on:
        detector = Detector.from_baseline(cohorts, hidden_level=True)
    counts = baseline.counts
    return replace(
        state,
        baseline=baseline,
        baseline_metrics=metrics(counts) if counts.n_labelled else None,
        baseline_bins=reliability_bins(counts, BINS_SHOWN) if counts.n_labelled else (),
        facts=BaselineFacts(counts, baseline_error(detector, cohorts)),
        resting=detector,
        detector=detector,
        collecting=(),
        restart=baseline.restart,
        opinions=asked_opinions(state.policy, detector),
        memory=memory,
    )


def _fed(states: Sequence[SeriesState], cohorts: Sequence[Cohort]) -> list[SeriesState]:
    """Feed one cohort to each; one whose labels are mostly missing is evidence of nothing."""
    seen = [_observation(*each) for each in zip(states, cohorts, strict=True)]
    detectors = iter(observe_all([one for one in seen if one is not None]))
    return [
        state if one is None else _with_detector(state, cohort, next(detectors))
        for state, cohort, one in zip(states, cohorts, seen, strict=True)
    ]


def _observation(state: SeriesState, cohort: Cohort) -> Observation | None:
    """What the detector is to see, if anything.

    Evidence already at the threshold is cut back to it, so that a return is seen as fast as a
    change; while an alarm holds nothing is learned.
    """
    arrival = arrival_in(state)
    if state.detector is None or arrival is None or not is_covered(cohort.counts, state.policy):
        return None
    top, excess = log(state.threshold), log_excess(state.share, cohort)
    return Observation(
        scaled(state.detector.capped(top), excess),
        cohort.counts,
        cohort.start_s,
        learn_below=top + excess if state.alarm is None else -np.inf,
        arrival=arrival,
    )


def _with_detector(state: SeriesState, cohort: Cohort, detector: Detector) -> SeriesState:
    """The state after its detector saw the cohort."""
    return replace(
        state,
        detector=scaled(detector, -log_excess(state.share, cohort)),
        labels_seen=state.labels_seen + cohort.counts.n_labelled,
        opinions=tuple(each.fed(cohort.counts, cohort.start_s) for each in state.opinions),
    )
