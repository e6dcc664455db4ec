"""The world of the fleet's benchmark: a day's counts of every series, and the real watcher.

Guarantees: a day is laid down once, whole, in one transaction with how far the streams were
counted, so that a run that was cut off goes on from its database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import text

from monitor.core.bins import bin_index, row_sums
from monitor.core.judging.budget import Budget
from monitor.core.judging.fleet import Fleet
from monitor.core.panes import Cells, cell_key
from monitor.core.policies import FirstLabels, Policy
from monitor.store.history import HistoryStore
from monitor.store.packing import pack
from monitor.store.panes import PaneStore
from monitor.watch.clock import Clock
from monitor.watch.tick import Watcher, WatchSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

START_S = 1_767_225_600  # 2026-01-01
DAY_S, HOUR_S = 86_400, 3600
HORIZON = timedelta(days=2)
POLICY = Policy(baseline=FirstLabels(1000), label_horizon=HORIZON)
BASELINE_DAYS = 6
BUDGET = Budget(1)
NEWEST = (
    "SELECT DISTINCT ON (model) alarm_at FROM calmon.threshold ORDER BY model, threshold_id DESC"
)
FIRED = "SELECT model, min(fired_at) FROM calmon.episode_event WHERE is_drift GROUP BY model"
CHANGES = (
    ("slope 0.5", 0.5, 0.0),
    ("slope 0.67", 0.67, 0.0),
    ("level +0.5", 1.0, 0.5),
    ("level -1", 1.0, -1.0),
    ("slope 1.5", 1.5, 0.0),
)
"""Changed series: the logit of the outcome is slope x logit of the score + level."""


@dataclass(frozen=True)
class Size:
    """How large, how long, and when the changed series change."""

    series: int
    a_day: int
    days: int
    changed_on: int
    away_days: int


def day_of(size: Size, day: int) -> Cells:
    """On-time counts of all series on one day, in hourly panes."""
    rng = np.random.default_rng([day, 77])
    n = size.series * size.a_day
    series = np.repeat(np.arange(1, size.series + 1, dtype=np.int32), size.a_day)
    logit = rng.normal(0, 1.5, n)
    shock = np.repeat(rng.normal(0, 0.05, size.series), size.a_day)
    truth = logit + shock
    if day >= size.changed_on:
        for k, (_, slope, level) in enumerate(CHANGES, 1):
            truth[series == k] = truth[series == k] * slope + level
    score = np.round(1 / (1 + np.exp(-logit)), 6)
    outcome = rng.uniform(size=n) < 1 / (1 + np.exp(-truth))
    pane = START_S + day * DAY_S + rng.integers(0, 24, n) * HOUR_S
    labelled = rng.uniform(size=n) < 0.95
    key = cell_key(series, pane, np.zeros(n, dtype=np.bool_), bin_index(score))
    return Cells.of(key, row_sums(score, labelled, outcome))


class World:
    """The fleet's database and watcher."""

    def __init__(self, engine: Engine, size: Size) -> None:
        self.engine, self.size = engine, size
        with engine.begin() as connection:
            rows = [{"i": i, "n": f"model-{i:05}"} for i in range(1, size.series + 1)]
            connection.execute(
                text(
                    "INSERT INTO calmon.model (model_id, name) OVERRIDING SYSTEM VALUE "
                    "VALUES (:i, :n) ON CONFLICT DO NOTHING"
                ),
                rows,
            )
            connection.execute(
                text(
                    "INSERT INTO calmon.series (series_id, model, version, claim, segment, pane_s, "
                    "label_horizon_s, correction_horizon_s, rule, low, high) OVERRIDING SYSTEM "
                    "VALUE VALUES (:i, :n, '1', 'positive', '', 3600, :h, 7776000, 0, 1, 1) "
                    "ON CONFLICT DO NOTHING"
                ),
                [row | {"h": int(HORIZON.total_seconds())} for row in rows],
            )
            for topic in ("predictions", "labels"):
                connection.execute(
                    text(
                        "INSERT INTO calmon.ingest_partition (topic, partition, epoch, owner, "
                        "watermarks, counted) VALUES (:t, 0, 1, 'bench', '{}', '{}') "
                        "ON CONFLICT DO NOTHING"
                    ),
                    {"t": topic},
                )
        self.start()

    def start(self) -> None:
        """A process that remembers nothing."""
        settings = WatchSettings(
            Clock.WALL,
            ("predictions", "labels"),
            lambda _: POLICY,
            lambda *_: [("console", "stdout")],
            fleet=Fleet(BUDGET),
        )
        self.watcher = Watcher(PaneStore(self.engine), HistoryStore(self.engine), settings)

    def lay_down(self, day: int) -> None:
        """What the workers flush of one day; nothing if they did before."""
        cells = day_of(self.size, day)
        with self.engine.begin() as connection:
            through = text("SELECT min(counted_through_at) FROM calmon.ingest_partition")
            counted_at = connection.execute(through).scalar_one()
            if counted_at is not None and counted_at >= mature_at(day):
                return
            connection.execute(
                text("INSERT INTO calmon.bin_delta (payload, tallies) VALUES (:p, '[]')"),
                {"p": pack({"key": cells.key, "sums": cells.sums})},
            )
            connection.execute(
                text("UPDATE calmon.ingest_partition SET counted_through_at = :at"),
                {"at": mature_at(day)},
            )

    def tick(self, at: datetime) -> tuple[list[tuple[str, str]], float, float]:
        """Ticks until nothing is behind; alerts told, wall seconds and own seconds."""
        began, own = time.perf_counter(), time.process_time()
        given = self.watcher.tick(at)
        while self.watcher.is_behind:
            given += self.watcher.tick(at)
        seconds = time.perf_counter() - began, time.process_time() - own
        told = [(j.verdict.series.model, str(j.decision.alert)) for j in given if j.decision.alert]
        return told, *seconds

    def fired(self) -> dict[str, int]:
        """By model, the day whose cohort an alert first fired with."""
        with self.engine.begin() as connection:
            found = connection.execute(text(FIRED)).all()
        began_at = datetime.fromtimestamp(START_S, UTC) + HORIZON
        return {model: (at - began_at).days - 1 for model, at in found if at is not None}

    def thresholds(self) -> list[float]:
        """The newest threshold of every series, in labels."""
        with self.engine.begin() as connection:
            return [row[0] for row in connection.execute(text(NEWEST))]


def mature_at(day: int) -> datetime:
    """When the cohort of a day is mature, and a moment more."""
    return datetime.fromtimestamp(START_S + (day + 1) * DAY_S + 1, UTC) + HORIZON
