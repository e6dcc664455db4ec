"""Where counting of each Kafka partition stands, and the only statement that moves it.

Guarantees: a move names the expected old offset and the owner's epoch; if any partition of a move
is elsewhere or belongs to another, Fenced is raised and the transaction around it must end.
Must never: move a partition twice for one event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, TIMESTAMP, BigInteger, Boolean, Integer, Text, bindparam, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row


class Fenced(Exception):  # noqa: N818  # a state that ends the worker, not a fault
    """Another worker owns a partition now, or this one is not where it thinks it is."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where counting of one partition stands. watermarks: newest event ms by model index."""

    topic: str
    partition: int
    next_offset: int | None
    epoch: int
    watermarks: dict[int, int]


@dataclass(frozen=True, slots=True)
class Advance:
    """A partition's move from `position` to `next_offset`.

    counted_through_at: publishing time that it is read through, known with a flush alone: until
    then the counts are not where the watcher could see them. flushed: this move is with a flush.
    """

    position: Position
    next_offset: int | None
    watermarks: dict[int, int]
    counted_through_at: datetime | None
    flushed: bool = False

    @property
    def after(self) -> Position:
        """The position once this move is committed."""
        return replace(self.position, next_offset=self.next_offset, watermarks=self.watermarks)


_ADVANCE = text(
    """
    UPDATE calmon.ingest_partition p
    SET next_offset = a.new_offset, watermarks = a.watermarks::jsonb,
        counted = CASE WHEN a.flushed THEN a.watermarks::jsonb ELSE p.counted END,
        counted_through_at = CASE WHEN a.flushed
            THEN coalesce(a.counted_through_at, p.counted_through_at)
            ELSE p.counted_through_at END
    FROM unnest(:topic, :partition, :epoch, :old_offset, :new_offset, :watermarks,
                :counted_through_at, :flushed)
         AS a(topic, partition, epoch, old_offset, new_offset, watermarks, counted_through_at,
              flushed)
    WHERE p.topic = a.topic AND p.partition = a.partition AND p.epoch = a.epoch
      AND p.next_offset IS NOT DISTINCT FROM a.old_offset
    """
).bindparams(
    bindparam("topic", type_=ARRAY(Text)),
    bindparam("partition", type_=ARRAY(Integer)),
    bindparam("epoch", type_=ARRAY(BigInteger)),
    bindparam("old_offset", type_=ARRAY(BigInteger)),
    bindparam("new_offset", type_=ARRAY(BigInteger)),
    bindparam("watermarks", type_=ARRAY(Text)),
    bindparam("counted_through_at", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("flushed", type_=ARRAY(Boolean)),
)


def advance(connection: Connection, advances: Sequence[Advance]) -> None:
    """Move all these partitions, or raise Fenced."""
    if not advances:
        return
    done = connection.execute(
        _ADVANCE,
        {
            "topic": [a.position.topic for a in advances],
            "partition": [a.position.partition for a in advances],
            "epoch": [a.position.epoch for a in advances],
            "old_offset": [a.position.next_offset for a in advances],
            "new_offset": [a.next_offset for a in advances],
            "watermarks": [_json_text(a.watermarks) for a in advances],
            "counted_through_at": [a.counted_through_at for a in advances],
            "flushed": [a.flushed for a in advances],
        },
    )
    if done.rowcount != len(advances):
        lost = len(advances) - done.rowcount
        msg = f"{lost} of {len(advances)} partitions belong to another worker now"
        raise Fenced(msg)


def _json_text(watermarks: Mapping[int, int]) -> str:
    return "{" + ",".join(f'"{model}":{ms}' for model, ms in watermarks.items()) + "}"


def by_number(stored: Mapping[str, int]) -> dict[int, int]:
    """Times by model index from their stored form, whose keys are text."""
    return {int(model): int(ms) for model, ms in stored.items()}


def position_of(row: Row[tuple[object, ...]]) -> Position:
    """Position from a row of ingest_partition."""
    return Position(row.topic, row.partition, row.next_offset, row.epoch, by_number(row.watermarks))
