"""The ingest half of the product against servers, step by step, for tests that interrupt it."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.ingest.consumer import open_consumer
from monitor.ingest.replay import producer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.store.ingest import IngestStore
from monitor.store.panes import PaneStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from sqlalchemy import Engine

    from monitor.core.policies import Policy
    from tests.servers import TestKafka

GIVE_UP_S = 90


@dataclass(frozen=True)
class Pipeline:
    """Topics of one test, its database, and the policies in force."""

    kafka: TestKafka
    engine: Engine
    topics: Topics
    group: str
    policy_for: Callable[[str], Policy | None]

    @classmethod
    def on(
        cls,
        kafka: TestKafka,
        engine: Engine,
        policy_for: Callable[[str], Policy | None],
        partitions: int = 4,
    ) -> Pipeline:
        names = [kafka.topic(name, partitions) for name in ("predictions", "labels", "changes")]
        return cls(kafka, engine, Topics(*names), kafka.group(), policy_for)

    def publish(self, messages: Sequence[tuple[str, str, bytes]]) -> None:
        """Send (topic kind, key, value) in this order within each partition."""
        names = dict(zip(("predictions", "labels", "changes"), self.topics.names, strict=True))
        server = self.kafka.server
        sender = producer(server.bootstrap, api_version=server.api_version)
        for kind, key, value in messages:
            sender.send(names[kind], key=key.encode(), value=value)
        sender.flush()
        sender.close()

    @contextmanager
    def worker(self, flush_every: timedelta, batch_events: int = 20_000) -> Iterator[Worker]:
        """A worker that is dropped at the end without a word, as a crash would."""
        server = self.kafka.server
        options: dict[str, object] = {"bootstrap_servers": [server.bootstrap]}
        if server.api_version is not None:
            options["api_version"] = server.api_version
        store = IngestStore(self.engine)
        # The mock cluster keeps a member that left until its session ends; with the offsets in
        # Postgres another group is as good as the same one.
        mock = server.api_version is not None
        group = self.kafka.group(uuid.uuid4().hex[:6]) if mock else self.group
        consumer = open_consumer(options, group, batch_events)
        settings = WorkerSettings(
            self.topics, "test", batch_events=batch_events, flush_every=flush_every
        )
        try:
            yield Worker(consumer, store, SeriesBook(store, self.policy_for), settings)
        finally:
            consumer.close(autocommit=False, timeout_ms=300)

    @property
    def panes(self) -> PaneStore:
        return PaneStore(self.engine)

    def drain(self, worker: Worker, total: int) -> None:
        """Take over, work until `total` messages are counted in this database, and flush."""
        until = time.monotonic() + GIVE_UP_S
        while self.panes.messages() < total or not worker.rows:
            assert time.monotonic() < until, f"{self.panes.messages()} of {total} counted"
            worker.step()
        worker.flush()
