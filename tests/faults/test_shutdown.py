"""SIGTERM: the batch ends whole, the group is left at once, and the next worker goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet import FAST, SHUTDOWN_S, fleet
from tests.faults.wild import wild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import TestKafka

SEED = int(os.environ.get("FAULT_SEED", "1"))


@pytest.mark.parametrize("ingest", [FAST, "batch_events: 200000"], ids=["small", "large"])
def test_a_worker_ends_under_load_and_leaves_its_group(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path, ingest: str
) -> None:
    """With the default session of 15 s a member that did not leave would be seen."""
    stream = wild(SEED, 3000)
    with fleet(real_kafka, postgres_url, tmp_path, ingest) as workers:
        with workers.load(stream):
            first = workers.start()
            workers.wait_for_progress()
            assert first.end() < SHUTDOWN_S
            assert workers.members()[1] == {}
            counted = workers.counted()
            assert counted < len(stream)
        second = workers.start()
        workers.wait_until_counted(len(stream))
        assert second.end() < SHUTDOWN_S
        workers.check(stream)
