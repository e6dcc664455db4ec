"""The consumer, as the worker needs it.

Guarantees: nothing is committed to Kafka by itself, and a partition begins where the worker says.
Must never: hand out records of a batch that failed its checksum.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from monitor.ingest.faults import KafkaUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


SESSION_TIMEOUT = timedelta(seconds=15)
CLOSE_TIMEOUT_MS = 3_000
"""Leaving the group is a courtesy; a broker that does not answer must not hold up the end."""


def open_consumer(
    options: Mapping[str, object],
    group: str,
    batch_events: int,
    session_timeout: timedelta = SESSION_TIMEOUT,
    *,
    without_offset: str = "none",
) -> KafkaConsumer:
    """Member of the group, not yet subscribed; range assignment keeps matching partitions together.

    options: connection settings of kafka-python; session_timeout: how long a killed member keeps
    its partitions from the others; without_offset: where a caller that does not seek begins
    (`earliest`, `latest`). Raises KafkaUnavailable.
    """
    session_ms = int(session_timeout.total_seconds() * 1000)
    try:
        return KafkaConsumer(
            group_id=group,
            enable_auto_commit=False,
            # The worker seeks; a client that chose an offset would lose or double messages.
            auto_offset_reset=without_offset,
            max_poll_records=min(batch_events, 5000),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=min(3000, session_ms // 3),
            partition_assignment_strategy=[RangePartitionAssignor],
            **options,
        )
    except KafkaError as error:
        servers = options.get("bootstrap_servers")
        msg = f"no Kafka answers at {servers}: {error}; check CALMON_KAFKA_BOOTSTRAP"
        raise KafkaUnavailable(msg) from error


def require_topics(consumer: KafkaConsumer, names: Iterable[str]) -> None:
    """Raise KafkaUnavailable for a topic that does not exist.

    It also makes the client learn the partitions before it joins its group: one that joins without
    knowing them is given none, and keeps none until its metadata is refreshed minutes later.
    """
    missing = [name for name in names if not consumer.partitions_for_topic(name)]
    if missing:
        msg = (
            f"no topic {', '.join(missing)} in Kafka: create it, with as many partitions for "
            "labels as for predictions, or correct `topics` in the configuration"
        )
        raise KafkaUnavailable(msg)


def passes(error: KafkaError) -> bool:
    """Whether waiting can mend it: a broker that is away, or moves; not a refusal."""
    return bool(error.retriable)


def tell_offsets(consumer: KafkaConsumer, offsets: Iterable[tuple[str, int, int | None]]) -> None:
    """Commit (topic, partition, next offset) to Kafka, for lag tools; nothing here reads them."""
    consumer.commit_async(
        {
            TopicPartition(topic, partition): OffsetAndMetadata(next_offset, "", -1)
            for topic, partition, next_offset in offsets
            if next_offset is not None
        }
    )
