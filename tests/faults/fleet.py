"""Workers as processes of their own, which a test kills, stops and starts as it likes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import CoordinatorNotAvailableError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from monitor.core.panes import Cells
from monitor.ingest.replay import producer
from monitor.ingest.shard_state import Topics
from monitor.store.engine import connect
from monitor.store.panes import PaneStore
from tests.acceptance.product import CHECKOUT
from tests.faults.wild import NAMES, POLICY_YAML, Letter
from tests.ingest.durable import unflushed
from tests.naive_join import as_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.faults.wild import Cell, Message, Wild
    from tests.servers import TestKafka

SOAK = os.environ.get("SOAK") == "1"
PATIENCE = float(os.environ.get("PATIENCE", "5" if SOAK else "1"))
"""A soak runs beside other work, and may be slow without being wrong."""
SHUTDOWN_S = 10
"""What an orderly end may take."""
FENCED, MENDABLE, KILLED = 3, 2, -signal.SIGKILL
"""Exit codes."""
FINE = {None, 0, FENCED, KILLED}
"""Exit codes of workers that run, were ended or killed, or woke too late; never of an error."""
GIVE_UP_S = 120 * PATIENCE
FAST = "session_timeout: 1s, batch_events: 20, flush_every: 1s"
"""Ingest keys with which much happens in little time: short sessions, many small transactions."""
PUBLISHED_A_SECOND = 10
"""Chunks of a lasting load."""


@dataclass(frozen=True)
class WorkerProcess:
    """One `calmon run --role ingest` with a log of its own."""

    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def logged(self, event: str) -> list[dict[str, object]]:
        """Log lines of this event, in order."""
        lines = [line for line in self.log.splitlines() if line.startswith("{")]
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [line for line in found if line["event"] == event]

    @property
    def hears_signals(self) -> bool:
        """Whether it handles SIGTERM: it does from its own first line on (proc(5), SigCgt)."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except FileNotFoundError:
            return False
        [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait_for(self, event: str, times: int = 1, *, or_end: bool = False) -> None:
        """Until the log holds this event so often, or the process has ended, where it may."""
        wait_until(
            lambda: len(self.logged(event)) >= times or self.process.poll() is not None,
            lambda: f"no {times} times {event!r}: {self.log}",
        )
        assert or_end or len(self.logged(event)) >= times, self.log

    def end(self) -> float:
        """End it in order; returns how many seconds that took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        assert self.ended() == 0, self.log
        return time.monotonic() - began

    def ended(self, timeout_s: float = GIVE_UP_S) -> int:
        """Its exit code, when it has ended by itself."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the worker does not end: {self.log}")


@dataclass
class Fleet:
    """The workers of one monitor, its topics and its database."""

    kafka: TestKafka
    url: str
    folder: Path
    topics: dict[str, str]
    group: str
    workers: list[WorkerProcess] = field(default_factory=list)

    def configure(self, ingest: str) -> None:
        """Write the configuration of the workers that start from now on.

        ingest: keys of its `ingest` section, beside the group.
        """
        (self.folder / "calmon.yaml").write_text(
            f"topics: {json.dumps(self.topics)}\nclock: event\n"
            f"ingest: {{group: {self.group}, {ingest}}}\ndefaults: {POLICY_YAML}\n"
        )

    def start(self, url: str | None = None, kafka: str | None = None) -> WorkerProcess:
        """Start one more worker; it is not waited for.

        url: of its database, by another way; kafka: another bootstrap server.
        """
        log_path = self.folder / f"worker-{len(self.workers)}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CALMON_")} | {
            "CALMON_CONFIG": str(self.folder / "calmon.yaml"),
            "CALMON_DATABASE_URL": url or self.url,
            "CALMON_KAFKA_BOOTSTRAP": kafka or self.kafka.server.bootstrap,
        }
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "run", "--role", "ingest"],
                env=environment,
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
            )
        self.workers.append(WorkerProcess(process, log_path))
        return self.workers[-1]

    @property
    def running(self) -> list[WorkerProcess]:
        return [worker for worker in self.workers if worker.process.poll() is None]

    @property
    def logs(self) -> str:
        """The end of the newest logs."""
        newest = self.workers[-6:]
        return "\n".join(f"{worker.log_path.name}: {worker.log[-2000:]}" for worker in newest)

    def _works(self) -> bool:
        assert self.running, f"no worker is left: {self.logs}"
        return True

    def wait_for_progress(self, timeout_s: float = 60 * PATIENCE) -> None:
        """Until more is counted than now."""
        before = self.counted()
        wait_until(lambda: self._works() and self.counted() > before, lambda: self.logs, timeout_s)

    @contextmanager
    def load(self, wild: Wild, lasting_s: int = 60) -> Iterator[None]:
        """Publish half of the stream at once and the other bit by bit, while the block lasts.

        What is left by then is published before this returns; a block of more than `lasting_s`
        runs out of messages.
        """
        messages, ended = wild.messages, Event()
        half, step = len(messages) // 2, len(messages) // (2 * PUBLISHED_A_SECOND * lasting_s)

        def publish_slowly(publish: Callable[[Sequence[Message]], None]) -> None:
            for start in range(half, len(messages), max(step, 1)):
                publish(messages[start : start + step])
                ended.wait(1 / PUBLISHED_A_SECOND)

        with self._publishing() as publish, ThreadPoolExecutor(1) as thread:
            publish(messages[:half])
            publishing = thread.submit(publish_slowly, publish)
            try:
                yield
            finally:
                ended.set()
            publishing.result()

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in this order within each partition."""
        with self._publishing() as publish:
            publish(messages)

    @contextmanager
    def _publishing(self) -> Iterator[Callable[[Sequence[Message]], None]]:
        sender = producer(self.kafka.server.bootstrap)

        def publish(messages: Sequence[Message]) -> None:
            sent = [
                sender.send(
                    self.topics[m.topic], key=m.key.encode(), value=m.value, partition=m.partition
                )
                for m in messages
            ]
            sender.flush()
            for future in sent:
                future.get(timeout=GIVE_UP_S)

        try:
            yield publish
        finally:
            sender.close()

    def counted(self) -> int:
        """Messages counted so far; 0 while the database is away."""
        try:
            [(n,)] = self.rows("SELECT sum(next_offset)::int FROM calmon.ingest_partition")
        except OperationalError:
            return 0
        return n if isinstance(n, int) else 0

    def wait_until_counted(self, total: int, timeout_s: float = GIVE_UP_S) -> None:
        wait_until(
            lambda: self._works() and self.counted() >= total,
            lambda: f"{self.counted()} of {total} counted: {self.logs}",
            timeout_s,
        )

    def keep(self, count: int) -> None:
        """Start workers until so many share the partitions.

        One that was fenced for being slow is replaced; no other end by itself is right.
        """

        def is_shared() -> bool:
            assert {worker.process.poll() for worker in self.workers} <= FINE, self.logs
            while len(self.running) < count:
                self.start()
            state, members = self.members()
            return state == "Stable" and len(members) == count and all(members.values())

        wait_until(is_shared, lambda: f"{self.members()}: {self.logs}")

    def members(self) -> tuple[str, dict[str, int]]:
        """State of the group, and the number of partitions of each member."""
        try:
            with self.admin() as admin:
                group = admin.describe_groups([self.group])[self.group]
        except CoordinatorNotAvailableError:  # Kafka has just started
            return "Unknown", {}
        members = {}
        for member in group["members"]:
            assigned = member["member_assignment"] or {"assigned_partitions": []}
            members[member["member_id"]] = sum(
                len(topic["partitions"]) for topic in assigned["assigned_partitions"]
            )
        return group["group_state"], members

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.server.bootstrap)
        try:
            yield admin
        finally:
            admin.close()

    def partition(self, topic: str, number: int) -> TopicPartition:
        return TopicPartition(self.topics[topic], number)

    def close(self) -> None:
        for worker in self.running:
            worker.kill()

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(statement))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def end(self) -> None:
        """End all workers in order, once each partition is in the hands of one of them."""

        def is_settled() -> bool:
            state, members = self.members()
            running = {str(worker.process.pid) for worker in self.running}
            owners = {
                str(owner).rpartition(":")[2]
                for (owner,) in self.rows("SELECT owner FROM calmon.ingest_partition")
            }
            return state == "Stable" and len(members) == len(running) and owners <= running

        wait_until(is_settled, lambda: f"{self.members()}: {self.logs}")
        assert all(worker.end() < SHUTDOWN_S for worker in self.running)

    def check(self, wild: Wild, *, flushed: bool = True) -> None:
        """Everything that is durable equals what the stream asks for, and all of it is flushed.

        These are two properties. The first holds at every moment. The second holds once workers
        have ended in order; without `flushed` it must not: a worker that was killed had no time.
        """
        waiting = unflushed(self.url, Topics(**self.topics))
        assert self._counts(waiting.cells) == wild.counts
        rows = self.rows("SELECT model_id, name FROM calmon.model")
        names = {int(str(number)): str(name) for number, name in rows}
        kinds: Counter[tuple[str, str]] = Counter()
        for tally, n in waiting.tallies.items():
            kinds[str(tally.kind), names[tally.model]] += n
        for kind, number, folded in self.rows("SELECT kind, model_id, n::int FROM calmon.tally"):
            kinds[str(kind), names[int(str(number))]] += int(str(folded))
        assert kinds == wild.tallies
        topic_of = {name: topic for topic, name in self.topics.items()}
        letters = [
            Letter(topic_of[str(topic)], int(str(partition)), int(str(offset)), str(reason))
            for topic, partition, offset, reason in self.rows(
                'SELECT topic, partition, "offset", reason FROM calmon.dead_letter'
            )
        ]
        assert sorted(letters) == wild.letters
        changes = self.rows('SELECT partition, "offset" FROM calmon.change_event ORDER BY 1, 2')
        assert changes == wild.changes
        assert self.unflushed_blocks() == 0 if flushed else self.unflushed_blocks() > 0

    def unflushed_blocks(self) -> int:
        """Durable blocks whose counts no flush has put before the watcher."""
        [(n,)] = self.rows(
            "SELECT count(*) FROM calmon.join_block b LEFT JOIN calmon.join_shard s USING (shard) "
            "WHERE b.block_id > coalesce(s.flushed_block_id, 0)"
        )
        return int(str(n))

    def _counts(self, waiting: Cells) -> dict[Cell, tuple[int, ...]]:
        """Counts of the bins and deltas, and those that wait for a flush."""
        engine = connect(self.url, name="test")
        panes = PaneStore(engine)
        while panes.fold():
            pass
        counts = {}
        for number, (model, version) in NAMES.items():
            series = [i for i, s in panes.series(model).items() if s.version == version]
            mine = waiting.take(np.isin(waiting.series, series))
            for (_, pane, late, bin_), sums in as_dict(
                Cells.merge([panes.bins(series), mine])
            ).items():
                counts[number, pane, late, bin_] = sums
        engine.dispose()
        return {cell: sums for cell, sums in counts.items() if any(sums)}


@contextmanager
def fleet(
    kafka: TestKafka,
    url: str,
    folder: Path,
    ingest: str = FAST,
    partitions: tuple[int, int] = (4, 4),
) -> Iterator[Fleet]:
    """A monitor without workers yet; those that are left at the end are killed.

    ingest: keys of the configuration's `ingest` section; partitions: of predictions and of labels.
    """
    counts = {"predictions": partitions[0], "labels": partitions[1], "changes": min(partitions)}
    topics = {name: kafka.topic(name, count) for name, count in counts.items()}
    made = Fleet(kafka, url, folder, topics, kafka.group())
    made.configure(ingest)
    try:
        yield made
    finally:
        made.close()


def wait_until(
    holds: Callable[[], bool], otherwise: Callable[[], str], timeout_s: float = GIVE_UP_S
) -> None:
    """Ask every tenth of a second; fail with what `otherwise` says when it takes too long."""
    until = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > until:
            pytest.fail(otherwise())
        time.sleep(0.1)
