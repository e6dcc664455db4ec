"""Delayed labels through the real fold: a calibrated model at a horizon that loses a third."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.delay.delay_watch import Delays
from monitor.core.delay.label_delays import NOTHING_SEEN
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import SeriesState, moment
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.policies import FirstLabels, Policy, Unlabelled
from monitor.core.verdicts import Correction, Status
from tests.core.delayed import SERIES, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.judging.series_state import Baseline, Cohort
    from monitor.core.verdicts import DelayEvidence, Verdict


def policy(stream: Stream) -> Policy:
    return Policy(
        label_horizon=timedelta(days=stream.horizon_d),
        correction_horizon=timedelta(days=stream.correction_d),
        unlabelled=Unlabelled.NEGATIVE if stream.negative else Unlabelled.MISSING,
        baseline=FirstLabels(4000),
    )


def folded(
    stream: Stream, cohorts: Sequence[Cohort], baseline: Baseline | None = None
) -> tuple[SeriesState, bool]:
    """State after all cohorts, and whether there ever was an alarm."""
    state, alarmed = begin(SERIES, policy(stream), baseline), False
    for cohort in cohorts:
        state = step(state, cohort)
        alarmed |= state.alarm is not None
    return state, alarmed


def verdict(state: SeriesState) -> Verdict:
    at = moment(state.seen_until_s or 0) + state.policy.label_horizon
    found = judge(state, at)
    assert verdict_from_json(found.as_json()).as_json() == found.as_json()
    return found


def delays(found: Verdict) -> DelayEvidence:
    assert found.evidence.delays is not None
    return found.evidence.delays


@pytest.mark.parametrize(
    ("imported", "negative", "replicates"),
    [(True, False, 20), (True, True, 8), (False, False, 8), (False, True, 8)],
)
def test_a_calibrated_model_raises_no_alarm(
    imported: bool, negative: bool, replicates: int
) -> None:
    """At 7 days 97 % of the positives' and 63 % of the negatives' labels have come."""
    stream = Stream(negative=negative)
    false_alarms = 0
    for replicate in range(replicates):
        rng = np.random.default_rng([1, replicate])
        baseline = stream.baseline(rng) if imported else None
        _, alarmed = folded(stream, stream.cohorts(rng, 70), baseline)
        false_alarms += alarmed

    assert false_alarms <= replicates * 0.05


def test_an_imported_baseline_says_how_it_was_compared_and_no_false_size() -> None:
    stream = Stream()
    rng = np.random.default_rng(2)
    state, _ = folded(stream, stream.cohorts(rng, 60), stream.baseline(rng))
    found = verdict(state)

    assert found.status is Status.OK
    assert delays(found).correction is Correction.OFFSET
    assert delays(found).on_time_negative == pytest.approx(0.63, abs=0.01)
    assert delays(found).offset == pytest.approx(np.log(0.97 / 0.63), abs=0.02)
    assert found.evidence.shift is not None
    assert found.evidence.shift < 0.015
    assert abs(found.evidence.gap_shift or 0) < 0.015
    assert abs(found.evidence.map_part or 0) < 0.02
    assert found.evidence.window is not None
    assert found.evidence.window.gap < -0.05  # of on-time labels, and the reason says so
    assert abs(delays(found).gap_all_labels or 1) < 0.015
    assert "97% of the positive and 63% of the negative labels" in found.reason
    assert "the gap of all labels is about" in found.reason


def test_without_the_arrival_the_same_stream_is_called_drifted() -> None:
    """What the correction is worth: as if no delays had been counted."""
    stream = Stream()
    rng = np.random.default_rng(2)
    blind = [replace(c, delays=None, complete=None) for c in stream.cohorts(rng, 60)]
    state, alarmed = folded(stream, blind, stream.baseline(rng))

    assert alarmed
    assert state.delays is NOTHING_SEEN


def test_until_the_shares_are_known_nothing_is_compared_with_complete_labels() -> None:
    stream = Stream()
    rng = np.random.default_rng(3)
    state, alarmed = folded(stream, stream.cohorts(rng, 38), stream.baseline(rng))
    found = verdict(state)

    assert not alarmed
    assert state.labels_seen == 0
    assert found.status is Status.INSUFFICIENT
    assert "once predictions are 45 d old (correction_horizon)" in found.reason
    assert delays(found).correction is Correction.UNKNOWN


def test_labels_that_have_stopped_coming_are_complete_at_once() -> None:
    stream = Stream(horizon_d=90, correction_d=180)
    rng = np.random.default_rng(4)
    state, alarmed = folded(stream, stream.cohorts(rng, 5), stream.baseline(rng))
    found = verdict(state)

    assert not alarmed
    assert state.labels_seen > 3000
    assert delays(found).correction is Correction.NONE
    assert found.status is Status.OK


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("imported", [False, True])
def test_a_real_drift_is_found_behind_the_horizon(imported: bool, negative: bool) -> None:
    stream = Stream(negative=negative, change_day=45, shifted=-0.7)
    rng = np.random.default_rng(5)
    baseline = stream.baseline(rng) if imported else None
    state, alarmed = folded(stream, stream.cohorts(rng, 60), baseline)
    found = verdict(state)

    assert alarmed
    assert found.status is Status.DRIFTED
    assert found.evidence.direction == "overconfident" or not imported
    assert delays(found).gap_all_labels == pytest.approx(0.1, abs=0.04)


def test_slower_labels_have_words_of_their_own_beside_the_drift_that_they_look_like() -> None:
    """Negatives' labels take four times as long: fewer come in time, as if outcomes had changed."""
    stream = Stream(change_day=40, slower=4.0)
    rng = np.random.default_rng(6)
    state, alarmed = folded(stream, stream.cohorts(rng, 55))
    found = verdict(state)

    assert alarmed
    assert delays(found).status == Delays.SLOWER
    assert (delays(found).p_value or 1) <= 0.001
    assert found.status is Status.DRIFTED
    assert "Labels come slower" in found.reason
    assert "Both were found at once" in found.reason


def test_slower_labels_alone_are_no_alert() -> None:
    """Both classes slower alike within a long horizon: all labels come, and nothing else moves."""
    stream = Stream(horizon_d=60, correction_d=61, change_day=40, slower=2.0)
    rng = np.random.default_rng(7)
    state, alarmed = folded(stream, stream.cohorts(rng, 55))
    found = verdict(state)

    assert not alarmed
    assert found.status is Status.OK
    assert delays(found).status == Delays.SLOWER
    assert "Labels come slower" in found.reason


def test_delays_are_the_same_after_a_restart_with_the_stored_baseline() -> None:
    stream = Stream()
    cohorts = stream.cohorts(np.random.default_rng(8), 30)
    lived, _ = folded(stream, cohorts)
    restarted, _ = folded(stream, cohorts, lived.baseline)

    assert verdict(restarted).as_json() == verdict(lived).as_json()
