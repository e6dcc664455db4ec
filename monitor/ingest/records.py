"""Records of Kafka as far as they are used, and as dead letters.

Guarantees: a dead letter holds at most MAX_BYTES of a record, and a time only where one can be
meant. Must never: read a record's content.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from monitor.ingest.formats import MAX_BYTES, NEWEST_MS
from monitor.store.ingest import DeadLetter

if TYPE_CHECKING:
    from monitor.ingest.formats import Refusal


class Record(Protocol):
    """What is used of a consumer's record; timestamp is epoch milliseconds, negative if none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def dead_letter(record: Record, refusal: Refusal) -> DeadLetter:
    """The record with the reason it cannot be used; at most MAX_BYTES of it are kept."""
    return DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        refusal.reason,
        refusal.detail.replace("\x00", "\\0"),
        None if record.key is None else record.key[:MAX_BYTES],
        None if record.value is None else record.value[:MAX_BYTES],
        published_at(record),
    )


def published_at(record: Record) -> datetime | None:
    """Kafka's time of a record; None where there is none, or one that cannot be meant."""
    if not 0 <= record.timestamp <= NEWEST_MS:
        return None
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)
