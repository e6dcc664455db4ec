"""The ingest worker: polls, counts, and commits offsets with their effects in one transaction.

Guarantees: every message is counted exactly once or stands in the dead-letter table, whatever
dies when. The order of a batch: 1 poll; 2 decode; 3 register new names (harmless alone); 4 count
in memory; 5 commit offsets, blocks, dead letters and changes together; any error between 2 and 5
throws the memory away and loads it again from the database.
Must never: trust Kafka's committed offsets, or commit after another worker took a partition.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.structs import OffsetAndMetadata

from monitor.ingest.consumer import CLOSE_TIMEOUT_MS, require_topics
from monitor.ingest.decoding import Decoding
from monitor.ingest.shard_state import ShardState
from monitor.store.engine import DatabaseUnavailable
from monitor.store.ingest import Batch
from monitor.store.positions import Advance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Event

    from kafka import KafkaConsumer

    from monitor.ingest.decoding import Record
    from monitor.ingest.series_book import SeriesBook
    from monitor.ingest.shard_state import Topics
    from monitor.store.ingest import Flush, IngestStore
    from monitor.store.positions import Position

log = structlog.get_logger(__name__)

FLUSH_BATCHES = 64
EVICT_FLUSHES = 100
MAX_LOGGED = 5
JOIN_POLL = timedelta(seconds=1)
"""Poll of a worker without partitions: a client that polls for less may take long to join."""
RETRY_AFTER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How one worker reads. start_from: `earliest` or `latest`, for a topic never read before."""

    topics: Topics
    owner: str
    start_from: str = "earliest"
    max_future_skew: timedelta = timedelta(minutes=5)
    batch_events: int = 20_000
    flush_every: timedelta = timedelta(seconds=2)
    poll_timeout: timedelta = timedelta(milliseconds=200)
    linger: timedelta = timedelta(milliseconds=100)


class Worker:
    """One member of the consumer group; `run` returns when asked to stop."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        store: IngestStore,
        book: SeriesBook,
        settings: WorkerSettings,
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._book = book
        self._decoding = Decoding(book, store.hash_seed(), settings.max_future_skew)
        self._settings = settings
        self._listener = _Rebalances()
        self._seen_rebalances = -1
        self._state: ShardState | None = None
        self._positions: dict[TopicPartition, Position] = {}
        self._batches_since_flush = 0
        self._flushes = 0
        self._flushed_at = time.monotonic()
        require_topics(consumer, settings.topics.names)
        consumer.subscribe(list(settings.topics.names), listener=self._listener)

    def run(self, stop: Event) -> None:
        """Work until `stop` is set; raises Fenced when another worker took over."""
        try:
            while not stop.is_set():
                try:
                    self.step()
                except DatabaseUnavailable as error:
                    self._pause(str(error))
            self.flush()
        finally:
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)

    @property
    def rows(self) -> int:
        """Predictions, and labels that wait for theirs, held in memory."""
        return 0 if self._state is None else len(self._state)

    def flush(self, *, evict: bool = False) -> None:
        """Put what is counted where the watcher sees it; `evict` forgets what nothing can touch."""
        if self._state is not None:
            flush = self._take_flush(self._state, evict=evict)
            self._commit({}, Batch((), flush=flush), _now())

    def step(self) -> int:
        """Poll once and commit what came; returns the number of messages counted."""
        polled = self._poll()
        polled_at = _now()
        if self._listener.count != self._seen_rebalances or self._state is None:
            # What was polled may start anywhere: it is fetched again from the stored offsets.
            self._take_over()
            return 0
        fresh = {
            partition: [r for r in records if r.offset >= self._next_offset(partition)]
            for partition, records in polled.items()
        }
        fresh = {partition: records for partition, records in fresh.items() if records}
        try:
            if fresh:
                self._count(self._state, fresh, polled_at)
            elif self._flush_is_due():
                self.flush()
        except BaseException:
            self._state = None
            raise
        return sum(map(len, fresh.values()))

    def _poll(self) -> dict[TopicPartition, list[Record]]:
        """Records by partition: one transaction is worth many fetches."""
        wanted = self._settings.batch_events
        polled: dict[TopicPartition, list[Record]] = {}
        wait = self._settings.poll_timeout if self._state is not None else JOIN_POLL
        until = time.monotonic() + self._settings.linger.total_seconds()
        while wanted > 0:
            wait_ms = int(wait.total_seconds() * 1000)
            more = self._consumer.poll(timeout_ms=wait_ms, max_records=wanted)
            for partition, records in more.items():
                polled.setdefault(partition, []).extend(records)
                wanted -= len(records)
            wait = timedelta(seconds=until - time.monotonic())
            if not more or wait <= timedelta():
                break
        return polled

    def _count(
        self,
        state: ShardState,
        fresh: Mapping[TopicPartition, list[Record]],
        polled_at: datetime,
    ) -> None:
        topics = self._settings.topics
        by_topic: dict[str, list[Record]] = {name: [] for name in topics.names}
        for partition, records in fresh.items():
            by_topic[partition.topic] += records
        decoded = self._decoding.decode(
            by_topic[topics.predictions], by_topic[topics.labels], by_topic[topics.changes]
        )
        blocks = state.count(decoded)
        self._batches_since_flush += 1
        flush = self._take_flush(state) if self._flush_is_due() else None
        batch = Batch((), blocks, decoded.dead_letters, decoded.changes, flush)
        self._commit(fresh, batch, polled_at)
        for letter in decoded.dead_letters[:MAX_LOGGED]:
            log.warning(
                "dead letter",
                topic=letter.topic,
                partition=letter.partition,
                offset=letter.offset,
                reason=letter.reason,
            )

    def _commit(
        self, fresh: Mapping[TopicPartition, list[Record]], content: Batch, polled_at: datetime
    ) -> None:
        """Commit `content` with the moves of the partitions; a flush asserts every partition."""
        flushed = content.flush is not None
        moved = self._positions if flushed else fresh
        advances = [
            replace(self._advance(tp, fresh.get(tp, []), polled_at), flushed=flushed)
            for tp in moved
        ]
        after = self._store.commit(replace(content, advances=advances))
        self._positions.update({TopicPartition(p.topic, p.partition): p for p in after})
        if content.flush is not None:
            # Kafka's own offsets serve lag tools only; nothing here ever reads them.
            self._consumer.commit_async(
                {
                    TopicPartition(p.topic, p.partition): OffsetAndMetadata(p.next_offset, "", -1)
                    for p in after
                    if p.next_offset is not None
                }
            )

    def _advance(
        self, partition: TopicPartition, records: list[Record], polled_at: datetime
    ) -> Advance:
        position = self._positions[partition]
        next_offset = records[-1].offset + 1 if records else position.next_offset
        end = self._consumer.highwater(partition)
        through_at = None
        if end is not None and (next_offset or 0) >= end:
            through_at = polled_at
        elif records and records[-1].timestamp >= 0:
            through_at = datetime.fromtimestamp(records[-1].timestamp / 1000, UTC)
        watermarks = position.watermarks
        if records and self._state is not None:
            watermarks = self._state.watermarks(partition.topic, partition.partition)
        return Advance(position, next_offset, watermarks, through_at)

    def _next_offset(self, partition: TopicPartition) -> int:
        return self._positions[partition].next_offset or 0

    def _flush_is_due(self) -> bool:
        waited = time.monotonic() - self._flushed_at
        return (
            self._batches_since_flush >= FLUSH_BATCHES
            or waited >= self._settings.flush_every.total_seconds()
        )

    def _take_flush(self, state: ShardState, *, evict: bool = False) -> Flush:
        self._batches_since_flush = 0
        self._flushed_at = time.monotonic()
        self._flushes += 1
        return state.flush(evict=evict or self._flushes % EVICT_FLUSHES == 0)

    def _take_over(self) -> None:
        """Own what the group assigned: raise the epochs, load the state, go to the offsets."""
        self._state = None
        rebalances = self._listener.count
        assigned = self._consumer.assignment()
        positions = self._store.acquire(
            self._settings.owner, [(tp.topic, tp.partition) for tp in assigned]
        )
        self._positions = {TopicPartition(p.topic, p.partition): p for p in positions}
        for partition, position in self._positions.items():
            if position.next_offset is not None:
                self._consumer.seek(partition, position.next_offset)
            elif self._settings.start_from == "latest":
                self._consumer.seek_to_end(partition)
            else:
                self._consumer.seek_to_beginning(partition)
        if assigned:
            self._state = ShardState(self._store, self._book, self._settings.topics, positions)
            log.info("assigned", partitions=len(assigned), rows=len(self._state))
        self._seen_rebalances = rebalances

    def _pause(self, why: str) -> None:
        """Wait for the database without losing the place in the group."""
        log.error("database unavailable, counting is paused", error=why)
        self._state = None
        self._consumer.pause(*self._consumer.assignment())
        self._consumer.poll(timeout_ms=int(RETRY_AFTER.total_seconds() * 1000))
        self._consumer.resume(*self._consumer.paused())


def _now() -> datetime:
    return datetime.now(UTC)


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """Counts changes of assignment; the worker compares, because callbacks must return at once."""

    def __init__(self) -> None:
        self.count = 0

    def on_partitions_revoked(self, revoked: object) -> None:
        """Note that what is held is no longer ours."""
        del revoked
        self.count += 1

    def on_partitions_assigned(self, assigned: object) -> None:
        """Note a new assignment."""
        del assigned
        self.count += 1
