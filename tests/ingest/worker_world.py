"""The world around the worker, for its stateful test: logs, workers that die, and a witness.

The witness is a trigger in the database: it writes down every move of an offset and every
forgetting, in the transaction that made it. The naive model is fed along that record, so that it
sees the batches as they were committed, by whichever worker.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby, product
from threading import Event
from typing import TYPE_CHECKING, Any

import psycopg
from kafka import TopicPartition
from sqlalchemy import make_url

from monitor.core.panes import Cells
from monitor.core.policies import Policy, Unlabelled
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.store.engine import connect
from monitor.store.ingest import IngestStore
from monitor.store.panes import PaneStore
from tests.faulty_postgres import Faults, faulty_engine
from tests.ingest.durable import unflushed
from tests.ingest.messages import BAD, FUTURE_MS, RULES, Answer, AnswerTo, Bad, Change, Predict
from tests.memory_kafka import MemoryConsumer, MemoryKafka
from tests.naive_join import (
    CORRECTION_S,
    DAY_MS,
    HORIZON_S,
    Answered,
    Cell,
    DelayCell,
    Ledger,
    Scored,
    TallyName,
    as_dict,
    delays_as_dict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Engine

    from monitor.core.counting.tallies import Tally
    from monitor.store.ingest import Flush

PARTITIONS = 3
TOPICS = Topics()
POLICIES = {
    model: Policy(
        pane=timedelta(milliseconds=rules.pane_ms),
        label_horizon=timedelta(seconds=HORIZON_S),
        correction_horizon=timedelta(seconds=CORRECTION_S),
        segments=rules.segments,
        unlabelled=Unlabelled.NEGATIVE if rules.negative else Unlabelled.MISSING,
    )
    for model, rules in RULES.items()
}

_WITNESS = """
CREATE TABLE IF NOT EXISTS witness (
    id bigint GENERATED ALWAYS AS IDENTITY, transaction xid8 DEFAULT pg_current_xact_id(),
    topic text, partition int, old_offset bigint, new_offset bigint, evicted jsonb);
CREATE OR REPLACE FUNCTION see_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness (topic, partition, old_offset, new_offset)
    VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
    RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION see_evicted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness (partition, evicted) VALUES (new.shard, new.evicted);
    RETURN new; END $$;
CREATE TABLE IF NOT EXISTS dropped (shard int);
CREATE OR REPLACE FUNCTION see_drop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO dropped VALUES (old.shard);
    RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER see_drop AFTER DELETE ON calmon.join_block
    FOR EACH ROW EXECUTE FUNCTION see_drop();
CREATE OR REPLACE TRIGGER see_move AFTER UPDATE ON calmon.ingest_partition
    FOR EACH ROW WHEN (new.next_offset IS DISTINCT FROM old.next_offset)
    EXECUTE FUNCTION see_move();
-- Before: so that an upsert shows what it was asked to write.
CREATE OR REPLACE TRIGGER see_evicted BEFORE INSERT ON calmon.join_shard
    FOR EACH ROW EXECUTE FUNCTION see_evicted();
"""

# Everything that ingest writes; deleting a few rows is quicker than making a database. History
# refuses it, but a test's own superuser may switch the triggers off.
_WRITTEN = [
    "ingest_partition", "join_shard", "join_block", "bin_delta", "bin_count", "touched_pane",
    "delay_count", "touched_delay", "loss_count", "labelled_sample",
    "tally", "dead_letter", "change_event", "series", "model",
]  # fmt: skip
_CLEAR = "; ".join(
    [
        "SET session_replication_role = replica",
        "DELETE FROM witness",
        "DELETE FROM dropped",
        *(f"DELETE FROM calmon.{table}" for table in _WRITTEN),
        "SET session_replication_role = origin",
    ]
)


@dataclass(eq=False)
class Member:
    """One worker process: its worker, its place in the group, its connections."""

    name: str
    worker: Worker
    consumer: MemoryConsumer
    faults: Faults
    engine: Engine
    was_silent: bool = False

    def end(self) -> None:
        """End in order, as by SIGTERM."""
        stop = Event()
        stop.set()
        self.worker.run(stop)

    def die(self) -> None:
        """End without a word, as by SIGKILL."""
        self.faults.cut()
        self.engine.dispose()
        self.consumer.is_silent = True


@dataclass
class World:
    """One run: its Kafka, its database, and everything that was ever sent."""

    url: str
    kafka: MemoryKafka = field(
        default_factory=lambda: MemoryKafka(
            {TOPICS.predictions: PARTITIONS, TOPICS.labels: PARTITIONS, TOPICS.changes: 1}
        )
    )
    usable: dict[tuple[str, int, int], Scored | Answered] = field(default_factory=dict)
    sent: list[Predict] = field(default_factory=list)
    dead_letters: set[tuple[str, int, int, str]] = field(default_factory=set)
    changes: set[tuple[str, int, int, str]] = field(default_factory=set)
    started: list[Member] = field(default_factory=list)
    forgotten: int = 0
    time_ms: int = 0
    """What an event's time is counted from; an answer's is counted from its prediction's."""
    _sql: psycopg.Connection[tuple[object, ...]] = field(init=False)
    watcher_faults: Faults = field(default_factory=Faults)
    policy_for: Callable[[str], Policy | None] = POLICIES.get

    def __post_init__(self) -> None:
        url = make_url(self.url).set(drivername="postgresql")
        self._sql = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        self._sql.execute(_WITNESS)
        self._sql.execute(_CLEAR)
        self._reader = connect(self.url)
        self._panes = PaneStore(self._reader)
        self._watcher = faulty_engine(self.url, self.watcher_faults)
        self.watcher = PaneStore(self._watcher)

    def close(self) -> None:
        for member in self.started:
            member.die()
        self._sql.close()
        self._reader.dispose()
        self._watcher.dispose()

    def start(self, name: str, batch_events: int, flush_every_s: float, faults: Faults) -> Member:
        """A new worker process; raises what its start raises."""
        engine = faulty_engine(self.url, faults)
        consumer = MemoryConsumer(self.kafka, name)
        settings = WorkerSettings(
            TOPICS,
            name,
            max_future_skew=timedelta(milliseconds=FUTURE_MS),
            batch_events=batch_events,
            flush_every=timedelta(seconds=flush_every_s),
            poll_timeout=timedelta(0),
            # A step polls until there is no more, as one under load does; nothing here waits.
            linger=timedelta(seconds=60),
            retry_after=timedelta(0),
        )
        store = IngestStore(engine)
        worker = Worker(consumer, store, SeriesBook(store, self.policy_for), settings)
        self.started.append(Member(name, worker, consumer, faults, engine))
        return self.started[-1]

    def publish(self, message: Predict | Answer | AnswerTo | Bad | Change) -> None:
        """Send one message, and remember what must become of it."""
        if isinstance(message, AnswerTo):
            found = message.of(self.sent)
            if found is not None:
                self._send(found)
        elif isinstance(message, Bad):
            topic, value, reason = BAD[message.number]
            partition = 0 if topic == TOPICS.changes else message.id % PARTITIONS
            published_ms = DAY_MS if reason == "future_time" else -1
            sent = self.kafka.publish(topic, partition, value, timestamp=published_ms)
            self.dead_letters.add((topic, partition, sent.offset, reason))
        elif isinstance(message, Change):
            sent = self.kafka.publish(TOPICS.changes, 0, message.wire())
            self.changes.add((TOPICS.changes, 0, sent.offset, message.kind))
        else:
            self._send(replace(message, ts_ms=message.ts_ms + self.time_ms))

    def pass_time(self, models: Sequence[str], by_ms: int) -> None:
        """Later, in every partition, for these models: old rows and blocks may be forgotten."""
        self.time_ms += by_ms
        for model, partition in product(models, range(PARTITIONS)):
            new = 1000 * PARTITIONS + self.time_ms // 1000 * PARTITIONS + partition
            self._send(Predict(new, model, "1", self.time_ms, 0.5))
            self._send(Answer(new, model, self.time_ms, 1))

    def _send(self, message: Predict | Answer) -> None:
        topic = TOPICS.predictions if isinstance(message, Predict) else TOPICS.labels
        value, event = message.wire()
        timestamp = DAY_MS + message.ts_ms if message.ts_ms % 2 else -1
        partition = message.id % PARTITIONS
        key = str(message.id).encode()
        sent = self.kafka.publish(topic, partition, value, key=key, timestamp=timestamp)
        self.usable[topic, partition, sent.offset] = event
        if isinstance(message, Predict):
            self.sent.append(message)

    def owners(self) -> dict[TopicPartition, str]:
        """Who took each partition last, as the database knows it."""
        rows = self._sql.execute("SELECT topic, partition, owner FROM calmon.ingest_partition")
        return {TopicPartition(topic, partition): str(owner) for topic, partition, owner in rows}

    def moves(self) -> int:
        """Number of things witnessed, and of deltas: it grows with everything that is written."""
        return self._number(
            "SELECT (SELECT count(*) FROM witness) + (SELECT count(*) FROM calmon.bin_delta)"
        )

    def take_overs(self) -> int:
        """How often a partition was taken over."""
        return self._number("SELECT coalesce(sum(epoch), 0) FROM calmon.ingest_partition")

    def dropped_blocks(self) -> int:
        """Blocks that nothing needed any more."""
        return self._number("SELECT count(*) FROM dropped")

    def unread(self) -> list[TopicPartition]:
        """Partitions with messages that were not counted."""
        return [tp for tp, n in self._left().items() if n]

    def messages_unread(self) -> int:
        """Messages that were not counted, by the offsets stored."""
        return sum(self._left().values())

    def _left(self) -> dict[TopicPartition, int]:
        rows = self._sql.execute(
            "SELECT topic, partition, next_offset FROM calmon.ingest_partition"
        )
        done = {TopicPartition(topic, p): offset or 0 for topic, p, offset in rows}
        return {
            tp: sum(message.offset >= int(str(done.get(tp, 0))) for message in log)
            for tp, log in self.kafka.logs.items()
        }

    def cutoffs(self, shard: int) -> dict[str, int]:
        """Times up to which a shard has forgotten, ms by model."""
        rows = self._sql.execute(
            """SELECT m.name, e.value::bigint FROM calmon.join_shard s,
               jsonb_each_text(s.evicted) e JOIN calmon.model m ON m.model_id = e.key::int
               WHERE s.shard = %s""",
            [shard],
        )
        return {str(name): int(str(ms)) for name, ms in rows}

    def unflushed(self) -> Flush:
        """What is durable, and in no delta yet."""
        return unflushed(self.url, TOPICS, POLICIES.get)

    def unflushed_shards(self) -> set[int]:
        """Shards with blocks that no flush covers."""
        rows = self._sql.execute(
            """SELECT DISTINCT shard FROM calmon.join_block b
               LEFT JOIN calmon.join_shard s USING (shard)
               WHERE b.block_id > coalesce(s.flushed_block_id, 0)"""
        )
        return {int(str(shard)) for (shard,) in rows}

    def named(self, tallies: Counter[Tally]) -> Counter[TallyName]:
        """Tallies by name."""
        rows = self._sql.execute("SELECT model_id, name FROM calmon.model")
        models = {int(str(number)): str(name) for number, name in rows}
        series = {
            i: (s.model, s.version, s.segment)
            for model in RULES
            for i, s in self._panes.series(model).items()
        }
        return Counter(
            {
                (str(kind), models[model], series.get(index)): n
                for (kind, model, index), n in tallies.items()
            }
        )

    def known_cells(self, more: Cells | None = None) -> dict[Cell, tuple[int, ...]]:
        """All counts, by name, with `more` of them."""
        found: dict[Cell, tuple[int, ...]] = {}
        for model in RULES:
            for index, series in self._panes.series(model).items():
                name = (series.model, series.version, series.segment)
                cells = self._panes.bins([index])
                if more is not None:
                    cells = Cells.merge([cells, more.take(more.series == index)])
                for (_, pane, late, bin_), sums in as_dict(cells).items():
                    if any(sums):
                        found[name, pane, late, bin_] = sums
        return found

    def known_delays(self) -> dict[DelayCell, int]:
        """All delays, by name."""
        found: dict[DelayCell, int] = {}
        for model in RULES:
            for index, series in self._panes.series(model).items():
                name = (series.model, series.version, series.segment)
                cells = delays_as_dict(self._panes.delays.known([index]))
                found |= {(name, *cell[1:]): n for cell, n in cells.items()}
        return found

    def known_tallies(self) -> Counter[TallyName]:
        """All folded tallies, by name."""
        rows = self._sql.execute(
            """SELECT t.kind, m.name, s.model, s.version, s.segment, t.n
               FROM calmon.tally t JOIN calmon.model m USING (model_id)
               LEFT JOIN calmon.series s USING (series_id)"""
        )
        return Counter(
            {
                (kind, name, (model, version, segment) if model else None): n  # type: ignore[misc]  # columns of text
                for kind, name, model, version, segment, n in rows
            }
        )

    def known_dead_letters(self) -> set[tuple[str, int, int, str]]:
        return self._outcomes('SELECT topic, partition, "offset", reason FROM calmon.dead_letter')

    def known_changes(self) -> set[tuple[str, int, int, str]]:
        return self._outcomes('SELECT topic, partition, "offset", kind FROM calmon.change_event')

    def expected(
        self,
    ) -> tuple[dict[Cell, tuple[int, ...]], dict[DelayCell, int], Counter[TallyName]]:
        """Counts, delays and tallies of the naive model, fed batch by batch as committed."""
        ledgers = [Ledger(RULES) for _ in range(PARTITIONS)]
        rows = self._sql.execute("SELECT * FROM witness ORDER BY id").fetchall()
        ids = {
            str(i): str(name)
            for i, name in self._sql.execute("SELECT model_id, name FROM calmon.model")
        }
        # One shard's transactions follow one another, but those of two shards may interleave.
        for shard, ledger in enumerate(ledgers):
            mine = [row for row in rows if row[3] == shard and row[2] != TOPICS.changes]
            self._follow(ledger, shard, mine, ids)
        cells: dict[Cell, tuple[int, ...]] = {}
        delays: Counter[DelayCell] = Counter()
        tallies: Counter[TallyName] = Counter()
        for ledger in ledgers:
            tallies += ledger.tallies
            for cell, sums in ledger.counts().items():
                added = cells.get(cell, (0,) * len(sums))
                cells[cell] = tuple(a + b for a, b in zip(added, sums, strict=True))
            delays.update(ledger.delays())
        counts = {cell: sums for cell, sums in cells.items() if any(sums)}
        return counts, {cell: n for cell, n in delays.items() if n}, tallies

    def _follow(
        self, ledger: Ledger, shard: int, moves: list[tuple[Any, ...]], models: Mapping[str, str]
    ) -> None:
        """Feed one shard's ledger: a transaction is a batch, and perhaps a forgetting after it."""
        at = {TOPICS.predictions: 0, TOPICS.labels: 0}
        cutoff_ms: dict[str, int] = {}
        for _, transaction in groupby(moves, key=lambda move: move[1]):
            batch: dict[str, list[Any]] = {}
            forgotten: dict[str, int] = {}
            for _, _, topic, _, old, new, evicted in transaction:
                if topic is None:
                    forgotten = {models[number]: ms for number, ms in evicted.items()}
                else:
                    assert (old or 0) == at[topic], f"{topic}-{shard}: {old} after {at[topic]}"
                    places = [(topic, shard, offset) for offset in range(at[topic], new)]
                    batch[topic] = [self.usable[p] for p in places if p in self.usable]
                    at[topic] = new
            ledger.feed(batch.get(TOPICS.predictions, []), batch.get(TOPICS.labels, []))
            for model, ms in forgotten.items():
                assert ms <= ledger.reached(model) - RULES[model].correction_ms
                cutoff_ms[model] = max(ms, cutoff_ms.get(model, ms))
            self.forgotten += ledger.forget({model: cutoff_ms[model] for model in forgotten})

    def _number(self, statement: str) -> int:
        found = self._sql.execute(statement).fetchone()
        assert found is not None
        return int(str(found[0]))

    def _outcomes(self, statement: str) -> set[tuple[str, int, int, str]]:
        rows: list[Any] = self._sql.execute(statement).fetchall()
        assert len(rows) == len(set(rows))
        return set(rows)


def settle(world: World, members: Sequence[Member]) -> None:
    """Let the group come to rest, and all that was sent be counted and committed."""
    for _ in range(200):
        for member in members:
            member.worker.step()
        if all(member.consumer.is_settled for member in members) and not world.unread():
            return
        time.sleep(0.01)
    raise AssertionError(world.unread())


def alive(members: Iterable[Member]) -> list[Member]:
    """Members that talk to the group."""
    return [member for member in members if not member.consumer.is_silent]
