from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.claims import Series
from monitor.core.events import ChangeEvent, ChangeKind
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.restarts import (
    ACCEPTED,
    RESET,
    Announcement,
    change_announced,
    restart_words,
    restarted,
)
from monitor.core.judging.series_state import FIRST_LABELS, SeriesState
from monitor.core.policies import NamedPeriod, Policy
from monitor.core.verdicts import Status
from tests.core.delayed import Stream
from tests.core.streams import DAY_S, counts, days, honest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.judging.series_state import Cohort
    from tests.core.streams import Truth

SERIES = Series("credit", "3", segment="country=DE")
POLICY = Policy()


def at(day: float) -> datetime:
    return datetime.fromtimestamp(day * DAY_S, UTC)


def fold(state: SeriesState, cohorts: Iterable[Cohort]) -> SeriesState:
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def stream(*parts: tuple[int, Truth], seed: int = 41) -> list[Cohort]:
    rng = np.random.default_rng(seed)
    return days([counts(rng, 250, truth) for size, truth in parts for _ in range(size)])


def told(kind: str, day: float, **more: object) -> Announcement:
    said = Announcement(kind, at(day), at(day), restarts=True, reason="why", author="ann")
    return replace(said, **more)  # type: ignore[arg-type]  # fields by name


def lower(z: np.ndarray) -> np.ndarray:
    return z - 1.5


DRIFTED = fold(begin(SERIES, POLICY), stream((20, honest), (8, lower)))


def test_a_recalibration_takes_cohorts_from_after_it_alone() -> None:
    state = restarted(DRIFTED, told("recalibration", 25.5))
    assert DRIFTED.alarm is not None
    assert (state.alarm, state.baseline, state.detector, state.labels_seen) == (None,) * 3 + (0,)
    # Day 25 is partly from before.
    assert [c.start_s for c in state.collecting] == [26 * DAY_S, 27 * DAY_S]
    state = fold(state, stream((28, honest), (5, lower))[28:])
    assert state.baseline is not None
    assert (state.baseline.start_at, state.baseline.source) == (at(26), FIRST_LABELS)
    assert state.baseline.restart == state.restart
    assert state.alarm is None
    assert fold(state, days([c.counts for c in stream((9, honest))], first=33)).alarm is not None


def test_an_accepted_drift_is_the_baseline_since_it_began_and_at_once() -> None:
    assert DRIFTED.alarm is not None
    began_s = DRIFTED.alarm.since_s
    state = restarted(DRIFTED, told(ACCEPTED, 28.2))
    assert state.baseline is not None
    # What the window still holds of it: a week, and the drift is eight days old.
    assert (began_s, state.baseline.cohorts[0].start_s) == (20 * DAY_S, 21 * DAY_S)
    assert state.restart is not None
    assert state.restart.since_at.timestamp() == began_s
    assert state.window == tuple(
        c for c in DRIFTED.window if c.end_s > state.baseline.cohorts[-1].end_s
    )
    assert state.labels_seen == sum(c.counts.n_labelled for c in state.window)
    verdict = judge(state, at(28.2))
    assert verdict.status is Status.OK
    assert verdict.evidence.restart == state.restart
    later = restarted(DRIFTED, told(ACCEPTED, 28.2, since_at=at(26)))
    assert later.baseline is None
    assert [c.start_s for c in later.collecting] == [26 * DAY_S, 27 * DAY_S]


@pytest.mark.parametrize(
    ("said", "concerned"),
    [
        (told("recalibration", 25), True),
        (told("recalibration", 25, restarts=False), False),
        (told("recalibration", 25, version="3"), True),
        (told("recalibration", 25, version="4"), False),
        (told(RESET, 25, segment="country=DE"), True),
        (told(RESET, 25, segment=""), False),
        (told(RESET, 25, segment="country=DE", version="2"), False),
        (told(ACCEPTED, 25), True),
        (told(ACCEPTED, 25, segment="country=FR"), False),
    ],
)
def test_who_is_concerned(said: Announcement, concerned: bool) -> None:
    state = restarted(DRIFTED, said)
    assert (state is not DRIFTED) is concerned


def test_nothing_is_accepted_where_no_drift_was_found() -> None:
    quiet = fold(begin(SERIES, POLICY), stream((20, honest)))
    assert restarted(quiet, told(ACCEPTED, 20)) is quiet
    assert restarted(quiet, told(RESET, 20)) is not quiet


def test_what_is_told_twice_restarts_once() -> None:
    once = restarted(DRIFTED, told("recalibration", 25))
    assert restarted(once, replace(told("recalibration", 25), taken_at=at(29))) is once


def test_a_series_that_collects_begins_to_collect_again() -> None:
    state = fold(begin(SERIES, POLICY), stream((3, honest)))
    again = restarted(state, told(RESET, 2))
    assert [c.start_s for c in again.collecting] == [2 * DAY_S]
    verdict = judge(again, at(5))
    assert verdict.status is Status.INSUFFICIENT
    assert verdict.reason == (
        "Collecting a new baseline: 250 of 1000 labels since 1970-01-03T00:00:00Z, after "
        "baseline reset at 1970-01-03T00:00:00Z by ann: why."
    )


def test_after_a_named_period_the_next_baseline_is_of_first_labels() -> None:
    policy = replace(POLICY, baseline=NamedPeriod(at(0), at(5)), min_labels=1200)
    state = restarted(fold(begin(SERIES, policy), stream((10, honest))), told(RESET, 10))
    assert "0 of 1200 labels since" in judge(state, at(12)).reason
    state = fold(state, stream((15, honest))[10:])
    assert state.baseline is not None
    assert (state.baseline.source, state.baseline.start_at) == (FIRST_LABELS, at(10))


def test_folding_on_from_the_stored_baseline_gives_the_same_state() -> None:
    """As a process does that was restarted, which begins with the newest baseline row."""
    cohorts = stream((20, honest), (20, lower))
    for said in (told(ACCEPTED, 28), told("recalibration", 26)):
        live = fold(restarted(fold(begin(SERIES, POLICY), cohorts[:28]), said), cohorts[28:])
        assert live.baseline is not None
        again = fold(begin(SERIES, POLICY, live.baseline), cohorts)
        assert judge(again, at(42)) == judge(live, at(42))
        assert (again.window, again.labels_seen, again.alarm) == (
            live.window,
            live.labels_seen,
            live.alarm,
        )
        assert again.detector is not None
        assert live.detector is not None
        assert np.array_equal(again.detector.log_r, live.detector.log_r)


def test_a_change_event_restarts_as_the_policy_says() -> None:
    event = ChangeEvent("credit", "3", ChangeKind.DATA, at(4), "new supplier")
    assert change_announced(event, POLICY.restart_on) == Announcement(
        "data", at(4), at(4), restarts=False, version="3", reason="new supplier"
    )
    assert change_announced(event, (ChangeKind.DATA,)).restarts
    assert change_announced(
        replace(event, kind=ChangeKind.RECALIBRATION), POLICY.restart_on
    ).restarts


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (told("recalibration", 1, author=""), "recalibration of 1970-01-02T00:00:00Z: why"),
        (told("data", 1, author="", reason=""), "data of 1970-01-02T00:00:00Z"),
        (told(RESET, 1, reason="a\nb"), "baseline reset at 1970-01-02T00:00:00Z by ann: a b"),
        (
            told(ACCEPTED, 28),
            "change accepted as the new normal at 1970-01-29T00:00:00Z by ann: why",
        ),
    ],
)
def test_words(said: Announcement, words: str) -> None:
    restart = restarted(DRIFTED, said).restart
    assert restart is not None
    assert restart_words(restart) == words


def test_the_time_it_was_taken_stands_in_the_evidence() -> None:
    late = replace(told(RESET, 20), taken_at=at(25) + timedelta(milliseconds=1))
    restart = restarted(DRIFTED, late).restart
    assert restart is not None
    assert (restart.happened_at, restart.taken_at) == (at(20), late.taken_at)


def test_how_late_labels_come_outlives_a_restart() -> None:
    """It is the stream's; a process that begins with the new baseline reads all cohorts again."""
    cohorts = Stream().cohorts(np.random.default_rng(9), 12)
    state = fold(begin(SERIES, POLICY), cohorts[:9])
    after = restarted(state, told(RESET, 5))
    assert after.delays is state.delays
    assert after.delays.reference
