"""SIGTERM: the batch ends whole, the group is left at once, and the next worker goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.faults.fleet import FAST, SHUTDOWN_S, fleet
from tests.faults.wild import wild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import TestKafka

SEED = int(os.environ.get("FAULT_SEED", "1"))
LARGE = "batch_events: 200000"
"""One transaction takes all there is, and with sessions of 15 s one who did not leave is seen."""


def test_a_worker_ends_under_load_and_leaves_its_group(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    stream = wild(SEED, 6000)
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        with workers.load(stream):
            for ingest in (FAST, LARGE):
                workers.configure(ingest)
                worker = workers.start()
                workers.wait_for_progress()
                assert worker.end() < SHUTDOWN_S
                assert workers.members()[1] == {}
                assert workers.counted() < len(stream)
        last = workers.start()
        workers.wait_until_counted(len(stream))
        assert last.end() < SHUTDOWN_S
        workers.check(stream)
