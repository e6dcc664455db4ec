"""kill -9 of workers at random moments: nothing is lost and nothing counted twice."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet import FINE, GIVE_UP_S, PATIENCE, SOAK, Fleet, fleet
from tests.faults.wild import wild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import TestKafka

KILLS = int(os.environ.get("SOAK_KILLS", "200" if SOAK else "20"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
IDS = max(8000, 100 * KILLS)
MOSTLY_COMMITTING = "session_timeout: 1s, batch_events: 5, flush_every: 1s"


@pytest.mark.timeout(PATIENCE * (120 + KILLS * 10))
def test_workers_killed_at_random_moments_count_as_if_nothing_had_happened(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    print(f"FAULT_SEED={SEED} SOAK_KILLS={KILLS}")  # noqa: T201  # to repeat it with
    rng = random.Random(SEED)
    stream = wild(SEED, IDS)
    with fleet(real_kafka, postgres_url, tmp_path, MOSTLY_COMMITTING) as workers:
        with workers.load(stream, lasting_s=60 + KILLS * 4):
            moments = _kill(workers, rng)
        print("counted at the kills:", moments)  # noqa: T201  # how they fell
        assert len({*moments}) > KILLS / 2, "the workers did too little between the kills"
        workers.wait_until_counted(len(stream), timeout_s=GIVE_UP_S + KILLS)
        assert len(workers.running) == 2
        workers.end()
        workers.check(stream)


def _kill(workers: Fleet, rng: random.Random) -> list[int]:
    """Two workers at all times, of which one is killed again and again.

    Three kills in four come when something was counted since the last one, the others whenever:
    while a worker starts, joins or loads. Returns the messages counted at each.
    """
    workers.start()
    workers.start()
    moments: list[int] = []
    while len(moments) < KILLS:
        if rng.random() < 0.75:
            workers.wait_for_progress()
            time.sleep(rng.uniform(0, 0.3))
        else:
            time.sleep(rng.uniform(0, 1.5))
        rng.choice(workers.running).kill()
        moments.append(workers.counted())
        assert {worker.process.poll() for worker in workers.workers} <= FINE, workers.logs
        while len(workers.running) < 2:
            workers.start()
    return moments
