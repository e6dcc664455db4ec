"""A Kafka in memory: logs, one consumer group, and a consumer that acts as kafka-python's does.

Kafka is not our code, so it may be stood in for; what it does here was read from kafka-python 3.0:
the eager protocol with range assignment, callbacks inside `poll`, an assignment that stays the old
one until the new one has come, and fetch positions that begin at Kafka's own committed offsets.
Guarantees: nothing happens by itself and nothing waits; a test decides who polls, what a poll
brings, and who falls silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kafka import TopicPartition
from kafka.errors import IllegalStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kafka import ConsumerRebalanceListener
    from kafka.errors import KafkaError
    from kafka.structs import OffsetAndMetadata

EARLIEST, LATEST = "earliest", "latest"


@dataclass(slots=True)
class MemoryRecord:
    """One message; timestamp is epoch milliseconds, -1 if none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class MemoryKafka:
    """The logs of some topics, and the group that reads them."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.logs: dict[TopicPartition, list[MemoryRecord]] = {
            TopicPartition(topic, number): []
            for topic, n in partitions.items()
            for number in range(n)
        }
        self._ends = dict.fromkeys(self.logs, 0)
        self._starts = dict.fromkeys(self.logs, 0)
        self.group = MemoryGroup(self)

    def publish(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        timestamp: int = -1,
    ) -> MemoryRecord:
        """Append a message."""
        tp = TopicPartition(topic, partition)
        record = MemoryRecord(topic, partition, self._ends[tp], timestamp, key, value)
        self.logs[tp].append(record)
        self._ends[tp] += 1
        return record

    def skip(self, topic: str, partition: int) -> None:
        """Use up an offset, as the end of a producer's transaction does."""
        self._ends[TopicPartition(topic, partition)] += 1

    def expire(self, topic: str, partition: int, before: int) -> None:
        """Retention: forget what lies before this offset."""
        tp = TopicPartition(topic, partition)
        self._starts[tp] = before
        self.logs[tp] = [record for record in self.logs[tp] if record.offset >= before]

    def start(self, tp: TopicPartition) -> int:
        """First offset that is still there."""
        return self._starts[tp]

    def end(self, tp: TopicPartition) -> int:
        """Offset of the next message."""
        return self._ends[tp]

    def numbers(self, topic: str) -> list[int]:
        """Partition numbers of a topic."""
        return sorted(tp.partition for tp in self.logs if tp.topic == topic)


class MemoryGroup:
    """The group's coordinator: a new generation begins when every member has joined it."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka
        self.generation = 0
        self.members: dict[str, MemoryConsumer] = {}
        self.committed: dict[TopicPartition, int] = {}
        self._joined: set[str] = set()
        self._assigned: dict[str, list[TopicPartition]] = {}
        self.is_joining = False

    def rebalance(self) -> None:
        """Ask every member to join again."""
        self.is_joining, self._joined = True, set()

    def remove(self, member: MemoryConsumer) -> None:
        """A member left, or was silent for longer than its session."""
        if self.members.pop(member.member_id, None) is not None:
            self.rebalance()
            self._complete()

    def join(self, member: MemoryConsumer) -> None:
        """A member asks for its part of the next generation."""
        if member.member_id not in self.members:
            self.members[member.member_id] = member
            self.rebalance()
        self._joined.add(member.member_id)
        self._complete()

    def awaits(self, member: MemoryConsumer) -> bool:
        """Whether this member has to join."""
        unknown = member.member_id not in self.members
        return unknown or (self.is_joining and member.member_id not in self._joined)

    def is_waiting(self, member: MemoryConsumer) -> bool:
        """Whether this member has joined the next generation, and others have yet to."""
        return self.is_joining and member.member_id in self._joined

    def assignment(self, member: MemoryConsumer) -> list[TopicPartition]:
        """What the newest generation gives to a member."""
        return self._assigned[member.member_id]

    def _complete(self) -> None:
        if not self.is_joining or self._joined != set(self.members):
            return
        self.is_joining = False
        self.generation += 1
        self._assigned = {member: [] for member in self.members}
        for topic in dict.fromkeys(tp.topic for tp in self._kafka.logs):
            self._range(topic)

    def _range(self, topic: str) -> None:
        """As RangePartitionAssignor: members in order of their ids, the first get one more."""
        numbers = self._kafka.numbers(topic)
        subscribed = sorted(m for m, consumer in self.members.items() if topic in consumer.topics)
        at = 0
        for i, member in enumerate(subscribed):
            n = len(numbers) // len(subscribed) + (i < len(numbers) % len(subscribed))
            self._assigned[member] += [TopicPartition(topic, p) for p in numbers[at : at + n]]
            at += n


@dataclass(slots=True)
class _Held:
    """State of one assigned partition: the fetch position, or how to find it."""

    position: int | None = None
    reset: str | None = None
    highwater: int | None = None
    is_paused: bool = False
    is_revoking: bool = False


@dataclass(slots=True)
class MemoryConsumer:
    """kafka-python's KafkaConsumer, as far as the worker uses it.

    limits: what the next polls may bring, as a number of records by partition; beyond them a poll
    is empty, while None means everything. is_silent: it does not talk to the group, neither asks
    nor hears, and goes on with what it was assigned: a process that hangs, or whose network does.
    fetched: called at the end of the next poll that brings records, once; here the world may move
    on while this member stands still. failing: what the next polls raise, in order; None: nothing.
    """

    kafka: MemoryKafka
    member_id: str
    auto_offset_reset: str = EARLIEST
    topics: tuple[str, ...] = ()
    limits: dict[TopicPartition, int] | None = None
    is_silent: bool = False
    is_closed: bool = False
    fetched: Callable[[], None] | None = None
    failing: list[KafkaError | None] = field(default_factory=list)
    _held: dict[TopicPartition, _Held] = field(default_factory=dict)
    _listener: ConsumerRebalanceListener | None = None
    _generation: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether it has what the group gives it now."""
        group = self.kafka.group
        is_member = group.members.get(self.member_id) is self and not self.is_silent
        return is_member and not group.is_joining and self._generation == group.generation

    def subscribe(
        self, topics: Sequence[str] = (), listener: ConsumerRebalanceListener | None = None
    ) -> None:
        self.topics, self._listener = tuple(topics), listener

    def poll(
        self, timeout_ms: float = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[MemoryRecord]]:
        if self.is_closed:
            raise IllegalStateError
        if timeout_ms < 0:
            raise ValueError(timeout_ms)
        if max_records is not None and max_records <= 0:
            raise ValueError(max_records)
        error = self.failing.pop(0) if self.failing else None
        if error is not None:
            raise error
        if not self.is_silent and not self._coordinate():
            return {}
        records = self._fetch(500 if max_records is None else max_records)
        if records and self.fetched is not None:
            hook, self.fetched = self.fetched, None
            hook()
        return records

    def assignment(self) -> set[TopicPartition]:
        return set(self._held)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if not isinstance(offset, int) or offset < 0:
            raise ValueError(offset)
        if partition not in self._held:
            raise ValueError(partition)
        self._held[partition].position, self._held[partition].reset = offset, None

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self._reset(partitions, EARLIEST)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        self._reset(partitions, LATEST)

    def position(self, partition: TopicPartition) -> int | None:
        self._find_positions()
        return self._state(partition).position

    def highwater(self, partition: TopicPartition) -> int | None:
        return self._state(partition).highwater

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._held[partition].is_paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._held[partition].is_paused = False

    def paused(self) -> set[TopicPartition]:
        return {tp for tp, held in self._held.items() if held.is_paused}

    def commit_async(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Kept if the group still knows this member in this generation; silently lost if not."""
        if self.is_settled:
            self.kafka.group.committed |= {tp: found.offset for tp, found in offsets.items()}

    def committed(self, partition: TopicPartition) -> int | None:
        return self.kafka.group.committed.get(partition)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(self.kafka.numbers(topic))

    def beginning_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        del timeout_ms
        return {tp: self.kafka.start(tp) for tp in partitions}

    def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        del timeout_ms
        return {tp: self.kafka.end(tp) for tp in partitions}

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:  # noqa: FBT002  # as kafka-python has it
        del autocommit, timeout_ms
        if self.is_closed:
            return
        self.is_closed = True
        if self._held:
            self._tell("on_partitions_revoked")
        self._held.clear()
        if self.kafka.group.members.get(self.member_id) is self:
            self.kafka.group.remove(self)

    def _coordinate(self) -> bool:
        """Take part in the group; whether records may be fetched now."""
        group = self.kafka.group
        if group.awaits(self):
            if self.member_id not in group.members and self._generation:
                self._tell("on_partitions_lost")
                self._held.clear()
                self._generation = 0
            else:
                # A notice only: what is assigned stays so until the next assignment has come.
                self._tell("on_partitions_revoked")
                for held in self._held.values():
                    held.is_revoking = True
            group.join(self)
        if group.is_joining:
            return False
        if self._generation != group.generation:
            self._generation = group.generation
            assigned = group.assignment(self)
            self._held = {tp: self._held.get(tp, _Held()) for tp in assigned}
            for held in self._held.values():
                held.is_revoking = False
            self._tell("on_partitions_assigned")
        return True

    def _tell(self, callback: str) -> None:
        if self._listener is not None:
            getattr(self._listener, callback)(self.assignment())

    def _fetch(self, max_records: int) -> dict[TopicPartition, list[MemoryRecord]]:
        self._find_positions()
        found: dict[TopicPartition, list[MemoryRecord]] = {}
        for tp, held in self._held.items():
            if held.is_paused or held.is_revoking or held.position is None:
                continue
            held.highwater = self.kafka.end(tp)
            n = max_records if self.limits is None else min(max_records, self.limits.get(tp, 0))
            records = [r for r in self.kafka.logs[tp] if r.offset >= held.position][:n]
            if records:
                found[tp] = records
                max_records -= len(records)
                held.position = records[-1].offset + 1
                if self.limits is not None:
                    self.limits[tp] -= len(records)
        return found

    def _find_positions(self) -> None:
        """The position of a partition without one, or whose position is out of the log's range."""
        for tp, held in self._held.items():
            start, end = self.kafka.start(tp), self.kafka.end(tp)
            if held.position is None and held.reset is None:
                held.position = self.kafka.group.committed.get(tp)
            if held.position is None or not start <= held.position <= end:
                at_end = (held.reset or self.auto_offset_reset) == LATEST
                held.position, held.reset = (end if at_end else start), None

    def _reset(self, partitions: Iterable[TopicPartition], to: str) -> None:
        for tp in partitions:
            if tp not in self._held:
                raise ValueError(tp)
            self._held[tp].position, self._held[tp].reset = None, to

    def _state(self, partition: TopicPartition) -> _Held:
        if partition not in self._held:
            raise IllegalStateError(partition)
        return self._held[partition]
