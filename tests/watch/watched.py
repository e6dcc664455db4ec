"""The watcher over real Postgres without Kafka: counts laid down at once, event time let on.

A test moves the clock from tick to tick, announces changes, and may take a new watcher at any
time, as a restart does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from monitor.core.policies import Unlabelled
from monitor.store.delays import delay_columns
from monitor.store.history import HistoryStore
from monitor.store.packing import pack
from monitor.store.panes import PaneStore
from monitor.watch.clock import Clock
from monitor.watch.counting import count
from monitor.watch.tick import COHORTS_A_TICK, Watcher, WatchSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.core.events import ChangeEvent
    from monitor.core.judging.fleet import Fleet
    from monitor.core.policies import Policy
    from monitor.watch.counting import Events
    from monitor.watch.following import Judged


@dataclass
class Watched:
    """The counts of models under one policy in a database, and the watcher over them."""

    engine: Engine
    policy: Policy
    models: int = 1
    fleet: Fleet | None = None
    cohorts_a_tick: int = COHORTS_A_TICK
    watcher: Watcher = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    @classmethod
    def over(
        cls, engine: Engine, events: Events, policy: Policy, fleet: Fleet | None = None
    ) -> Watched:
        """Lay down the counts of all events, at event time 0."""
        counted = count(events, lambda _: policy)
        models = sorted(set(events.model))
        seconds = [
            int(span.total_seconds())
            for span in (policy.pane, policy.label_horizon, policy.correction_horizon)
        ]
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO calmon.model (model_id, name) OVERRIDING SYSTEM VALUE "
                    "VALUES (:i, :n)"
                ),
                [{"i": number, "n": name} for number, name in enumerate(models, 1)],
            )
            connection.execute(
                text(
                    "INSERT INTO calmon.series (series_id, model, version, claim, segment, pane_s, "
                    "label_horizon_s, correction_horizon_s, unlabelled_negative, rule, low, high) "
                    "OVERRIDING SYSTEM VALUE "
                    "VALUES (:i, :m, :v, :c, :s, :pane, :horizon, :correction, :negative, 0, 1, 1)"
                ),
                [
                    {"i": index, "m": one.model, "v": one.version, "c": one.claim, "s": one.segment}
                    | dict(zip(("pane", "horizon", "correction"), seconds, strict=True))
                    | {"negative": policy.unlabelled is Unlabelled.NEGATIVE}
                    for index, one in counted.named.items()
                ],
            )
            cells = {"key": counted.cells.key, "sums": counted.cells.sums}
            cells |= delay_columns(counted.delays)
            connection.execute(
                text("INSERT INTO calmon.bin_delta (payload, tallies) VALUES (:p, '[]')"),
                {"p": pack(cells)},
            )
            for topic in ("predictions", "labels"):
                connection.execute(
                    text(
                        "INSERT INTO calmon.ingest_partition (topic, partition, epoch, owner, "
                        "watermarks, counted) VALUES (:t, 0, 1, 'test', '{}', '{}')"
                    ),
                    {"t": topic},
                )
        return cls(engine, policy, len(models), fleet)

    def restart(self) -> None:
        """A new process: nothing is remembered."""
        settings = WatchSettings(
            Clock.EVENT,
            ("predictions", "labels"),
            lambda _: self.policy,
            lambda *_: [("console", "stdout")],
            fleet=self.fleet,
            cohorts_a_tick=self.cohorts_a_tick,
        )
        self.watcher = Watcher(PaneStore(self.engine), HistoryStore(self.engine), settings)

    @property
    def panes(self) -> PaneStore:
        """The counts."""
        return PaneStore(self.engine)

    def tick(self, at: datetime) -> list[Judged]:
        """A tick when the streams were read up to event time `at`."""
        at_ms = int(at.timestamp() * 1000)
        counted = json.dumps({str(model): at_ms for model in range(1, self.models + 1)})
        with self.engine.begin() as connection:
            connection.execute(
                text("UPDATE calmon.ingest_partition SET counted = CAST(:c AS jsonb)"),
                {"c": counted},
            )
        return self.watcher.tick(datetime.now(UTC))

    def announce(self, change: ChangeEvent) -> None:
        """What the worker writes for an event on the changes topic."""
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    'INSERT INTO calmon.change_event (topic, partition, "offset", model, version, '
                    "kind, description, happened_at) "
                    "SELECT 'changes', 0, count(*), :m, :v, :k, :d, :at FROM calmon.change_event"
                ),
                {
                    "m": change.model, "v": change.version, "k": str(change.kind),
                    "d": change.description, "at": change.happened_at,
                },
            )  # fmt: skip

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def verdicts(self) -> list[tuple[Any, ...]]:
        """Every stored verdict in full, in time order."""
        return self.rows(
            "SELECT version, segment, evaluated_at, status, reason, evidence "
            "FROM audit.evaluations ORDER BY evaluated_at, segment"
        )
