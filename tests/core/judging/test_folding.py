from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import (
    FIRST_LABELS,
    IMPORTED,
    PERIOD,
    Baseline,
    Cohort,
    SeriesState,
    has_evidence,
    merged,
    moment,
)
from monitor.core.policies import FirstLabels, NamedPeriod, Policy
from tests.core.streams import DAY_S, counts, days, honest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.core.streams import Truth

SERIES = Series("credit", "3")
POLICY = Policy()


def fold(state: SeriesState, cohorts: Iterable[Cohort]) -> SeriesState:
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def steady(seed: int, n: int, truth: Truth = honest, *, a_day: int = 250) -> list[BinCounts]:
    rng = np.random.default_rng(seed)
    return [counts(rng, a_day, truth) for _ in range(n)]


def at(day: int) -> datetime:
    return datetime.fromtimestamp(day * DAY_S, UTC)


def test_the_first_whole_cohorts_that_hold_the_labels_are_the_baseline() -> None:
    cohorts = days(steady(1, 6))

    before, pinned = fold(begin(SERIES, POLICY), cohorts[:3]), fold(begin(SERIES, POLICY), cohorts)

    assert before.baseline is None
    assert pinned.baseline == Baseline(SERIES, FIRST_LABELS, tuple(cohorts[:4]))
    assert (pinned.baseline.start_at, pinned.baseline.end_at) == (at(0), at(4))
    assert pinned.baseline.counts.n_labelled == 1000
    assert pinned.window == tuple(cohorts[4:])
    assert pinned.labels_seen == 500


def test_a_period_is_the_baseline_once_it_is_over() -> None:
    policy = Policy(baseline=NamedPeriod(at(2), at(5)))
    cohorts = days(steady(2, 8))

    assert fold(begin(SERIES, policy), cohorts[:4]).baseline is None
    whole = fold(begin(SERIES, policy), cohorts[:5])
    assert whole.baseline == Baseline(SERIES, PERIOD, tuple(cohorts[2:5]))
    assert whole.window == ()


def test_a_period_that_ends_in_a_gap_is_pinned_by_the_next_cohort_which_is_judged() -> None:
    policy = Policy(baseline=NamedPeriod(at(2), at(5)))
    cohorts = days(steady(3, 9))
    state = fold(begin(SERIES, policy), [*cohorts[:4], *cohorts[6:]])

    assert state.baseline == Baseline(SERIES, PERIOD, tuple(cohorts[2:4]))
    assert state.window == tuple(cohorts[6:])
    assert state.labels_seen == 750


def test_a_period_with_too_few_labels_is_never_a_baseline() -> None:
    policy = Policy(baseline=NamedPeriod(at(2), at(3)), min_labels=251)

    assert fold(begin(SERIES, policy), days(steady(4, 9))).baseline is None


def test_folding_on_from_a_stored_baseline_gives_the_same_state() -> None:
    cohorts = days(steady(5, 12))
    collected = fold(begin(SERIES, POLICY), cohorts)
    assert collected.baseline is not None

    from_first = fold(begin(SERIES, POLICY, collected.baseline), cohorts)
    from_its_end = fold(begin(SERIES, POLICY, collected.baseline), cohorts[4:])

    for state in (from_first, from_its_end):
        assert state.detector is not None
        assert collected.detector is not None
        assert np.array_equal(state.detector.log_r, collected.detector.log_r)
        assert state.window == collected.window
        assert state.labels_seen == collected.labels_seen


def test_an_imported_baseline_says_nothing_of_the_streams_own_days() -> None:
    imported = Baseline(SERIES, IMPORTED, tuple(days(steady(6, 4), first=100)))

    state = fold(begin(SERIES, POLICY, imported), days(steady(7, 3)))

    assert state.labels_seen == 750
    assert state.baseline == imported


def test_a_cohort_out_of_order_is_refused() -> None:
    cohorts = days(steady(8, 3))
    state = fold(begin(SERIES, POLICY), cohorts[:2])

    for again in (cohorts[0], cohorts[1]):
        with pytest.raises(ValueError, match="comes after a later one"):
            step(state, again)


def test_steps_leave_earlier_states_alone() -> None:
    cohorts = days(steady(9, 8))
    state = fold(begin(SERIES, POLICY), cohorts[:6])
    assert state.detector is not None
    before = state.detector.log_r.copy()

    first, second = step(state, cohorts[6]), step(state, cohorts[6])

    assert np.array_equal(state.detector.log_r, before)
    assert len(state.window) == 2
    assert first.detector is not None
    assert second.detector is not None
    assert np.array_equal(first.detector.log_r, second.detector.log_r)


@pytest.mark.parametrize(
    ("a_day", "window", "min_labels", "cohorts_held"),
    [
        pytest.param(250, timedelta(days=7), 200, 7, id="a week"),
        pytest.param(250, timedelta(days=1), 200, 1, id="a day"),
        pytest.param(250, timedelta(days=1), 600, 3, id="reaching back for labels"),
        pytest.param(10, timedelta(days=7), 200, 20, id="reaching back three weeks"),
        pytest.param(10, timedelta(days=7), 9_999, 30, id="never into the baseline"),
    ],
)
def test_the_window_covers_its_span_and_reaches_back_for_labels(
    a_day: int, window: timedelta, min_labels: int, cohorts_held: int
) -> None:
    policy = Policy(window=window, min_labels=min_labels, baseline=FirstLabels(a_day * 4))

    state = fold(begin(SERIES, policy), days(steady(10, 34, a_day=a_day)))

    assert len(state.window) == cohorts_held
    assert state.window[-1].end_s == 34 * DAY_S


def test_a_cohort_whose_labels_are_mostly_missing_is_no_evidence() -> None:
    rng = np.random.default_rng(11)
    state = fold(begin(SERIES, POLICY), days(steady(12, 10)))

    # Only failures are labelled: what has arrived says nothing about the rest.
    score = rng.random(400)
    silent = BinCounts.from_rows(score, np.zeros(400, dtype=bool), rng.random(400) < 0.1)
    after = step(state, Cohort(10 * DAY_S, 11 * DAY_S, silent))

    assert after.detector is state.detector
    assert after.labels_seen == state.labels_seen
    assert after.window[-1].counts == silent


def drifted(seed: int = 20, truth: Truth = lambda z: z + 1) -> tuple[SeriesState, int]:
    """A state just after its alarm, and the day after it."""
    rng = np.random.default_rng(seed)
    state = fold(begin(SERIES, POLICY), days(steady(seed, 30)))
    day = 30
    while state.alarm is None:
        state = step(state, Cohort(day * DAY_S, (day + 1) * DAY_S, counts(rng, 250, truth)))
        day += 1
        assert day < 60
    return state, day


def test_an_alarm_says_when_it_was_raised_and_since_when() -> None:
    state, day = drifted()

    assert state.alarm is not None
    assert state.alarm.raised_s == day * DAY_S
    assert moment(state.alarm.since_s) == at(30)
    assert state.alarm.log_m >= np.log(POLICY.alarm_at)


def test_an_alarm_holds_while_the_change_lasts_and_nothing_is_learned() -> None:
    state, day = drifted()
    assert state.resting is not None

    later = fold(state, days(steady(21, 60, lambda z: z + 1), first=day))

    assert later.alarm == state.alarm
    assert later.detector is not None
    assert np.array_equal(later.detector.posterior.mean, state.resting.posterior.mean)


def test_an_alarm_ends_when_a_whole_window_after_it_is_back_and_the_detector_starts_again() -> None:
    state, day = drifted()
    ended = None
    for cohort in days(steady(22, 40), first=day):
        state = step(state, cohort)
        if state.alarm is None:
            ended = cohort.end_s // DAY_S
            break

    assert ended is not None
    assert 7 <= ended - day <= 14
    assert state.detector is not None
    assert state.detector.log_m == -np.inf
    assert state.window[0].start_s >= day * DAY_S
    assert merged(state.window).n_labelled >= POLICY.min_labels
    again = fold(state, days(steady(23, 10, lambda z: z + 1), first=ended))
    assert again.alarm is not None


def test_a_change_within_the_tolerance_is_evidence_but_no_alarm_until_it_grows() -> None:
    policy = Policy(tolerance=0.15, baseline=FirstLabels(5000))
    state = fold(begin(SERIES, policy), days(steady(24, 60)))

    small = fold(state, days(steady(25, 25, lambda z: z + 0.5), first=60))
    assert has_evidence(small)
    assert small.alarm is None

    grown = fold(small, days(steady(26, 7, lambda z: z + 1.6), first=85))
    assert grown.alarm is not None
    assert at(84) <= moment(grown.alarm.since_s) <= at(86)


def test_evidence_below_the_tolerance_fades_when_the_change_goes() -> None:
    policy = Policy(tolerance=0.15, baseline=FirstLabels(5000))
    state = fold(begin(SERIES, policy), days(steady(27, 60)))
    small = fold(state, days(steady(28, 25, lambda z: z + 0.5), first=60))
    assert has_evidence(small)

    gone = fold(small, days(steady(29, 20), first=85))

    assert not has_evidence(gone)


def test_too_few_labels_in_the_window_hold_an_alarm_back() -> None:
    policy = Policy(min_labels=5000)
    state = fold(begin(SERIES, policy), days(steady(30, 20)))

    early = fold(state, days(steady(31, 3, lambda z: z + 1.5), first=20))
    assert has_evidence(early)
    assert early.alarm is None


def test_days_without_predictions_are_seen_but_not_as_predictions() -> None:
    state = fold(begin(SERIES, POLICY), days(steady(32, 8)))

    after = step(state, Cohort(8 * DAY_S, 9 * DAY_S, BinCounts.empty()))

    assert after.seen_until_s == 9 * DAY_S
    assert after.predicted_until_s == 8 * DAY_S
    assert after.detector is state.detector
