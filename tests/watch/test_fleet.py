"""A fleet under one budget in the daemon over real Postgres: as a backtest says."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from monitor.core.judging.budget import Budget
from monitor.core.judging.fleet import Fleet, FleetRule
from monitor.core.policies import FirstLabels, Policy
from monitor.core.verdicts import Status
from monitor.store.tables import metadata
from monitor.watch.backtest import backtest
from tests.synthetic import DAY_MS, START_MS, stream, together
from tests.watch.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from monitor.watch.following import Judged

POLICY = Policy(baseline=FirstLabels(500), min_labels=100)
DAYS = 34
FLEET = Fleet(Budget(3), weights={"b": 2.0})
BEGIN = 10
EVENTS = together(
    {
        "a": (BEGIN, stream(24, 150, None, seed=1)),
        "b": (BEGIN, stream(18, 200, 11, seed=2)),
        "c": (BEGIN + 6, stream(18, 150, 9, seed=3)),
        "d": (BEGIN + 12, stream(12, 300, None, seed=4)),
    }
)
"""Days 10 to 34 of 2026: the first of February is day 31."""


def day(n: float) -> datetime:
    return datetime.fromtimestamp((START_MS + n * DAY_MS) / 1000, UTC)


def flat(given: Iterable[Judged]) -> list[tuple[Any, ...]]:
    """In full, in time order."""
    found = [
        (
            j.verdict.series.model, j.verdict.evaluated_at, str(j.verdict.status),
            j.verdict.reason, j.verdict.as_json()["evidence"],
        )
        for j in given
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row[1], row[0]))


def stored(watched: Watched) -> list[tuple[Any, ...]]:
    return watched.rows(
        "SELECT model, evaluated_at, status, reason, evidence "
        "FROM audit.evaluations ORDER BY evaluated_at, model"
    )


def thresholds(watched: Watched) -> list[tuple[Any, ...]]:
    return watched.rows(
        "SELECT effective_at, model, alarm_at, labels_per_month, fleet_size "
        "FROM audit.thresholds ORDER BY 1, 2"
    )


@pytest.mark.parametrize(("seed", "rule"), [(1, FleetRule.THRESHOLDS), (2, FleetRule.E_D_BH)])
def test_a_fleet_is_as_in_a_backtest_whatever_the_ticks_and_whenever_a_process_dies(
    engine: Engine, seed: int, rule: FleetRule
) -> None:
    fleet = Fleet(FLEET.budget, rule, FLEET.weights)
    _, given, alerts = backtest(EVENTS, lambda _: POLICY, fleet=fleet)
    assert {alert.episode.series.model for alert in alerts} == {"b", "c"}
    watched = Watched.over(engine, EVENTS, POLICY, fleet)
    rng = random.Random(seed)
    at = float(BEGIN)
    while at < DAYS:
        at = min(DAYS, at + rng.choice([0.1, 0.6, 2, 7]))
        watched.cohorts_a_tick = rng.choice([1, 10, 1000])
        watched.tick(day(at))
        while watched.watcher.is_behind:
            watched.tick(day(at))
        if rng.random() < 0.4:
            watched.restart()
    expected = [row for row in flat(given) if row[1] <= day(DAYS)]
    # Silence is said by the tick, not by a cohort: a backtest has none.
    found = [row for row in stored(watched) if row[2] != Status.NO_DATA]
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    assert found == expected
    budgets = {(row[1], (row[4]["budget"] or {}).get("budget")) for row in found}
    assert {words for at, words in budgets if at > day(19)} >= {FLEET.budget.words}


def test_thresholds_are_set_once_and_stand_in_the_history(engine: Engine) -> None:
    watched = Watched.over(engine, EVENTS, POLICY, FLEET)
    watched.tick(day(26))
    first = thresholds(watched)
    # b has its baseline with the third cohort, a with the fourth, c with the fourth of its own.
    assert [(row[0], row[1]) for row in first if row[0] < day(24)] == [
        (day(15), "b"), (day(16), "a"), (day(16), "b"), (day(22), "a"), (day(22), "b"),
        (day(22), "c"),
    ]  # fmt: skip
    watched.restart()
    assert watched.tick(day(26)) == []
    assert thresholds(watched) == first
    watched.tick(day(DAYS))
    later = thresholds(watched)
    assert later[: len(first)] == first
    assert {row[1] for row in later if row[0] == day(31)} == {"a", "b", "c", "d"}
    for at in {row[0] for row in later}:
        now = {row[1]: row for row in later if row[0] <= at}
        assert sum(row[3] / row[2] for row in now.values() if row[2]) <= FLEET.budget.per_month


def test_another_budget_holds_for_what_matures_later_and_changes_nothing_before(
    engine: Engine,
) -> None:
    watched = Watched.over(engine, EVENTS, POLICY, FLEET)
    watched.tick(day(18.5))
    before, was = thresholds(watched), stored(watched)
    watched.fleet = Fleet(Budget(0.5))
    watched.restart()
    watched.tick(day(19.5))
    after, now = thresholds(watched), stored(watched)
    assert after[: len(before)] == before
    assert {row[0] for row in after[len(before) :]} == {day(18)}
    assert now[: len(was)] == was
    for row in stored(watched):
        if row[1] == day(19) and row[0] in {"a", "b"}:
            assert row[4]["budget"]["budget"] == "at most 6 false pages a year over the whole fleet"


def emptied(engine: Engine) -> None:
    """The database without a row of the watcher's or the worker's."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        names = [str(table) for table in metadata.sorted_tables if table.name != "deployment"]
        connection.execute(text(f"TRUNCATE {', '.join(names)} CASCADE"))


def test_a_tick_asks_as_often_for_many_models_as_for_few(engine: Engine) -> None:
    asked = {}
    for n in (3, 12):
        emptied(engine)
        events = together({f"m{i:02}": (0, stream(8, 150, None, seed=i)) for i in range(n)})
        watched = Watched.over(engine, events, POLICY, FLEET)
        watched.tick(day(8.5))
        statements: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *of, to=statements: to.append(of[2]))
        given = watched.tick(day(9.5))
        assert len(given) == n
        asked[n] = len(statements)
    assert asked[3] == asked[12]
