"""Alerts of the daemon over real Postgres: as a backtest says, whenever a process dies."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.episode.episodes import AlertKind
from monitor.core.events import ChangeEvent, ChangeKind
from monitor.core.policies import AlertPolicy, FirstLabels, Policy
from monitor.watch.backtest import backtest, messages
from tests.synthetic import DAY_MS, START_MS, stream
from tests.watch.test_restarts import day, flat
from tests.watch.watched import Watched

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.core.episode.grouping import Told
    from monitor.watch.counting import Events
    from monitor.watch.following import Judged

DAYS = 30


def ending_segment() -> Events:
    """The stream without the predictions of country=FR after day 12; their labels are ignored."""
    whole = stream(days=DAYS)
    kept = (whole.segments["country"] != "FR") | (whole.ts_ms < START_MS + 12 * DAY_MS)
    return replace(
        whole,
        prediction_id=whole.prediction_id[kept],
        model=whole.model[kept],
        version=whole.version[kept],
        ts_ms=whole.ts_ms[kept],
        score=whole.score[kept],
        segments={"country": whole.segments["country"][kept]},
    )


EVENTS = ending_segment()
NEWEST = int(max(EVENTS.ts_ms.max(), EVENTS.label_ms.max())) // 1000 * 1000
END = (NEWEST - START_MS) / DAY_MS
RECALIBRATED = ChangeEvent("credit", None, ChangeKind.RECALIBRATION, day(26.5), "Platt")
ALERTS = AlertPolicy(
    pending_for=timedelta(hours=30),
    keep_firing_for=timedelta(days=2),
    no_data_after=timedelta(days=1),
    remind_every=timedelta(hours=60),
    critical_at=0.05,
    team="risk",
)
POLICY = Policy(baseline=FirstLabels(1000), segments=("country",), alerts=ALERTS)


def lived(given: list[Judged]) -> list[tuple[Any, ...]]:
    """Every change of an episode, as `stored` has them."""
    found = []
    for one in given:
        episode = one.decision.episode
        if one.changed and episode is not None:
            at = one.verdict.evaluated_at
            found.append((episode.series.segment, str(episode.state), at, one.decision.reason))
    return sorted(found, key=lambda row: (row[2], row[0]))


def stored(watched: Watched) -> list[tuple[Any, ...]]:
    return watched.rows(
        "SELECT segment, state, happened_at, reason FROM audit.episodes ORDER BY 3, 1"
    )


def as_told(told: list[Told]) -> list[tuple[Any, ...]]:
    return [
        (
            one.group.group_id, one.group.n_told, str(one.kind), one.happened_at, one.reason,
            str(one.group.severity), one.group.team,
            [(m.series.segment, m.episode_id, str(m.state)) for m in one.group.members],
        )
        for one in told
    ]  # fmt: skip


def sent(watched: Watched) -> list[tuple[Any, ...]]:
    rows = watched.rows(
        "SELECT group_id, sequence, kind, happened_at, reason, severity, team, members "
        "FROM audit.alerts ORDER BY happened_at"
    )
    return [
        (*row[:7], [(m["series"]["segment"], m["episode_id"], m["state"]) for m in row[7]])
        for row in rows
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_alerts_are_those_of_a_backtest_whatever_the_ticks_and_whenever_a_process_dies(
    engine: Engine, seed: int
) -> None:
    _, given, _ = backtest(EVENTS, lambda _: POLICY, [RECALIBRATED])
    told = messages(given, lambda _: POLICY, day(END))
    watched = Watched.over(engine, EVENTS, POLICY)
    rng, at, announced = random.Random(seed), 0.0, False
    while at < END:
        at = min(END, at + rng.uniform(0.05, 4))
        if at >= 26.5 and not announced:
            announced = True
            watched.announce(RECALIBRATED)
        watched.tick(day(at))
        if rng.random() < 0.4:
            watched.restart()
    assert watched.verdicts() == flat(given)
    assert stored(watched) == lived(given)
    assert sent(watched) == as_told(told)
    states = {state for _, state, *_ in stored(watched)}
    assert states == {"pending", "firing", "no_data", "resolved"}
    kinds = [one.kind for one in told]
    assert kinds.count(AlertKind.FIRED) == 1, "segments of one model are one message"
    assert {AlertKind.CHANGED, AlertKind.REMINDED} <= set(kinds)
