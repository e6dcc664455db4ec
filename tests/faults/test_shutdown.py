"""SIGTERM: the batch ends whole, the group is left at once, and the next worker goes on.

A start ends with 0 at any moment from the program's first line on.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet import FAST, SHUTDOWN_S, SOAK, WorkerProcess, fleet, wait_until
from tests.faults.wild import wild

if TYPE_CHECKING:
    from tests.servers import TestKafka

SEED = int(os.environ.get("FAULT_SEED", "1"))
STARTS = 40 if SOAK else 4
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


needs_proc = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks /proc what a process handles"
)


def has_loaded(worker: WorkerProcess, library: str) -> bool:
    return library in Path(f"/proc/{worker.process.pid}/maps").read_text()


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_before_any_library_is_loaded(
    number: signal.Signals, real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        worker = workers.start()
        while not worker.hears_signals:
            assert worker.process.poll() is None
        worker.signal(signal.SIGSTOP)
        assert not has_loaded(worker, "numpy")
        worker.signal(number)
        worker.signal(signal.SIGCONT)
        assert worker.ended(SHUTDOWN_S) == 0, worker.log
        assert "Traceback" not in worker.log


@needs_proc
def test_a_start_ends_at_any_moment(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    print(f"FAULT_SEED={SEED}")  # noqa: T201  # to repeat it with
    rng = random.Random(SEED)
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        for _ in range(STARTS):
            worker = workers.start()
            wait_until(lambda: worker.hears_signals, lambda: worker.log)  # noqa: B023
            time.sleep(rng.uniform(0, 4))
            worker.end()
            assert "Traceback" not in worker.log


def test_a_start_that_waits_for_kafka_ends_at_once(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    """A server that takes connections and says nothing is waited for longer than one may wait."""
    with fleet(real_kafka, postgres_url, tmp_path) as workers, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        worker = workers.start(kafka=f"127.0.0.1:{silent.getsockname()[1]}")
        worker.wait_for("starting")
        connection, _ = silent.accept()
        with connection:
            assert worker.end() < SHUTDOWN_S
        assert "Traceback" not in worker.log
