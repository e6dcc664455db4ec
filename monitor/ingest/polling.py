"""Polling: as many records as one transaction is worth, by partition.

Guarantees: records of a partition are in the order of their offsets, and none lies before the
offset at which counting stands. Must never: wait longer than it was told to.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from kafka import KafkaConsumer, TopicPartition

    from monitor.ingest.records import Record
    from monitor.store.positions import Position


def poll(
    consumer: KafkaConsumer, most: int, first_wait: timedelta, linger: timedelta
) -> dict[TopicPartition, list[Record]]:
    """Up to `most` records, or what comes in `linger` after the first; nothing after `first_wait`.

    Raises NoOffsetForPartitionError and OffsetOutOfRangeError of the client.
    """
    polled: dict[TopicPartition, list[Record]] = {}
    wait_s = first_wait.total_seconds()
    until_s = time.monotonic() + linger.total_seconds()
    while most > 0:
        more = consumer.poll(timeout_ms=int(wait_s * 1000), max_records=most)
        for partition, records in more.items():
            polled.setdefault(partition, []).extend(records)
            most -= len(records)
        wait_s = until_s - time.monotonic()
        if not more or wait_s <= 0:
            break
    return polled


def fresh(
    polled: Mapping[TopicPartition, list[Record]], positions: Mapping[TopicPartition, Position]
) -> dict[TopicPartition, list[Record]]:
    """What was not counted before; a client may hand out what lies before the offset sought."""
    found = {}
    for partition, records in polled.items():
        start = positions[partition].next_offset or 0
        if records[0].offset >= start:
            found[partition] = records
        elif records[-1].offset >= start:
            found[partition] = [record for record in records if record.offset >= start]
    return found
