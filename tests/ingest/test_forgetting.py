"""What is forgotten stays forgotten, whoever owns which partitions next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faulty_postgres import Faults
from tests.ingest.messages import Answer, Predict
from tests.ingest.worker_world import World, settle
from tests.naive_join import CORRECTION_S, DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_MS = 5_000_000
CUTOFF_MS = NEW_MS - CORRECTION_S * 1000


@pytest.fixture
def world(postgres_url: str) -> Iterator[World]:
    made = World(postgres_url)
    yield made
    made.close()


def test_a_cutoff_does_not_move_back_when_a_worker_takes_a_partition_that_lags(
    world: World,
) -> None:
    """A worker forgets up to where all its partitions are; with one more that is not as far."""
    a, b = (world.start(name, 20_000, 1e6, Faults()) for name in ("a", "b"))
    settle(world, [a, b])
    assert {tp.partition for tp in b.consumer.assignment()} == {2}
    for partition, ms in ((0, NEW_MS), (1, NEW_MS), (2, 0)):
        world.publish(Predict(partition, "m0", "1", ms, 0.5))
        world.publish(Answer(partition, "m0", ms, 1))
    settle(world, [a, b])
    a.worker.flush(evict=True)
    assert world.cutoffs(0) == {"m0": DAY_MS + CUTOFF_MS}
    b.end()
    settle(world, [a])
    assert len(a.consumer.assignment()) == 7
    # It waits for a prediction that nobody may send any more.
    world.publish(Answer(3, "m0", CUTOFF_MS - 1, 1))
    settle(world, [a])
    a.worker.flush(evict=True)
    assert world.cutoffs(0) == {"m0": DAY_MS + CUTOFF_MS}
    assert world.cutoffs(2) == {"m0": DAY_MS - CORRECTION_S * 1000}
    while world.watcher.fold():
        pass
    cells, _, tallies = world.expected()
    assert tallies["unmatched_label", "m0", None] == 1
    assert world.known_tallies() == tallies
    assert world.known_cells() == cells
