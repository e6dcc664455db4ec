"""One budget over a fleet while series join, leave and send more than they did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.detector.sequential import Detector
from monitor.core.judging.budget import LOWEST_ALARM_AT, Budget
from monitor.core.judging.evidence import scaled
from monitor.core.judging.fleet import (
    RESERVE,
    Fleet,
    FleetRule,
    InForce,
    Threshold,
    boundaries,
    boundary,
    named,
    settle,
    under,
)
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import Alarm, Cohort, SeriesState, has_evidence
from monitor.core.judging.traffic import Traffic, labels_a_month, log_excess, with_cohort
from monitor.core.policies import FirstLabels, Policy
from tests.core.streams import DAY_S, counts, days

POLICY = Policy(label_horizon=timedelta(days=2))
RESTING = Detector.from_baseline([counts(np.random.default_rng(0), 100) for _ in range(2)])
FLEET = Fleet(Budget(1))


def at(day: int) -> datetime:
    return datetime.fromtimestamp(day * DAY_S, UTC)


@cache
def labelled(n: int) -> BinCounts:
    return BinCounts.from_rows(np.full(n, 0.5), np.zeros(n, dtype=np.bool_))


def sending(name: str, a_day: int, until_day: int, first_day: int = 0) -> SeriesState:
    """A series with a baseline whose cohorts up to `until_day` are mature."""
    state = begin(Series(name, "1"), POLICY)
    traffic: Traffic = ()
    for day in range(max(first_day, until_day - 40), until_day - 2):
        traffic = with_cohort(traffic, Cohort(day * DAY_S, (day + 1) * DAY_S, labelled(a_day)))
    return replace(state, detector=RESTING, traffic=traffic, first_s=first_day * DAY_S)


def at_log_m(state: SeriesState, log_m: float) -> SeriesState:
    """The state with the same evidence on every bet."""
    assert state.detector is not None
    log_r = np.full(len(state.detector.log_r), log_m)
    return replace(state, detector=replace(state.detector, log_r=log_r, log_best=log_r))


def in_force(rows: list[Threshold], before: InForce | None = None) -> InForce:
    return (before or {}) | {row.series: row for row in rows}


def spent(rows: InForce) -> float:
    return sum(r.share.labels_per_month / r.alarm_at for r in rows.values() if r.alarm_at)


def test_midnights_of_event_time() -> None:
    half_past = at(3) + timedelta(minutes=30)
    assert boundary(half_past) == at(3)
    assert boundaries(half_past, at(6)) == [at(4), at(5), at(6)]
    assert boundaries(at(3), at(3) + timedelta(hours=23)) == []


def test_labels_a_month_follow_from_cohorts_that_are_mature() -> None:
    state = begin(Series("m", "1"), POLICY)
    for cohort in days([labelled(100)] * 60):
        state = step(state, cohort)
    month = 365.25 / 12
    assert labels_a_month(state, at(62)) == pytest.approx(100 * month, rel=0.03)
    assert labels_a_month(state, at(77)) == pytest.approx(100 * month / 2, rel=0.1)
    assert labels_a_month(state, at(99)) == 0
    young = begin(Series("m", "2"), POLICY)
    for cohort in days([labelled(100)] * 3, first=50):
        young = step(young, cohort)
    assert labels_a_month(young, at(55)) == pytest.approx(100 * month)


def test_a_series_joins_with_its_baseline_at_the_level_of_the_others() -> None:
    """A tenth of the budget waits for those that join; then everything is allotted anew."""
    states = [sending(f"m{i:02}", 100, 20) for i in range(20)]
    rows = settle(FLEET, states, {}, at(20))
    assert {row.alarm_at for row in rows} == {rows[0].alarm_at}
    assert spent(in_force(rows)) == pytest.approx(1 - RESERVE)
    collecting = replace(sending("new", 100, 21), detector=None)
    assert settle(FLEET, [*states, collecting], in_force(rows), at(21)) == []
    joined = settle(FLEET, [*states, sending("new", 200, 21)], in_force(rows), at(21))
    assert [row.series.model for row in joined] == ["new"]
    assert joined[0].alarm_at == pytest.approx(2 * (rows[0].alarm_at or inf), rel=1e-6)
    many = [sending(f"n{i}", 100, 22) for i in range(5)]
    anew = settle(FLEET, [*states, *many], in_force(rows), at(22))
    assert {row.series for row in anew} == {state.series for state in [*states, *many]}
    assert spent(in_force(anew)) == pytest.approx(1 - RESERVE)


@pytest.mark.parametrize(
    ("fleet", "day", "why"),
    [
        (FLEET, 21, None),
        (FLEET, 31, "the first of a month"),
        (Fleet(Budget(2)), 21, "another budget"),
        (Fleet(Budget(1), FleetRule.E_D_BH), 21, "another rule"),
        (Fleet(Budget(1), weights={"a": 3.0}), 21, "another weight"),
        (Fleet(Budget(1), apart={"a"}), 21, "a model that has its own threshold now"),
    ],
)
def test_what_asks_for_a_new_allotment(fleet: Fleet, day: int, why: str | None) -> None:
    rows = settle(FLEET, [sending(name, 100, 20) for name in "abc"], {}, at(20))
    again = settle(
        fleet,
        [sending(name, n, day) for name, n in zip("abc", (100, 300, 100), strict=True)],
        in_force(rows),
        at(day),
    )
    assert bool(again) is (why is not None)
    after = in_force(again, in_force(rows))
    assert spent(after) <= fleet.budget.per_month
    if fleet.apart:
        assert after[Series("a", "1")].alarm_at is None
    if fleet.weights:
        parts = {s.model: row.share.false_alarms_per_month for s, row in after.items()}
        assert parts["a"] == pytest.approx(3 * parts["b"])


def test_a_series_that_fell_silent_leaves_its_part_to_the_others() -> None:
    states = [sending(name, 100, 31) for name in "abc"]
    rows = settle(FLEET, states, {}, at(31))
    silent = replace(sending("c", 100, 20), first_s=0)
    later = [sending("a", 100, 90), sending("b", 100, 90), silent]
    after = in_force(settle(FLEET, later, in_force(rows), at(90)), in_force(rows))
    assert after[Series("c", "1")].alarm_at is None
    assert after[Series("a", "1")].alarm_at == pytest.approx(
        (rows[0].alarm_at or inf) * 2 / 3, rel=0.02
    )


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 70), st.integers(1, 4000), st.integers(5, 90)),
        min_size=1, max_size=12,
    ),
    st.floats(0.01, 20),
)  # fmt: skip
def test_what_is_in_force_never_exceeds_the_budget(
    fleet: list[tuple[int, int, int]], per_month: float
) -> None:
    """Series that begin on a day, send so much a day, for so many days."""
    rows: InForce = {}
    for day in range(5, 100, 3):
        states = [
            sending(f"{i}", n, min(day, first + span), first)
            for i, (first, n, span) in enumerate(fleet)
            if first + 2 < day
        ]
        rows = in_force(settle(Fleet(Budget(per_month)), states, rows, at(day)), rows)
        assert spent(rows) <= per_month * (1 + 1e-9)
        assert all(r.alarm_at is None or r.alarm_at >= LOWEST_ALARM_AT for r in rows.values())


def test_a_new_threshold_keeps_the_share_of_it_that_was_reached() -> None:
    row = settle(FLEET, [sending("a", 1000, 20)], {}, at(20))[0]
    assert row.alarm_at is not None
    entered = under(at_log_m(sending("a", 1000, 20), 5.0), row, begun=True)
    assert entered.detector is not None
    assert entered.detector.log_m == -inf
    reached = at_log_m(entered, log(row.alarm_at / 4))
    for factor in (0.5, 3.0):
        moved = under(reached, replace(row, alarm_at=row.alarm_at * factor), begun=True)
        assert moved.detector is not None
        assert moved.threshold == row.alarm_at * factor
        assert moved.detector.log_m == pytest.approx(log(moved.threshold / 4))
    assert under(reached, row, begun=True) is reached


def test_a_series_without_a_threshold_waits_and_an_alarm_that_holds_keeps_its_own() -> None:
    state = at_log_m(sending("a", 100, 20), log(2 * POLICY.alarm_at))
    assert has_evidence(under(state, None, begun=False))
    waiting = under(state, None, begun=True)
    assert waiting.threshold == inf
    assert not has_evidence(waiting)
    alarmed = replace(state, alarm=Alarm(20 * DAY_S, 18 * DAY_S, log(2 * POLICY.alarm_at)))
    assert under(alarmed, None, begun=True) is alarmed
    row = settle(FLEET, [state], {}, at(20))[0]
    taken = under(alarmed, row, begun=True)
    assert taken.alarm is not None
    assert row.alarm_at is not None
    assert taken.alarm.log_m == pytest.approx(log(2 * row.alarm_at))


def test_a_busy_day_spends_no_more_than_it_was_given() -> None:
    """R <- L (R + min(n, e)): with nothing before, M is L e, whatever n was."""
    row = settle(FLEET, [sending("a", 250, 20)], {}, at(20))[0]
    policy = replace(POLICY, baseline=FirstLabels(1000))
    state = begin(Series("a", "1"), policy)
    rng = np.random.default_rng(3)
    for cohort in days([counts(rng, 250) for _ in range(4)]):
        state = step(state, cohort)
    busy = days([counts(rng, 2500)], first=4)[0]
    capped, free = step(under(state, row, begun=True), busy), step(state, busy)
    assert capped.detector is not None
    assert free.detector is not None
    over = log_excess(capped.share, busy)
    assert over == pytest.approx(log(10), rel=1e-3)
    assert capped.detector.log_m == pytest.approx(free.detector.log_m - over)


def test_e_d_bh_names_those_that_move_together() -> None:
    fleet = Fleet(Budget(1), FleetRule.E_D_BH)
    states = [sending(name, 100, 20) for name in "abcd"]
    rows = in_force(settle(fleet, states, {}, at(20)))
    entered = [under(state, rows[state.series], begun=True) for state in states]
    reached = [0.6, 0.6, 0.01, 2.0]
    moved = [
        at_log_m(state, log(state.threshold * share))
        for state, share in zip(entered, reached, strict=True)
    ]
    assert [s.series.model for s in named(fleet, moved, rows)] == ["a", "b"]
    assert named(fleet, [moved[0], *entered[1:]], rows) == []
    assert named(FLEET, moved, rows) == []
    held = replace(moved[1], alarm=Alarm(0, 0, 0.0))
    assert [s.series.model for s in named(fleet, [moved[0], held, *moved[2:]], rows)] == ["a"]


def test_false_alarms_keep_to_the_budget_while_series_join_and_grow() -> None:
    """Coins that are fair, judged by the product's thresholds in the product's fold of evidence.

    Twenty series join over four months, and each sends three times as much from its third month
    on; a false alarm sets a series back to rest. The promise is an upper bound on the mean; what
    is found may exceed it by chance, by three standard errors of a Poisson count.
    """
    rng = np.random.default_rng(5)
    fleet, months, fleets = Fleet(Budget(6)), 8, 6
    false = 0
    for _ in range(fleets):
        first = np.sort(rng.integers(0, 120, 20))
        usual = np.round(np.geomspace(10, 400, 20)).astype(int)
        states: dict[int, SeriesState] = {}
        rows: InForce = {}
        for day in range(int(months * 30.4)):
            for i in np.flatnonzero(first <= day).tolist():
                n = int(usual[i]) * (3 if day > first[i] + 60 else 1)
                state = states.get(i) or sending(f"{i:02}", n, 0, day)
                state = under(state, rows.get(state.series), begun=bool(rows))
                cohort = Cohort(day * DAY_S, (day + 1) * DAY_S, labelled(n))
                state = replace(state, traffic=with_cohort(state.traffic, cohort))
                states[i] = tossed(state, cohort, int(rng.binomial(n, 0.5)))
                if has_evidence(states[i]):
                    false += 1
                    states[i] = at_log_m(states[i], -inf)
            new = settle(fleet, states.values(), rows, at(day + 3))
            rows = in_force(new, rows)
    promised = fleet.budget.per_month * months * fleets
    assert false <= promised + 3 * np.sqrt(promised)
    assert false >= 0.1 * promised


def tossed(state: SeriesState, cohort: Cohort, heads: int) -> SeriesState:
    """One cohort of tosses, bet on .55 against .5, as `_fed` takes cohorts in."""
    assert state.detector is not None
    n = cohort.counts.n_labelled
    over = log_excess(state.share, cohort)
    ratio = heads * log(0.55 / 0.5) + (n - heads) * log(0.45 / 0.5)
    before = scaled(state.detector, over).log_r
    log_r = np.logaddexp(before, log(n)) + ratio - over
    return replace(state, detector=replace(state.detector, log_r=log_r, log_best=log_r))
