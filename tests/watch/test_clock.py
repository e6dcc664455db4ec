from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.store.panes import Reading, SeenModel
from monitor.watch.clock import IDLE_AFTER, Clock, model_now

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STREAMS = ("predictions", "labels")
SEEN = SeenModel(1, NOW - timedelta(hours=1))


def reading(topic: str, partition: int, read_h: float | None, event_h: float | None) -> Reading:
    """Hours before NOW that a partition was read through to, and of its newest event of model 1."""
    return Reading(
        topic,
        partition,
        None if read_h is None else NOW - timedelta(hours=read_h),
        {} if event_h is None else {1: NOW - timedelta(hours=event_h)},
    )


@pytest.mark.parametrize(
    ("clock", "readings", "hours_ago"),
    [
        (Clock.WALL, [], None),
        (Clock.WALL, [reading("predictions", 0, 0, 9), reading("labels", 0, 0, 9)], 0),
        (Clock.WALL, [reading("predictions", 0, -1, 9), reading("labels", 0, -1, 9)], 0),
        (Clock.WALL, [reading("predictions", 0, 0, 9), reading("labels", 0, 3, 9)], 3),
        (Clock.WALL, [reading("predictions", 0, 0, 9), reading("labels", 0, None, 9)], None),
        (Clock.WALL, [reading("predictions", 0, 0, 9), reading("other", 0, 7, 9)], 0),
        (Clock.EVENT, [], None),
        (Clock.EVENT, [reading("predictions", 0, 0, 5)], None),
        (Clock.EVENT, [reading("predictions", 0, 0, 5), reading("labels", 0, 0, 2)], 5),
        (Clock.EVENT, [reading("predictions", 0, 0, 5), reading("labels", 0, 0, 8)], 8),
        (
            Clock.EVENT,
            [
                reading("predictions", 0, 0, 5),
                reading("predictions", 1, 0, None),
                reading("labels", 0, 0, 6),
            ],
            6,
        ),
    ],
)
def test_a_model_is_judged_no_further_than_it_was_read(
    clock: Clock, readings: list[Reading], hours_ago: float | None
) -> None:
    expected = None if hours_ago is None else NOW - timedelta(hours=hours_ago)
    assert model_now(clock, readings, STREAMS, SEEN, NOW) == expected


@pytest.mark.parametrize(
    ("read_for", "known"),
    [
        (None, False),
        (timedelta(0), False),
        (IDLE_AFTER - timedelta(milliseconds=1), False),
        (IDLE_AFTER, True),
    ],
)
def test_a_partition_without_a_model_holds_it_back_until_it_was_read_for_long(
    read_for: timedelta | None, known: bool
) -> None:
    """Else a model is judged on the half of its partitions that was read first."""
    through_at = None if read_for is None else SEEN.seen_at + read_for
    readings = [
        reading("predictions", 0, 0, 5),
        reading("labels", 0, 0, 6),
        Reading("labels", 1, through_at, {2: NOW}),
    ]
    expected = NOW - timedelta(hours=6) if known else None
    assert model_now(Clock.EVENT, readings, STREAMS, SEEN, NOW) == expected
