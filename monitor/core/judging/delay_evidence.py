"""What a verdict says of the labels' delays: how they were corrected for, and whether they changed.

Guarantees: pure; says which correction the comparison with the baseline holds, and what the gap of
all labels would be; a change of delays has words of its own. Must never: raise an alarm.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite
from typing import TYPE_CHECKING

from monitor.core.delay.delay_watch import Delays, watch_delays
from monitor.core.delay.horizons import span_words
from monitor.core.delay.label_delays import arrival_of, gap_of_all_labels
from monitor.core.judging.series_state import IMPORTED, SeriesState, arrival_in
from monitor.core.policies import Unlabelled
from monitor.core.verdicts import Correction, DelayEvidence

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts
    from monitor.core.detector.arrival import Arrival
    from monitor.core.policies import Policy
    from monitor.core.verdicts import Metrics

WORTH_SAYING = 0.05
"""Move of the logit by the label horizon that is worth a sentence."""


def delay_evidence(state: SeriesState, window: BinCounts) -> DelayEvidence | None:
    """Evidence of delays at the newest cohort; None where no delay was counted.

    window: counts of the state's window.
    """
    if state.delays.on_time is None and state.delays.complete is None:
        return None
    negative = state.policy.unlabelled is Unlabelled.NEGATIVE
    horizon_s = state.policy.label_horizon.total_seconds()
    arrival = arrival_of(state.delays, horizon_s, unlabelled_negative=negative)
    found = DelayEvidence(
        unlabelled=str(state.policy.unlabelled),
        correction=_correction(state),
        on_time_positive=None,
        on_time_negative=None,
        offset=None,
        offset_se=None,
        gap_all_labels=None,
        status=None,
        p_value=None,
        move=None,
        offset_change=None,
        reason=None,
    )
    if arrival is not None:
        found = replace(
            found,
            on_time_positive=arrival.positive,
            on_time_negative=None if negative else arrival.negative,
            offset=arrival.level,
            offset_se=arrival.se,
            gap_all_labels=gap_of_all_labels(window, arrival) if window.n_labelled else None,
        )
    return _watched(state, found)


def _watched(state: SeriesState, found: DelayEvidence) -> DelayEvidence:
    """With the watch over delays, once there is a window to compare."""
    now = [c.delays for c in state.window if c.delays is not None]
    if not now:
        return found
    # Of labels within the horizon: their share of all labels is not known yet.
    before = state.delays.before(state.window[0].start_s)
    watch = watch_delays(before, now, inf, always_p=False)
    return replace(
        found,
        status=str(watch.status),
        p_value=_finite(watch.p_value),
        move=_finite(watch.move),
        offset_change=_finite(watch.offset_change),
        reason=watch.reason,
    )


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _correction(state: SeriesState) -> Correction | None:
    """What the comparison with the baseline holds; None while there is no baseline."""
    if state.baseline is None:
        return None
    if state.baseline.source != IMPORTED:
        return Correction.SAME_HORIZON
    arrival = arrival_in(state)
    if arrival is None:
        return Correction.UNKNOWN
    if arrival.is_complete:
        return Correction.NONE
    return Correction.SCALED if arrival.unlabelled_negative else Correction.OFFSET


def as_of_all_labels(now: Metrics | None, found: DelayEvidence | None) -> Metrics | None:
    """Metrics of the window with the gap of all labels, where that is known."""
    if now is None or found is None or found.gap_all_labels is None:
        return now
    return replace(now, gap=found.gap_all_labels)


def moves_labels(found: DelayEvidence | None) -> bool:
    """Whether the label horizon sorts outcomes so much that on-time labels mislead."""
    return found is not None and found.offset is not None and abs(found.offset) >= WORTH_SAYING


def unknown_arrival_words(policy: Policy, arrival: Arrival | None) -> str | None:
    """Why labels cannot be compared with a baseline of complete ones yet, or None."""
    if arrival is not None:
        return None
    horizon = span_words(policy.label_horizon.total_seconds())
    correction = span_words(policy.correction_horizon.total_seconds())
    return (
        f"Labels still come after the label horizon of {horizon}, and how many is known once "
        f"predictions are {correction} old (correction_horizon): until then on-time labels cannot "
        "be compared with an imported baseline."
    )


def delay_words(found: DelayEvidence | None, policy: Policy, *, drifted: bool) -> list[str]:
    """Sentences for a verdict's reason; none where nothing is to be said."""
    if found is None:
        return []
    return _horizon_words(found, policy) + _watch_words(found, drifted=drifted)


def _horizon_words(found: DelayEvidence, policy: Policy) -> list[str]:
    """That on-time labels are not all labels, where it matters."""
    if not moves_labels(found) or found.gap_all_labels is None:
        return []
    horizon = span_words(policy.label_horizon.total_seconds())
    come = f"{found.on_time_positive:.0%} of the positive"
    if found.on_time_negative is not None:
        come += f" and {found.on_time_negative:.0%} of the negative"
    words = (
        f"Within the label horizon of {horizon} come {come} labels, and metrics are of these; "
        f"the gap of all labels is about {found.gap_all_labels:+.3f}."
    )
    return [words]


def _watch_words(found: DelayEvidence, *, drifted: bool) -> list[str]:
    if found.status not in {Delays.SLOWER, Delays.FASTER} or found.reason is None:
        return []
    both = ["Both were found at once, so the drift may be the delays' alone."] if drifted else []
    return [found.reason, *both]
