"""Event time: how far a model's streams can be judged now.

Guarantees: never later than what has been read, so that a pane is not sealed while its labels
still wait in Kafka. Must never: read the wall clock; it is an argument.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.store.panes import Reading, SeenModel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

IDLE_AFTER = timedelta(seconds=10)
"""Wall-clock time after a model's first event from which a partition without any of it is idle."""


class Clock(StrEnum):
    """wall: the wall clock, held back to what was read; event: the events' own time."""

    WALL = "wall"
    EVENT = "event"


def model_now(
    clock: Clock,
    readings: Iterable[Reading],
    streams: Collection[str],
    model: SeenModel,
    wall_now: datetime,
) -> datetime | None:
    """Event time up to which a model can be judged; None while that is not known.

    streams: names of the topics of predictions and labels. On the event clock it is the oldest of
    the partitions' newest events of this model; on the wall clock it is now, or the time up to
    which the slowest partition was read.
    """
    mine = [reading for reading in readings if reading.topic in streams]
    if clock is Clock.EVENT:
        return _oldest_stream(mine, streams, model)
    counted_through = [r.counted_through_at for r in mine]
    if not mine or any(at is None for at in counted_through):
        return None
    return min([wall_now, *(at for at in counted_through if at is not None)])


def fleet_now(
    clock: Clock,
    readings: Iterable[Reading],
    streams: Collection[str],
    began_at: datetime,
    wall_now: datetime,
) -> datetime | None:
    """Event time up to which all models can be judged together; None while that is not known.

    As `model_now`, but on the event clock the partitions' newest events are those of any model:
    models share one time, and one that has ended does not hold the others back. began_at: when
    (wall clock) the first event of any model was read.
    """
    mine = [
        Reading(r.topic, r.partition, r.counted_through_at, {0: max(r.counted.values())})
        if r.counted
        else r
        for r in readings
    ]
    return model_now(clock, mine, streams, SeenModel(0, began_at), wall_now)


def _oldest_stream(
    readings: Iterable[Reading], streams: Collection[str], model: SeenModel
) -> datetime | None:
    """Oldest of the newest events; a partition without any counts once it was read for long."""
    newest: list[datetime] = []
    seen: set[str] = set()
    for reading in readings:
        through_at = reading.counted_through_at
        if model.number in reading.counted:
            newest.append(reading.counted[model.number])
            seen.add(reading.topic)
        elif through_at is None or through_at < model.seen_at + IDLE_AFTER:
            return None  # its first event of this model may be on its way
    return min(newest) if seen == set(streams) else None
