"""The ingest worker: polls, counts, and commits offsets with their effects in one transaction.

Guarantees: every message is counted exactly once or stands in the dead-letter table, whatever
dies when. The order of a batch: 1 poll; 2 decode; 3 register new names (harmless alone); 4 count
in memory; 5 commit offsets, blocks, dead letters and changes together, while the next batch is
polled and counted; any error between 2 and 5 throws the memory away and loads it again.
Must never: trust Kafka's committed offsets, or commit after another worker took a partition.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from monitor.ingest.committing import Committing
from monitor.ingest.consumer import (
    CLOSE_TIMEOUT_MS,
    passes,
    require_topics,
    tell_offsets,
)
from monitor.ingest.decoding import Decoding
from monitor.ingest.faults import KafkaUnavailable
from monitor.ingest.flushing import FlushCadence
from monitor.ingest.polling import fresh, poll
from monitor.ingest.rebalances import Rebalances
from monitor.ingest.records import published_at
from monitor.ingest.reporting import Reporting, UnderWay
from monitor.ingest.shard_state import ShardState
from monitor.ingest.taking_over import (
    OnLostMessages,
    has_equal_partitions,
    lag,
    owns_pairs,
    seek_to_stored,
    unequal,
)
from monitor.store.engine import DatabaseUnavailable
from monitor.store.ingest import Batch
from monitor.store.positions import Advance, Fenced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from threading import Event

    from kafka import KafkaConsumer

    from monitor.ingest.observed import Observer
    from monitor.ingest.records import Record
    from monitor.ingest.series_book import SeriesBook
    from monitor.ingest.shard_state import Topics
    from monitor.store.ingest import Flush, IngestStore
    from monitor.store.positions import Position

log = structlog.get_logger(__name__)

JOIN_POLL = timedelta(seconds=1)
"""Poll of a worker without partitions: a client that polls for less may take long to join."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How one worker reads. start_from: `earliest` or `latest`, for a topic never read before."""

    topics: Topics
    owner: str
    start_from: str = "earliest"
    on_lost_messages: OnLostMessages = "stop"
    max_future_skew: timedelta = timedelta(minutes=5)
    batch_events: int = 20_000
    flush_every: timedelta = timedelta(seconds=2)
    poll_timeout: timedelta = timedelta(milliseconds=200)
    linger: timedelta = timedelta(milliseconds=100)
    retry_after: timedelta = timedelta(seconds=1)


class Worker:
    """One member of the consumer group; `run` returns when asked to stop.

    What is in memory runs ahead of the database by the batch under way, and by no more.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        store: IngestStore,
        book: SeriesBook,
        settings: WorkerSettings,
        observer: Observer | None = None,
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._book = book
        self._decoding = Decoding(book, store.hash_seed(), settings.max_future_skew)
        self._settings = settings
        self._reporting = Reporting(settings.topics, observer)
        self._committing = Committing(store)
        self._listener = Rebalances(self._committing)
        self._seen_rebalances = -1
        self._state: ShardState | None = None
        self._owned_pairs = False
        self._positions: dict[TopicPartition, Position] = {}
        self._under_way: UnderWay | None = None
        self._cadence = FlushCadence(settings.flush_every, time.monotonic())
        # In this order: a client that learns the partitions after it joined joins a second time.
        consumer.subscribe(list(settings.topics.names), listener=self._listener)
        require_topics(consumer, settings.topics.names)

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Raises Fenced when another worker took over, MessagesLost and UnequalPartitions.
        """
        try:
            while not stop.is_set():
                try:
                    self.step()
                except DatabaseUnavailable as error:
                    self._pause(str(error), stop)
            self._finish()
        except Fenced:
            self._reporting.fenced()
            raise
        finally:
            self._committing.close()
            self._reporting.close()
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)

    @property
    def rows(self) -> int:
        """Predictions, and labels that wait for theirs, held in memory."""
        return 0 if self._state is None else len(self._state)

    def flush(self, *, evict: bool = False) -> None:
        """Put what is counted where the watcher sees it, and wait until it is there.

        `evict` forgets what no event can touch any more.
        """
        if self._listener.holding:
            self._flush_now(evict=evict)

    def step(self) -> int:
        """Poll once, count what came and begin to commit it; returns the messages counted."""
        settings = self._settings
        is_working = self._state is not None and self._listener.holding
        wait = settings.poll_timeout if is_working else JOIN_POLL
        polled = self._poll(settings.batch_events, wait, settings.linger)
        polled_at = _now()
        with self._in_memory():
            if not self._listener.holding:
                # Nothing may be counted. What was may yet be flushed, if this is the end, unless
                # the group has taken the partitions away.
                if not self._consumer.assignment():
                    self._lose()
                return 0
            if self._listener.count != self._seen_rebalances:
                self._lose()
            if self._state is None:
                # What was polled may start anywhere: it is fetched again from the stored offsets.
                self._take_over()
                return 0
            new = fresh(polled, self._positions)
            if new:
                self._count(self._state, new, polled_at)
            elif self._flush_is_due():
                self.flush()
            else:
                self._settle(wait_for_it=False)
        return sum(map(len, new.values()))

    def _poll(
        self, most: int, wait: timedelta, linger: timedelta
    ) -> dict[TopicPartition, list[Record]]:
        """Records by partition; none while Kafka is away."""
        try:
            return poll(self._consumer, most, wait, linger)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            # Taking over goes to the stored offsets, or says which messages are gone.
            self._seen_rebalances = -1
        except KafkaError as error:
            if not passes(error):
                msg = f"Kafka refuses to be read: {error}"
                raise KafkaUnavailable(msg) from error
            self._reporting.kafka_away(str(error))
            self._seek_back()
            time.sleep(self._settings.retry_after.total_seconds())
        return {}

    def _seek_back(self) -> None:
        """Go where counting stands: the client may have handed out more before it failed."""
        if self._state is None or self._listener.count != self._seen_rebalances:
            return  # taking over comes first, and seeks
        offsets = {tp: position.next_offset for tp, position in self._positions.items()}
        if None in offsets.values():
            self._seen_rebalances = -1
            return
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)

    def _count(
        self,
        state: ShardState,
        new: Mapping[TopicPartition, list[Record]],
        polled_at: datetime,
    ) -> None:
        ended_s = time.monotonic()
        topics = self._settings.topics
        by_topic: dict[str, list[Record]] = {name: [] for name in topics.names}
        for partition, records in new.items():
            by_topic[partition.topic] += records
        decoded = self._decoding.decode(
            by_topic[topics.predictions], by_topic[topics.labels], by_topic[topics.changes]
        )
        counted = state.count(decoded)
        self._cadence.counted()
        flush = self._take_flush(state) if self._flush_is_due() else None
        batch = Batch((), counted.blocks, decoded.dead_letters, decoded.changes, flush)
        messages = {self._reporting.kinds[name]: len(records) for name, records in by_topic.items()}
        self._settle()
        self._begin(new, batch, polled_at)
        self._under_way = UnderWay(ended_s, messages, counted)

    def _begin(
        self, new: Mapping[TopicPartition, list[Record]], content: Batch, polled_at: datetime
    ) -> None:
        """Begin to commit `content` with the partitions' moves; a flush asserts every partition."""
        flushed = content.flush is not None
        moved = self._positions if flushed else new
        advances = [
            replace(self._advance(tp, new.get(tp, []), polled_at), flushed=flushed) for tp in moved
        ]
        for partition, advance in zip(moved, advances, strict=True):
            self._positions[partition] = advance.after
        self._committing.begin(replace(content, advances=advances))

    def _settle(self, *, wait_for_it: bool = True) -> None:
        """Take note of the commit under way; raises what it raised."""
        done = self._committing.settle(wait_for_it=wait_for_it)
        if done is None:
            return
        under_way, self._under_way = self._under_way, None
        if done.batch.flush is not None:
            moves = [
                (a.position.topic, a.position.partition, a.next_offset) for a in done.batch.advances
            ]
            tell_offsets(self._consumer, moves)
        behind = lag(self._consumer, self._reporting.kinds, self._positions.values())
        self._reporting.committed(done, under_way, behind, self.rows)

    def _advance(
        self, partition: TopicPartition, records: list[Record], polled_at: datetime
    ) -> Advance:
        position = self._positions[partition]
        next_offset = records[-1].offset + 1 if records else position.next_offset
        end = self._consumer.highwater(partition)
        through_at = None
        if end is not None and (next_offset or 0) >= end:
            through_at = polled_at
        elif records:
            through_at = published_at(records[-1])
        watermarks = position.watermarks
        if records and self._state is not None:
            watermarks = self._state.watermarks(partition.topic, partition.partition)
        return Advance(position, next_offset, watermarks, through_at)

    def _flush_now(self, *, evict: bool = False) -> None:
        with self._in_memory():
            self._settle()
            if self._state is not None:
                flush = self._take_flush(self._state, evict=evict)
                self._begin({}, Batch((), flush=flush), _now())
                self._settle()

    def _flush_is_due(self) -> bool:
        waiting = 0 if self._state is None else self._state.unflushed
        return self._cadence.is_due(waiting, time.monotonic())

    def _take_flush(self, state: ShardState, *, evict: bool = False) -> Flush:
        self._cadence.flushed(time.monotonic())
        evict = evict or (self._cadence.is_time_to_forget and state.is_worth_forgetting())
        return state.flush(evict=evict)

    def _take_over(self) -> None:
        """Own what the group assigned: raise the epochs, load the state, go to the offsets."""
        rebalances = self._listener.count
        topics, settings = self._settings.topics, self._settings
        if not owns_pairs(self._consumer, topics):
            if has_equal_partitions(self._consumer, topics):
                # An assignment made while the group's leader did not know all partitions yet.
                log.warning("partitions do not match, the group shares them out again")
                return
            if not self._owned_pairs:
                raise unequal(self._consumer, topics)
            log.error(
                "waiting for the other worker to stop", why=str(unequal(self._consumer, topics))
            )
            return
        self._owned_pairs = True
        assigned = self._consumer.assignment()
        positions = self._store.acquire(
            settings.owner, [(tp.topic, tp.partition) for tp in assigned]
        )
        # Others may have registered names that stand in the blocks; from here on they cannot.
        self._book.refresh()
        try:
            positions = seek_to_stored(
                self._consumer,
                self._store,
                positions,
                start_from=settings.start_from,
                on_lost=settings.on_lost_messages,
            )
        except KafkaError as error:
            log.warning("Kafka does not tell its offsets, it is asked again", error=str(error))
            return
        self._positions = {TopicPartition(p.topic, p.partition): p for p in positions}
        if assigned:
            self._state = ShardState(self._store, self._book, topics, positions)
            self._reporting.assigned(len(assigned), self.rows)
        else:
            self._reporting.standing_by()
        self._seen_rebalances = rebalances

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        """What is in memory holds if the block ends well; else it is thrown away."""
        try:
            yield
        except BaseException:
            self._lose()
            raise

    def _lose(self) -> None:
        """Throw the memory away. How a commit under way ends is read from the database."""
        self._state = None
        self._under_way = None
        self._committing.forget()

    def _pause(self, why: str, stop: Event) -> None:
        """Wait for the database without losing the place in the group."""
        self._reporting.paused(why)
        self._consumer.pause(*self._consumer.assignment())
        if not stop.is_set():
            self._poll(1, self._settings.retry_after, timedelta())
        self._consumer.resume(*self._consumer.paused())

    def _finish(self) -> None:
        """Flush before the end; where that cannot be, nothing is lost, and another goes on.

        Also while partitions move: until another has taken them over nobody else would, and where
        one has, the database refuses it.
        """
        try:
            self._flush_now()
        except DatabaseUnavailable as error:
            log.warning("database unavailable at the end, the next start goes on", error=str(error))
        except Fenced as error:
            log.info("taken over while it ended, the other worker goes on", why=str(error))


def _now() -> datetime:
    return datetime.now(UTC)
