"""Taking over partitions: where counting stands, and whether Kafka still has what comes next.

Guarantees: reading begins at the stored offset of every partition or not at all; messages that are
gone stop the worker, or are written down as a gap if the configuration says so. Must never: let the
client choose an offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import structlog
from kafka import TopicPartition

from monitor.core.counting.join_rows import MAX_SHARDS
from monitor.ingest.faults import KafkaUnavailable, MessagesLost, UnequalPartitions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from kafka import KafkaConsumer

    from monitor.ingest.shard_state import Topics
    from monitor.store.ingest import IngestStore
    from monitor.store.positions import Position

log = structlog.get_logger(__name__)

OnLostMessages = Literal["stop", "record_gap"]

OFFSETS_TIMEOUT_MS = 3_000
"""By itself the client would ask for ever; a worker that is told to stop must hear it meanwhile."""


def owns_pairs(consumer: KafkaConsumer, topics: Topics) -> bool:
    """Whether a prediction's label always comes to the worker that has the prediction.

    That is so where both topics' assigned partitions have the same numbers, or all are assigned.
    Raises KafkaUnavailable for more partitions than are kept.
    """
    of_predictions = consumer.partitions_for_topic(topics.predictions) or set()
    of_labels = consumer.partitions_for_topic(topics.labels) or set()
    if max(len(of_predictions), len(of_labels)) > MAX_SHARDS:
        msg = f"a topic has more than {MAX_SHARDS} partitions; use fewer"
        raise KafkaUnavailable(msg)
    assigned = consumer.assignment()
    everything = {TopicPartition(topics.predictions, p) for p in of_predictions}
    everything |= {TopicPartition(topics.labels, p) for p in of_labels}
    mine = {
        topic: {tp.partition for tp in assigned if tp.topic == topic}
        for topic in (topics.predictions, topics.labels)
    }
    matched = of_predictions == of_labels and mine[topics.predictions] == mine[topics.labels]
    return matched or everything <= set(assigned)


def has_equal_partitions(consumer: KafkaConsumer, topics: Topics) -> bool:
    """Whether predictions and labels have the same numbers of partitions, as far as is known."""
    one, other = (consumer.partitions_for_topic(t) for t in (topics.predictions, topics.labels))
    return bool(one == other)


def unequal(consumer: KafkaConsumer, topics: Topics) -> UnequalPartitions:
    """What to tell the second worker."""
    one, other = (
        len(consumer.partitions_for_topic(topic) or ())
        for topic in (topics.predictions, topics.labels)
    )
    return UnequalPartitions(
        f"topics {topics.predictions} and {topics.labels} have different numbers of partitions "
        f"({one} and {other}), so only one worker can join them: stop the others, or give both "
        "topics the same number of partitions"
    )


def seek_to_stored(
    consumer: KafkaConsumer,
    store: IngestStore,
    positions: Sequence[Position],
    *,
    start_from: str,
    on_lost: OnLostMessages,
) -> list[Position]:
    """Go to the stored offset of every partition; returns where counting goes on.

    Raises MessagesLost when messages are gone and the configuration says to stop, KafkaError when
    Kafka does not answer.
    """
    partitions = [TopicPartition(p.topic, p.partition) for p in positions]
    first = consumer.beginning_offsets(partitions, timeout_ms=OFFSETS_TIMEOUT_MS)
    last = consumer.end_offsets(partitions, timeout_ms=OFFSETS_TIMEOUT_MS)
    checked = [_checked(p, first, last, on_lost, store) for p in positions]
    for position, partition in zip(checked, partitions, strict=True):
        start = (first if start_from == "earliest" else last)[partition]
        consumer.seek(partition, start if position.next_offset is None else position.next_offset)
    return checked


def _checked(
    position: Position,
    first: Mapping[TopicPartition, int],
    last: Mapping[TopicPartition, int],
    on_lost: OnLostMessages,
    store: IngestStore,
) -> Position:
    partition = TopicPartition(position.topic, position.partition)
    at = position.next_offset
    if at is None or first[partition] <= at <= last[partition]:
        return position
    deleted = at < first[partition]
    place = f"{position.topic} partition {position.partition}"
    if on_lost == "stop":
        what = (
            f"messages {at} to {first[partition] - 1} were deleted by Kafka before they were "
            "counted; raise the topic's retention, and"
            if deleted
            else f"it ends at offset {last[partition]}, but counting stands at {at}: was the topic "
            "deleted and made again? If so,"
        )
        msg = f"{place}: {what} set `ingest.on_lost_messages: record_gap` to note this and go on"
        raise MessagesLost(msg)
    reason = "retention" if deleted else "recreated"
    gap = {"from_offset": at, "to_offset": first[partition], "reason": reason}
    log.error("messages are gone", topic=position.topic, partition=position.partition, **gap)
    return store.record_gap(position, first[partition], reason)


def lag(
    consumer: KafkaConsumer, kinds: Mapping[str, str], positions: Collection[Position]
) -> dict[str, int]:
    """Messages published and not yet counted, by kind of topic, as far as the client knows."""
    behind = dict.fromkeys(kinds.values(), 0)
    for position in positions:
        end = consumer.highwater(TopicPartition(position.topic, position.partition))
        if end is not None and position.next_offset is not None:
            behind[kinds[position.topic]] += max(0, end - position.next_offset)
    return behind
