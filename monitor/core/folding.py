"""Evaluation: the fold that turns a series' cohorts, in time order, into verdicts.

Guarantees: `step` and `judge` are pure, so the daemon, a backtest and a later reproduction of a
verdict agree bit for bit; every cohort is fed to the detector once and whole; a baseline never
changes once pinned. Must never: call a series OK without a baseline, enough labels and coverage.
What an alarm's threshold promises is said in `sequential.py`; it is an average over a prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from monitor.core import second_opinions
from monitor.core.arrival import COMPLETE
from monitor.core.autocorrelation import find_memory
from monitor.core.band import Band
from monitor.core.bins import BinCounts
from monitor.core.label_delays import NOTHING_SEEN, SeenDelays, arrival_of
from monitor.core.metrics import metrics, reliability_bins
from monitor.core.policies import (
    DetectorName,
    FirstLabels,
    NamedPeriod,
    Policy,
    Unlabelled,
    WobbleRule,
)
from monitor.core.sequential import Detector
from monitor.core.shift import Shift, baseline_error, measure_shift
from monitor.core.traffic import Traffic, log_excess, with_cohort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.arrival import Arrival
    from monitor.core.autocorrelation import Autocorrelation
    from monitor.core.claims import Series
    from monitor.core.delays import DelayCounts
    from monitor.core.second_opinions import SecondOpinion
    from monitor.core.verdicts import BinEstimate, BudgetShare, Metrics, Restart

IMPORTED = "imported"
"""Source of a baseline that comes from elsewhere, so that its span says nothing of the stream."""
FIRST_LABELS = "first_labels"
PERIOD = "period"
MIN_BASELINE_LABELS = 100
"""Fewer decide no map: nothing is judged against them. A policy cannot ask for fewer."""
BINS_SHOWN = 15
RECOVERY_RATIO = 10.0
"""An alarm ends when its evidence, counted on from the threshold, has fallen by this factor."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """One natural unit of wobble: counts of the predictions made in [start_s, end_s).

    Times are epoch seconds; counts hold every prediction, and on-time labels alone. delays: of its
    labels within the label horizon; complete: of labels within the correction horizon, of earlier
    predictions that have become so old. None where no delays were counted.
    """

    start_s: int
    end_s: int
    counts: BinCounts
    delays: DelayCounts | None = None
    complete: DelayCounts | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a series is compared with: its cohorts, and where they come from.

    source is `first_labels`, `period` or `imported`; restart: what ended the one before it.
    """

    series: Series
    source: str
    cohorts: tuple[Cohort, ...]
    restart: Restart | None = None

    @property
    def start_at(self) -> datetime:
        """Start of the first cohort."""
        return moment(self.cohorts[0].start_s)

    @property
    def end_at(self) -> datetime:
        """End of the last cohort."""
        return moment(self.cohorts[-1].end_s)

    @property
    def counts(self) -> BinCounts:
        """Counts of all cohorts."""
        return merged(self.cohorts)


@dataclass(frozen=True, slots=True, eq=False)
class BaselineFacts:
    """What every judgement needs of a baseline, made once.

    counts: of all its cohorts; error: mean |score - map(score)|, None without labels.
    """

    counts: BinCounts
    error: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that holds: when it was raised, since when, and M at that moment (log labels).

    raised_by: the e-process, or the second opinion that a policy without it goes by.
    """

    raised_s: int
    since_s: int
    log_m: float
    raised_by: DetectorName = DetectorName.E_PROCESS


@dataclass(frozen=True, slots=True)
class SeriesState:
    """Everything known of one series after some cohorts; made by `begin` and `step` alone.

    collecting: cohorts of a baseline that is not complete yet. resting: the detector as the
    baseline left it; detector: as it is now. window: newest cohorts, as in `_window`. labels_seen:
    labels fed to the detector since the baseline. predicted_until_s: end of the newest cohort with
    a prediction. restart: what the baseline was last started again by. opinions: the policy's
    second opinions. delays: of all cohorts so far. memory: what the baseline shows of its wobble's.
    first_s, traffic: start of the first cohort, and labels by day. alarm_at, share: threshold that
    a fleet's budget gives and what it follows from; infinite while the series waits for it, None
    where the policy's holds.
    """

    series: Series
    policy: Policy
    baseline: Baseline | None = None
    baseline_metrics: Metrics | None = None
    baseline_bins: tuple[BinEstimate, ...] = ()
    facts: BaselineFacts | None = None
    resting: Detector | None = None
    detector: Detector | None = None
    collecting: tuple[Cohort, ...] = ()
    window: tuple[Cohort, ...] = ()
    alarm: Alarm | None = None
    labels_seen: int = 0
    seen_until_s: int | None = None
    predicted_until_s: int | None = None
    restart: Restart | None = None
    delays: SeenDelays = NOTHING_SEEN
    opinions: tuple[SecondOpinion | Band, ...] = ()
    memory: Autocorrelation | None = None
    first_s: int | None = None
    traffic: Traffic = ()
    alarm_at: float | None = None
    share: BudgetShare | None = None

    @property
    def threshold(self) -> float:
        """Threshold A of the detector, in labels."""
        return self.policy.alarm_at if self.alarm_at is None else self.alarm_at


def moment(epoch_s: int) -> datetime:
    """Aware UTC datetime of epoch seconds."""
    return datetime.fromtimestamp(epoch_s, tz=UTC)


def merged(cohorts: Sequence[Cohort]) -> BinCounts:
    """Counts of all cohorts together."""
    return BinCounts(
        np.sum([c.counts.sums for c in cohorts], axis=0, dtype=np.int64)
        if cohorts
        else BinCounts.empty().sums
    )


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
        return _alarmed(state, cohort)
    return _rested(state) if _recovered(state, state.alarm) else state


def collection_rule(state: SeriesState) -> FirstLabels | NamedPeriod:
    """How the baseline is collected; after a restart a named period is over, so by labels."""
    rule = state.policy.baseline
    if isinstance(rule, FirstLabels) or state.restart is None:
        return rule
    return FirstLabels(max(FirstLabels().labels, state.policy.min_labels))


def window_shift(state: SeriesState) -> Shift | None:
    """Distance of the window from the baseline's map; None without labels or baseline.

    None too while it is not known how many labels come in time for an imported baseline.
    """
    arrival = arrival_in(state)
    if state.resting is None or arrival is None:
        return None
    return measure_shift(state.resting, [c.counts for c in state.window], arrival)


def arrival_in(state: SeriesState) -> Arrival | None:
    """What the label horizon does to the baseline's map; None while that is not known.

    A baseline of the stream's own labels was sealed at the same horizon, so its map holds it.
    """
    if state.baseline is None or state.baseline.source != IMPORTED:
        return COMPLETE
    return arrival_of(
        state.delays,
        state.policy.label_horizon.total_seconds(),
        unlabelled_negative=state.policy.unlabelled is Unlabelled.NEGATIVE,
    )


def is_covered(counts: BinCounts, policy: Policy) -> bool:
    """Whether enough of the predictions have a label."""
    return counts.n_predicted > 0 and counts.coverage >= policy.min_coverage


def has_evidence(state: SeriesState) -> bool:
    """Whether the detector's statistic has reached the policy's threshold."""
    return state.detector is not None and state.detector.log_m >= log(state.threshold)


def e_value(log_m: float) -> float:
    """M in labels, kept finite."""
    return exp(min(log_m, 700.0))


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
        opinions=_asked(state.policy, detector),
        memory=memory,
    )


def _asked(policy: Policy, resting: Detector) -> tuple[SecondOpinion | Band, ...]:
    """The policy's second opinions before their first cohort, against the baseline's map."""
    return tuple(
        Band.begin(resting, policy.alarm_at)
        if name is DetectorName.BAND
        else second_opinions.begin(name, resting.expected)
        for name in policy.detectors
        if name is not DetectorName.E_PROCESS
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


def scaled(detector: Detector, by: float) -> Detector:
    """The detector with `by` added to its log evidence."""
    if by == 0:
        return detector
    return replace(detector, log_r=detector.log_r + by, log_best=detector.log_best + by)


def cleared(detector: Detector) -> Detector:
    """The detector with what it has learned, and no evidence."""
    return scaled(detector, -np.inf)


def _is_judgeable(state: SeriesState) -> bool:
    if state.facts is None or state.facts.counts.n_labelled < MIN_BASELINE_LABELS:
        return False
    counts = merged(state.window)
    return counts.n_labelled >= state.policy.min_labels and is_covered(counts, state.policy)


def _alarmed(state: SeriesState, cohort: Cohort) -> SeriesState:
    """Raise an alarm when there is both evidence and an effect beyond the tolerance."""
    found = None if state.detector is None else _found(state, state.detector)
    return state if found is None else raised(state, cohort.end_s, found)


def raised(
    state: SeriesState, at_s: int, found: tuple[DetectorName, int] | None = None
) -> SeriesState:
    """The state with an alarm raised at `at_s`, if its effect is beyond the tolerance.

    found: the detector that asks for it and when the change began; without, the e-detector.
    """
    if state.detector is None or state.resting is None or not _is_judgeable(state):
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


def _recovered(state: SeriesState, alarm: Alarm) -> bool:
    """Whether the window lies wholly after the alarm and is back within the tolerance.

    The evidence must be gone too: a small window is often near the baseline by chance.
    """
    if state.window[0].start_s < alarm.raised_s or not _is_judgeable(state):
        return False
    gone = log(state.threshold / RECOVERY_RATIO)
    by_evidence = alarm.raised_by is DetectorName.E_PROCESS
    if state.detector is None or (by_evidence and state.detector.log_m > gone):
        return False
    shift = window_shift(state)
    return shift is not None and shift.size <= state.policy.tolerance


def _rested(state: SeriesState) -> SeriesState:
    """Start again from the baseline's map; the window that showed the recovery is kept and learned.

    What was learned between baseline and alarm is given up: it may hold part of the change.
    """
    detector, arrival = state.resting, arrival_in(state) or COMPLETE
    for cohort in state.window:
        if detector is not None and is_covered(cohort.counts, state.policy):
            detector = detector.taught(cohort.counts, arrival=arrival)
    opinions = () if state.resting is None else _asked(state.policy, state.resting)
    return replace(state, alarm=None, detector=detector, opinions=opinions)
