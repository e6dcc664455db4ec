"""What is known of one series after some cohorts, and the questions that are asked of it.

Guarantees: immutable values; an answer follows from the state alone. Must never: step; `folding.py`
does, and `alarms.py` raises and ends alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import log
from typing import TYPE_CHECKING

from monitor.core.bins import BinCounts
from monitor.core.delay.label_delays import NOTHING_SEEN, SeenDelays, arrival_of
from monitor.core.detector.arrival import COMPLETE
from monitor.core.detector.shift import Shift, measure_shift
from monitor.core.policies import DetectorName, Policy, Unlabelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.claims import Series
    from monitor.core.delays import DelayCounts
    from monitor.core.detector.arrival import Arrival
    from monitor.core.detector.autocorrelation import Autocorrelation
    from monitor.core.detector.band import Band
    from monitor.core.detector.second_opinions import SecondOpinion
    from monitor.core.detector.sequential import Detector
    from monitor.core.judging.traffic import Traffic
    from monitor.core.verdicts import BinEstimate, BudgetShare, Metrics, Restart

IMPORTED = "imported"
"""Source of a baseline that comes from elsewhere, so that its span says nothing of the stream."""
FIRST_LABELS = "first_labels"
PERIOD = "period"
MIN_BASELINE_LABELS = 100
"""Fewer decide no map: nothing is judged against them. A policy cannot ask for fewer."""


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
    total = BinCounts.empty().sums
    for cohort in cohorts:
        total += cohort.counts.sums
    return BinCounts(total)


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


def is_judgeable(state: SeriesState) -> bool:
    """Whether baseline and window hold what a comparison needs."""
    if state.facts is None or state.facts.counts.n_labelled < MIN_BASELINE_LABELS:
        return False
    counts = merged(state.window)
    return counts.n_labelled >= state.policy.min_labels and is_covered(counts, state.policy)
