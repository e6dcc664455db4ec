"""Workers that join, leave, die, freeze and wake: the partitions move, the counts do not."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet import FENCED, PATIENCE, SHUTDOWN_S, SOAK, Fleet, fleet
from tests.faults.tcp_cut import proxy_to
from tests.faults.wild import wild

if TYPE_CHECKING:
    from pathlib import Path

    from kafka import KafkaAdminClient

    from tests.servers import TestKafka

SEED = int(os.environ.get("FAULT_SEED", "1"))
CHANGES = 60 if SOAK else 6
FREEZES = 20 if SOAK else 2
ENDS = 20 if SOAK else 3
FLUSH_AT_THE_END = "session_timeout: 1s, batch_events: 200, flush_every: 1h"


@pytest.mark.timeout(PATIENCE * (120 + CHANGES * 10))
def test_three_workers_join_leave_and_die_under_load(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    print(f"FAULT_SEED={SEED}")  # noqa: T201  # to repeat it with
    rng = random.Random(SEED)
    stream = wild(SEED, 1000 * CHANGES, partitions=8)
    with fleet(real_kafka, postgres_url, tmp_path, partitions=(8, 8)) as workers:
        with workers.load(stream, lasting_s=60 + CHANGES * 5):
            workers.keep(3)
            for number in range(CHANGES):
                workers.wait_for_progress()
                time.sleep(rng.uniform(0, 0.5))
                if number % 2:
                    rng.choice(workers.running).kill()
                else:
                    # Earlier than that Python itself has only begun to start.
                    chosen = rng.choice([w for w in workers.running if w.hears_signals])
                    assert chosen.end() < SHUTDOWN_S, chosen.log
                workers.start()
            workers.keep(3)
        workers.wait_until_counted(len(stream))
        workers.end()
        workers.check(stream)


@pytest.mark.timeout(PATIENCE * (120 + ENDS * 20))
def test_all_workers_end_while_partitions_move_and_nothing_waits_for_a_flush(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    """One ends, and the others are told to while they wait to hear whose its partitions are."""
    print(f"FAULT_SEED={SEED}")  # noqa: T201  # to repeat it with
    rng = random.Random(SEED)
    stream = wild(SEED, 500 * ENDS, partitions=8)
    with fleet(real_kafka, postgres_url, tmp_path, FLUSH_AT_THE_END, (8, 8)) as workers:
        for number in range(1, ENDS + 1):
            counted = len(stream) * number // ENDS
            workers.publish(stream.messages[len(stream) * (number - 1) // ENDS : counted])
            workers.keep(3)
            workers.wait_until_counted(counted)
            assert workers.unflushed_blocks() > 0
            ending = workers.running
            with workers.admin() as admin:
                ending[0].signal(signal.SIGTERM)
                while _is_stable(admin, workers.group, 3):
                    assert ending[0].process.poll() in {None, 0}
            time.sleep(rng.uniform(0, 0.25))
            for worker in ending[1:]:
                worker.signal(signal.SIGTERM)
            assert [worker.ended() for worker in ending] == [0, 0, 0], workers.logs
            assert workers.unflushed_blocks() == 0, workers.logs
        workers.check(stream)


def _is_stable(admin: KafkaAdminClient, group: str, count: int) -> bool:
    """Whether a group of so many members is at rest."""
    told = admin.describe_groups([group])[group]
    return told["group_state"] == "Stable" and len(told["members"]) == count


def test_what_a_killed_worker_had_not_flushed_is_flushed_by_the_next(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    stream = wild(SEED, 800)
    with fleet(real_kafka, postgres_url, tmp_path, FLUSH_AT_THE_END) as workers:
        workers.publish(stream.messages)
        killed = workers.start()
        workers.wait_until_counted(len(stream))
        killed.kill()
        workers.check(stream, flushed=False)
        workers.start().wait_for("assigned")
        workers.end()
        workers.check(stream)


def test_a_zombie_that_wakes_in_the_middle_of_a_batch_writes_nothing_and_stops(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    """It is frozen between its poll and its commit, until its partitions are another worker's."""
    stream = wild(SEED, 2500)
    with (
        fleet(real_kafka, postgres_url, tmp_path) as workers,
        proxy_to(postgres_url) as proxy,
    ):
        zombie = workers.start(proxy.url(postgres_url))
        with workers.load(stream):
            workers.wait_for_progress()
            proxy.hold()
            assert proxy.held.wait(10)
            # By now it has the next batch, and waits for the commit of this one.
            time.sleep(1)
            zombie.signal(signal.SIGSTOP)
            heir = workers.start()
            heir.wait_for("assigned")
            workers.wait_for_progress()
            zombie.signal(signal.SIGCONT)
            proxy.release()
            assert zombie.ended(timeout_s=30 * PATIENCE) == FENCED, zombie.log
            assert "belong to another worker" in zombie.log
            assert "Traceback" not in zombie.log
        workers.wait_until_counted(len(stream))
        assert heir.end() < SHUTDOWN_S
        workers.check(stream)


@pytest.mark.timeout(PATIENCE * (120 + FREEZES * 15))
def test_workers_frozen_at_random_moments_change_no_count(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    print(f"FAULT_SEED={SEED}")  # noqa: T201  # to repeat it with
    rng = random.Random(SEED)
    stream = wild(SEED + 1, 1500 * FREEZES)
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        with workers.load(stream, lasting_s=60 + FREEZES * 8):
            for _ in range(FREEZES):
                _freeze(workers, rng)
        workers.wait_until_counted(len(stream))
        workers.end()
        workers.check(stream)


def _freeze(workers: Fleet, rng: random.Random) -> None:
    """Freeze one of two workers for longer than its session, and see who goes on."""
    workers.keep(2)
    workers.wait_for_progress()
    time.sleep(rng.uniform(0, 0.3))
    frozen = rng.choice(workers.running)
    assigned = len(frozen.logged("assigned"))
    frozen.signal(signal.SIGSTOP)
    time.sleep(rng.uniform(1.5, 3))
    frozen.signal(signal.SIGCONT)
    # Woken in mid-batch it ends, woken elsewhere it joins again.
    frozen.wait_for("assigned", assigned + 1, or_end=True)
