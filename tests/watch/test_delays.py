"""Labels' delays in the daemon over real Postgres: as a backtest says, whenever a process dies."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor.core.claims import Series
from monitor.core.counting.delay_cells import DelayCells
from monitor.core.delay.delay_advice import label_advice
from monitor.core.judging.series_state import IMPORTED, Baseline, Cohort
from monitor.core.policies import FirstLabels, Policy, Unlabelled
from monitor.store.history import HistoryStore
from monitor.watch.advice import stored_advices
from monitor.watch.backtest import backtest
from monitor.watch.counting import Events, count
from tests.core.delayed import rows
from tests.watch.watched import Watched

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.core.bins import BinCounts
    from monitor.watch.following import Judged

DAYS, PER_DAY = 32, 150
START_S = 1_767_225_600  # 2026-01-01
DAY_MS = 86_400_000
POLICY = Policy(
    label_horizon=timedelta(days=3),
    correction_horizon=timedelta(days=12),
    baseline=FirstLabels(800),
    min_labels=100,
)


def day(n: float) -> datetime:
    return datetime.fromtimestamp(START_S + n * 86_400, UTC)


def events(seed: int = 0) -> Events:
    """Days of predictions; from day 18 on the negatives' labels take four times as long."""
    rng = np.random.default_rng(seed)
    n = DAYS * PER_DAY
    ts_ms = START_S * 1000 + np.sort(rng.integers(0, DAYS * DAY_MS, n))
    slow = ts_ms >= (START_S * 1000 + 18 * DAY_MS)
    calm, slowed = rows(rng, n), rows(rng, n, slower=4.0)
    score = np.where(slow, slowed.score, calm.score)
    outcome = np.where(slow, slowed.outcome, calm.outcome)
    delay_ms = (np.where(slow, slowed.delay_s, calm.delay_s) * 1000).astype(np.int64)
    ids = np.array([str(i) for i in range(n)], dtype=np.object_)
    model = np.full(n, "slow", dtype=np.object_)
    version = np.full(n, "1", dtype=np.object_)
    country = np.where(rng.random(n) < 0.5, "DE", "FR").astype(np.object_)
    order = np.argsort(ts_ms + delay_ms, kind="stable")
    return Events(
        ids, model, version, ts_ms, score, {"country": country},
        ids[order], model, (ts_ms + delay_ms)[order], outcome[order].astype(np.float64),
    )  # fmt: skip


EVENTS = events()


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


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        replace(POLICY, segments=("country",)),
        replace(POLICY, unlabelled=Unlabelled.NEGATIVE),
        replace(POLICY, cohort=timedelta(hours=6)),
        replace(POLICY, pane=timedelta(days=2), cohort=timedelta(days=4)),
    ],
    ids=["days", "segments", "negative", "quarters", "long_panes"],
)
def test_verdicts_are_those_of_a_backtest_whenever_a_process_dies(
    engine: Engine, policy: Policy
) -> None:
    _, given, _ = backtest(EVENTS, lambda _: policy)
    watched = Watched.over(engine, EVENTS, policy)
    rng = random.Random(3)
    at = 0.0
    while at < DAYS:
        at = min(DAYS, at + rng.choice([0.1, 0.5, 1, 3, 5]))
        watched.tick(day(at))
        if rng.random() < 0.4:
            watched.restart()

    expected = [row for row in flat(given) if row[2] <= day(DAYS)]
    assert watched.verdicts() == expected
    seen = [row[5]["delays"] for row in expected if row[5]["delays"]]
    assert any(delays["on_time_positive"] for delays in seen)
    assert any(delays["status"] for delays in seen)


def test_an_imported_baseline_waits_for_old_cohorts_and_is_then_compared(engine: Engine) -> None:
    """The daemon that lives and the one that dies agree, and the null is moved."""
    rng = np.random.default_rng(9)
    cohorts = tuple(
        Cohort(START_S - n * 86_400, START_S - (n - 1) * 86_400, _complete(rng))
        for n in range(10, 0, -1)
    )
    watched = Watched.over(engine, EVENTS, POLICY)
    HistoryStore(engine).pin(Baseline(Series("slow", "1"), IMPORTED, cohorts), day(0), "test")
    chooser = random.Random(4)
    for at in range(1, DAYS + 1):
        watched.tick(day(at))
        if chooser.random() < 0.4:
            watched.restart()

    found = {row[2]: (row[3], row[5]) for row in watched.verdicts()}
    early, later = found[day(10)], found[day(16)]
    assert early[0] == "INSUFFICIENT"
    assert early[1]["delays"]["correction"] == "unknown"
    assert later[1]["delays"]["correction"] == "offset"
    assert later[1]["labels_seen"] > 0
    assert later[1]["shift_low"] == 0
    assert abs(later[1]["delays"]["gap_all_labels"]) < 0.08


def _complete(rng: np.random.Generator) -> BinCounts:
    return rows(rng, 300).by(np.inf)


def test_what_is_counted_comes_back_folded_or_not(engine: Engine) -> None:
    counted = count(EVENTS, lambda _: POLICY)
    watched = Watched.over(engine, EVENTS, POLICY)
    panes = watched.panes
    assert panes.delays.known([0]) == counted.delays
    while panes.fold():
        pass
    assert panes.delays.known([0]) == counted.delays
    assert panes.delays.known([1]) == DelayCells.empty()


def test_sealed_delays_are_shown_to_auditors_and_do_not_change(engine: Engine) -> None:
    watched = Watched.over(engine, EVENTS, POLICY)
    watched.tick(day(10))
    before = watched.rows("SELECT * FROM audit.delays ORDER BY pane_at, complete")
    watched.tick(day(DAYS))
    after = watched.rows("SELECT * FROM audit.delays ORDER BY pane_at, complete")
    assert before
    assert set(map(str, before)) <= set(map(str, after))
    sums = watched.rows(
        "SELECT d.complete, sum(d.labels), sum(d.positives) FROM audit.delays d "
        f"WHERE d.pane_at < to_timestamp({START_S + 15 * 86_400}) GROUP BY 1 ORDER BY 1"
    )
    counts = watched.rows(
        "SELECT sum(n_labelled) FILTER (WHERE NOT late), sum(n_positive) FILTER (WHERE NOT late), "
        "sum(n_labelled), sum(n_positive) FROM calmon.bin_count "
        f"WHERE pane_at < to_timestamp({START_S + 15 * 86_400})"
    )
    assert [*sums[0][1:], *sums[1][1:]] == list(counts[0])
    due = f"min(due_at) > to_timestamp({START_S + DAYS * 86_400})"
    assert watched.rows(f"SELECT {due} FROM calmon.touched_delay") == [(True,)]


def test_advice_on_labels_is_the_same_from_the_database_and_from_files(engine: Engine) -> None:
    watched = Watched.over(engine, EVENTS, POLICY)
    assert stored_advices(watched.panes, "slow", POLICY) == []
    watched.tick(day(DAYS))
    counted = count(EVENTS, lambda _: POLICY)
    now_s = START_S + DAYS * 86_400
    [found] = stored_advices(watched.panes, "slow", POLICY)

    assert found == label_advice("slow", "1", counted.cells, counted.delays, POLICY, now_s)
    assert found.on_time_positive is not None
    assert found.fresh is not None
    assert stored_advices(watched.panes, "unheard of", POLICY) == []
