"""Restarts in the daemon over real Postgres: as a backtest says, whenever a process dies."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.events import ChangeEvent, ChangeKind
from monitor.core.judging.restarts import ACCEPTED, RESET
from monitor.core.policies import Cadence, DetectorName, FirstLabels, Policy
from monitor.store.announcements import Decision
from monitor.store.history import HistoryStore
from monitor.watch.backtest import backtest
from tests.synthetic import DAY_MS, START_MS, stream
from tests.watch.watched import Watched

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.watch.following import Judged

POLICY = Policy(baseline=FirstLabels(1000), segments=("country",))
DAYS = 30


def day(n: float) -> datetime:
    return datetime.fromtimestamp((START_MS + n * DAY_MS) / 1000, UTC)


EVENTS = stream(days=DAYS)
RECALIBRATED = ChangeEvent("credit", None, ChangeKind.RECALIBRATION, day(20.5), "Platt, 0.42")


def flat(given: list[Judged]) -> list[tuple[Any, ...]]:
    """As `Watched.verdicts`."""
    found = [
        (
            j.verdict.series.version, j.verdict.series.segment, j.verdict.evaluated_at,
            str(j.verdict.status), j.verdict.reason, j.verdict.as_json()["evidence"],
        )
        for j in given
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row[2], row[1]))


def ends(watched: Watched) -> list[tuple[Any, ...]]:
    return watched.rows(
        "SELECT segment, CASE state WHEN 'firing' THEN 'fired' ELSE state END, happened_at "
        "FROM audit.episodes ORDER BY 3, 1, 2"
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_recalibration_told_in_time_is_as_in_a_backtest_whenever_a_process_dies(
    engine: Engine, seed: int
) -> None:
    _, given, alerts = backtest(EVENTS, lambda _: POLICY, [RECALIBRATED])
    closed = [a for a in alerts if a.episode.resolved_at == day(20.5)]
    assert closed
    assert all("recalibration of 2026-01-21T12:00:00Z" in str(a.resolved_by) for a in closed)
    watched = Watched.over(engine, EVENTS, POLICY)
    rng = random.Random(seed)
    at, told = 0.0, False
    while at < DAYS:
        at = min(DAYS, at + rng.choice([0.1, 0.5, 1, 3]))
        if not told and at >= 20.5:
            watched.announce(RECALIBRATED)
            told = True
        watched.tick(day(at))
        if rng.random() < 0.4:
            watched.restart()
    expected = [row for row in flat(given) if row[2] <= day(DAYS)]
    found = watched.verdicts()
    assert [row[:5] for row in found] == [row[:5] for row in expected]
    assert found == expected
    assert [row for row in ends(watched) if row[2] == day(20.5)] == sorted(
        (a.episode.series.segment, "resolved", day(20.5)) for a in closed
    )
    baselines = watched.rows(
        "SELECT segment, start_at, restart ->> 'kind', restart ->> 'reason' FROM audit.baselines "
        "ORDER BY baseline_id"
    )
    by_segment = {
        segment: [b[1:] for b in baselines if b[0] == segment] for segment, *_ in baselines
    }
    assert by_segment[""] == [
        (day(0), None, None),
        (day(21), "recalibration", "Platt, 0.42"),
    ]
    assert watched.rows("SELECT kind, taken_at, restarts FROM audit.changes") == [
        ("recalibration", day(20.5), True)
    ]


def test_a_change_told_late_changes_no_verdict_that_was_given(engine: Engine) -> None:
    watched = Watched.over(engine, EVENTS, POLICY)
    watched.tick(day(25))
    before = watched.verdicts()
    watched.announce(RECALIBRATED)
    watched.restart()
    assert {j.verdict.evaluated_at for j in watched.tick(day(25.1))} == {
        day(25) + timedelta(milliseconds=1)
    }
    watched.tick(day(DAYS))
    once = watched.verdicts()
    assert once[: len(before)] == before
    # Whoever folds it all again comes to the same states, and judges nothing twice.
    watched.restart()
    assert watched.tick(day(DAYS)) == []
    assert watched.verdicts() == once
    remembered = {s: f.state for s, f in watched.watcher._known["credit"].followed.items()}  # noqa: SLF001
    assert {s.restart.kind for s in remembered.values() if s.restart} == {"recalibration"}


def test_an_accepted_drift_is_resolved_at_the_next_tick_and_says_by_whom(engine: Engine) -> None:
    watched = Watched.over(engine, EVENTS, POLICY)
    watched.tick(day(25))
    firing = {row[0] for row in ends(watched)}
    assert firing
    decision = Decision("credit", ACCEPTED, None, None, "new price list", "ann", None, day(25))
    HistoryStore(engine).decide(decision)
    [*given] = watched.tick(day(25.01))
    assert {j.verdict.series.segment for j in given} == firing
    for judged in given:
        restart = judged.verdict.evidence.restart
        assert restart is not None
        assert (restart.author, restart.reason) == ("ann", "new price list")
        assert "accepted as the new normal" in judged.decision.reason
    assert watched.tick(day(25.02)) == []
    watched.tick(day(DAYS))
    assert {row[1] for row in ends(watched) if row[2] > day(25.5)} <= {"resolved"}
    assert watched.rows(
        "SELECT kind, author, reason, happened_at FROM audit.baseline_decisions"
    ) == [(ACCEPTED, "ann", "new price list", day(25))]
    [row] = watched.rows("SELECT taken_at FROM audit.baseline_decisions")
    assert row == (day(25) + timedelta(milliseconds=1),)


def test_a_reset_concerns_the_series_it_names(engine: Engine) -> None:
    watched = Watched.over(engine, EVENTS, POLICY)
    watched.tick(day(10))
    decision = Decision("credit", RESET, "3", "country=FR", "why", "ann", None, day(10))
    HistoryStore(engine).decide(decision)
    [judged] = watched.tick(day(11.3))[:1]
    assert judged.verdict.series.segment == "country=FR"
    assert judged.verdict.reason.startswith("Collecting a new baseline: ")


def test_a_change_that_restarts_nothing_asks_for_a_judgement_even_when_told_late(
    engine: Engine,
) -> None:
    policy = replace(POLICY, cadence=Cadence.MONTHLY, segments=())
    watched = Watched.over(engine, EVENTS, policy)
    watched.tick(day(12))
    assert watched.tick(day(14)) == []
    watched.announce(ChangeEvent("credit", None, ChangeKind.DEPLOY, day(13.5), ""))
    assert watched.tick(day(14.5)) == []
    [judged] = watched.tick(day(15))
    assert judged.verdict.evaluated_at == day(15)
    assert watched.tick(day(17)) == []
    assert watched.rows("SELECT taken_at, restarts FROM audit.changes") == [
        (day(14) + timedelta(milliseconds=1), False)
    ]


def test_second_opinions_find_the_same_in_a_process_that_was_restarted(engine: Engine) -> None:
    asked = (DetectorName.E_PROCESS, DetectorName.ADWIN, DetectorName.PAGE_HINKLEY)
    policy = replace(POLICY, detectors=asked, segments=())
    _, given, _ = backtest(EVENTS, lambda _: policy)
    watched = Watched.over(engine, EVENTS, policy)
    for n in range(3, DAYS, 3):
        watched.tick(day(n))
        watched.restart()
    found = watched.verdicts()
    assert found == flat(given)[: len(found)]
    opinions = found[-1][5]["opinions"]
    assert [each["name"] for each in opinions] == ["adwin", "page_hinkley"]
    assert any(each["findings"] for each in opinions)
