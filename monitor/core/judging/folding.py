"""The fold that takes a series' cohorts, in time order, to its state.

Guarantees: `step` is pure, so the daemon, a backtest and a later reproduction of a verdict agree
bit for bit; every cohort is fed to the detector once and whole; a baseline never changes once
pinned. What an alarm's threshold promises is said in `sequential.py`; it is an average over a
prior. Must never: judge; `evaluation.py` does.
"""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.autocorrelation import find_memory
from monitor.core.detector.sequential import Detector
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
    if state.baseline is None:
        return _collected(state, cohort)
    if state.baseline.source != IMPORTED and cohort.start_s < state.baseline.cohorts[-1].end_s:
        return state
    return _compared(state, cohort)


def _compared(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Set one more cohort against the baseline."""
    state = replace(state, window=_window((*state.window, cohort), state.policy))
    state = _fed(state, cohort)
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
    pinned = _pinned(state, Baseline(state.series, PERIOD, cohorts))
    return pinned if cohort in cohorts else _compared(pinned, cohort)


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


def _fed(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Feed one cohort; one whose labels are mostly missing is evidence of nothing.

    Evidence already at the threshold is cut back to it, so that a return is seen as fast as a
    change; while an alarm holds nothing is learned.
    """
    arrival = arrival_in(state)
    if state.detector is None or arrival is None or not is_covered(cohort.counts, state.policy):
        return state
    top, excess = log(state.threshold), log_excess(state.share, cohort)
    learn_below = top + excess if state.alarm is None else -np.inf
    detector = scaled(state.detector.capped(top), excess).observe(
        cohort.counts, cohort.start_s, learn_below=learn_below, arrival=arrival
    )
    seen = state.labels_seen + cohort.counts.n_labelled
    opinions = tuple(each.fed(cohort.counts, cohort.start_s) for each in state.opinions)
    return replace(state, detector=scaled(detector, -excess), labels_seen=seen, opinions=opinions)
