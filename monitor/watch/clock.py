"""Event time: how far a model's streams can be judged now.

Guarantees: never later than what has been read, so that a pane is not sealed while its labels
still wait in Kafka. Must never: read the wall clock; it is an argument.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from monitor.store.panes import Reading


class Clock(StrEnum):
    """wall: the wall clock, held back to what was read; event: the events' own time."""

    WALL = "wall"
    EVENT = "event"


def model_now(
    clock: Clock,
    readings: Iterable[Reading],
    streams: Collection[str],
    model: int,
    wall_now: datetime,
) -> datetime | None:
    """Event time up to which a model can be judged; None while nothing is known.

    streams: names of the topics of predictions and labels. On the event clock it is the oldest of
    the partitions' newest events of this model; on the wall clock it is now, or the time up to
    which the slowest partition was read.
    """
    mine = [reading for reading in readings if reading.topic in streams]
    if clock is Clock.EVENT:
        newest = [r.counted[model] for r in mine if model in r.counted]
        seen = {r.topic for r in mine if model in r.counted}
        return min(newest) if seen == set(streams) else None
    counted_through = [r.counted_through_at for r in mine]
    if not mine or any(at is None for at in counted_through):
        return None
    return min([wall_now, *(at for at in counted_through if at is not None)])
