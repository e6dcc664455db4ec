"""How workers end, and what they leave: what is durable is exact, and a last flush is not missed.

Two properties, each asserted by itself. Whatever happens, the durable counts are exact at every
moment: those before the watcher, with those of blocks that no flush covers yet. And a worker that
ends in order flushes what it counted, unless another has taken its partitions over, which then
flushes it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from kafka.errors import NodeNotReadyError

from monitor.store.positions import Fenced
from tests.faulty_postgres import Faults
from tests.ingest.messages import AnswerTo, Predict
from tests.ingest.worker_world import Member, World, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER_S = 1e6
"""Time between flushes of a worker that flushes at its end only."""


@pytest.fixture
def world(postgres_url: str) -> Iterator[World]:
    made = World(postgres_url)
    yield made
    made.close()


def start(world: World, name: str, flush_every_s: float = NEVER_S) -> Member:
    return world.start(name, 20_000, flush_every_s, Faults())


def send(world: World, first: int, n: int = 12) -> None:
    """So many predictions, every second of them with its label, spread over all partitions."""
    for number in range(first, first + n):
        world.publish(Predict(number, "m0", "1", 1000 * number, 0.7))
        if number % 2:
            world.publish(AnswerTo(0, 500, 1))


def end(member: Member) -> None:
    """End it in order; it must not raise."""
    member.end()
    assert member.consumer.is_closed


@contextmanager
def beside(act: Callable[[], object]) -> Iterator[None]:
    """Let `act` go on in a thread while the block does; raises what it raised."""
    with ThreadPoolExecutor(1) as thread:
        doing = thread.submit(act)
        yield
        doing.result(60)


def give_away(world: World, member: Member) -> None:
    """The group takes a worker's partitions away, and it does not hear of it."""
    member.consumer.is_silent = True
    world.kafka.group.remove(member.consumer)


def assert_durable(world: World, *, flushed: bool) -> None:
    """Exact, whether flushed or not; and which of both it is."""
    waiting = world.unflushed()
    while world.watcher.fold():
        pass
    cells, _, tallies = world.expected()
    assert world.known_cells(waiting.cells) == cells
    assert world.known_tallies() + world.named(waiting.tallies) == tallies
    assert not world.unread()
    assert (not len(waiting.cells) and not waiting.tallies) == flushed


def test_workers_that_end_while_partitions_move_flush_what_they_counted(world: World) -> None:
    members = [start(world, name) for name in ("a", "b", "c")]
    settle(world, members)
    send(world, 0)
    settle(world, members)
    a, b, c = members
    end(a)
    b.worker.step()  # it hears that partitions move, and waits for the third
    assert world.kafka.group.is_waiting(b.consumer)
    assert_durable(world, flushed=False)
    end(b)
    end(c)
    assert_durable(world, flushed=True)


def test_a_worker_that_others_have_replaced_leaves_its_counts_to_them(world: World) -> None:
    """It waits for the group's word, which another has and acted on, and is told to end."""
    a, b = start(world, "a"), start(world, "b")
    settle(world, [a, b])
    send(world, 0)
    settle(world, [a, b])
    c = start(world, "c")
    c.worker.step()
    a.worker.step()
    assert world.kafka.group.is_waiting(a.consumer)
    b.worker.step()
    assert not world.kafka.group.is_joining
    before = world.moves()
    end(a)
    assert world.moves() == before
    assert_durable(world, flushed=False)
    settle(world, [b, c])
    end(b)
    end(c)
    assert_durable(world, flushed=True)


def test_a_worker_that_dies_between_commit_and_flush_leaves_its_counts_to_the_next(
    world: World,
) -> None:
    a = start(world, "a")
    settle(world, [a])
    send(world, 0)
    settle(world, [a])
    a.die()
    world.kafka.group.remove(a.consumer)
    assert_durable(world, flushed=False)
    b = start(world, "b")
    settle(world, [b])
    assert_durable(world, flushed=False)
    end(b)
    assert_durable(world, flushed=True)


def test_a_worker_that_is_taken_over_between_commit_and_flush_writes_no_more(world: World) -> None:
    a = start(world, "a")
    settle(world, [a])
    send(world, 0)
    settle(world, [a])
    give_away(world, a)
    b = start(world, "b")
    send(world, 12)
    settle(world, [b])
    before = world.moves()
    end(a)
    assert world.moves() == before
    assert_durable(world, flushed=False)
    end(b)
    assert_durable(world, flushed=True)


def test_a_worker_that_lost_its_partitions_and_heard_of_it_ends_well(world: World) -> None:
    a = start(world, "a")
    settle(world, [a])
    send(world, 0)
    settle(world, [a])
    give_away(world, a)
    b = start(world, "b")
    settle(world, [b])
    a.consumer.is_silent = False
    a.worker.step()
    assert not a.consumer.assignment()
    end(a)
    settle(world, [b])
    end(b)
    assert_durable(world, flushed=True)


def test_partitions_that_move_before_the_last_flush_reaches_the_database(world: World) -> None:
    a = start(world, "a")
    settle(world, [a])
    send(world, 0)
    settle(world, [a])
    held = a.faults.hold("call")
    with beside(lambda: end(a)):
        assert held.reached.wait(60)
        give_away(world, a)
        b = start(world, "b")
        send(world, 12)
        settle(world, [b])
        held.go.set()
    assert_durable(world, flushed=False)
    end(b)
    assert_durable(world, flushed=True)


def test_partitions_that_move_while_the_last_flush_is_being_committed(world: World) -> None:
    """The next worker waits for the commit, and finds nothing left to flush."""
    a = start(world, "a")
    settle(world, [a])
    send(world, 0)
    settle(world, [a])
    held = a.faults.hold("commit")
    with beside(lambda: end(a)):
        assert held.reached.wait(60)
        give_away(world, a)
        b = start(world, "b")
        with beside(lambda: settle(world, [b])):
            held.go.set()
    assert_durable(world, flushed=True)
    end(b)
    assert_durable(world, flushed=True)


def test_partitions_that_move_there_and_back_while_a_commit_is_under_way(world: World) -> None:
    """What was under way is refused, and waited for before the partitions are taken again."""
    a = start(world, "a")
    send(world, 0)
    settle(world, [a])
    send(world, 12)
    held = a.faults.hold("call")
    a.worker.step()
    assert held.reached.wait(60)
    give_away(world, a)
    b = start(world, "b")
    settle(world, [b])
    end(b)
    assert_durable(world, flushed=True)
    send(world, 24)
    a.consumer.is_silent = False
    taken = world.take_overs()
    with beside(lambda: settle(world, [a])):
        assert world.take_overs() == taken
        held.go.set()
    assert world.take_overs() > taken
    assert_durable(world, flushed=False)
    end(a)
    assert_durable(world, flushed=True)


def test_a_worker_that_is_taken_over_while_it_loads_stops(world: World) -> None:
    """The other forgets old rows meanwhile, so that the blocks are not those it began with."""
    a = start(world, "a")
    settle(world, [a])
    world.pass_time(["m0", "m1"], 1_300_000)
    settle(world, [a])
    end(a)
    b = start(world, "b")
    held = b.faults.hold("blocks")
    stopped: list[str] = []

    def load() -> None:
        with pytest.raises(Fenced) as why:
            settle(world, [b])
        stopped.append(str(why.value))

    with beside(load):
        assert held.reached.wait(60)
        give_away(world, b)
        c = start(world, "c")
        settle(world, [c])
        c.worker.flush(evict=True)
        world.pass_time(["m0", "m1"], 1_300_000)
        settle(world, [c])
        c.worker.flush(evict=True)
        held.go.set()
    assert "while it was loaded" in stopped[0]
    end(c)
    assert_durable(world, flushed=True)


def test_a_poll_that_fails_loses_nothing_of_what_it_had_brought(world: World) -> None:
    """The client counts as read what it handed out, though the step's next call of it failed."""
    member = start(world, "a")
    settle(world, [member])
    send(world, 0)
    member.consumer.failing = [None, NodeNotReadyError()]
    member.worker.step()
    assert not member.consumer.failing
    send(world, 12)
    settle(world, [member])
    end(member)
    assert_durable(world, flushed=True)
