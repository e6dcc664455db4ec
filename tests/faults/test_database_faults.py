"""Postgres goes away, breaks off in mid-commit, or is full: counting waits, and is exact."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet import PATIENCE, SHUTDOWN_S, SOAK, fleet, wait_until
from tests.faults.tcp_cut import Cut, proxy_to
from tests.faults.wild import wild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import OwnPostgres, TestKafka

SEED = int(os.environ.get("FAULT_SEED", "1"))
AWAY_S = 30 if SOAK else 8
CUTS = 120 if SOAK else 8
PAUSED = "database unavailable, counting is paused"

FILL_THE_DISK = """
    CREATE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100';
    END $$;
    CREATE TRIGGER disk_is_full BEFORE INSERT ON calmon.dead_letter
        FOR EACH ROW EXECUTE FUNCTION public.disk_is_full();
"""


def test_a_worker_waits_for_its_database_and_keeps_its_place_in_the_group(
    real_kafka: TestKafka, own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    stream = wild(SEED, 3000)
    with fleet(real_kafka, own_postgres.databases.migrated(), tmp_path) as workers:
        worker = workers.start()
        with workers.load(stream):
            workers.wait_for_progress()
            [member] = workers.members()[1]
            own_postgres.stop()
            ends_at = time.monotonic() + AWAY_S
            while time.monotonic() < ends_at:
                state, members = workers.members()
                assert (state, list(members)) == ("Stable", [member])
                time.sleep(0.5)
            assert worker.process.poll() is None, worker.log
            worker.wait_for(PAUSED)
            own_postgres.start()
            workers.wait_for_progress()
        workers.wait_until_counted(len(stream))
        assert list(workers.members()[1]) == [member]
        assert worker.end() < SHUTDOWN_S
        assert "Traceback" not in worker.log
        workers.check(stream)


def test_a_worker_survives_a_crash_of_its_database_and_ends_while_it_is_away(
    real_kafka: TestKafka, own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    stream = wild(SEED, 2000)
    own_postgres.stop()
    own_postgres.start(forgets_nothing=True)
    with fleet(real_kafka, own_postgres.databases.migrated(), tmp_path) as workers:
        first = workers.start()
        with workers.load(stream):
            workers.wait_for_progress()
            own_postgres.stop(signal.SIGQUIT)
            first.wait_for(PAUSED)
            own_postgres.start()
            workers.wait_for_progress()
            own_postgres.stop()
            first.wait_for(PAUSED, len(first.logged(PAUSED)) + 1)
            assert first.end() < SHUTDOWN_S
            assert "Traceback" not in first.log
            assert workers.members()[1] == {}
            own_postgres.start()
            second = workers.start()
        workers.wait_until_counted(len(stream))
        assert second.end() < SHUTDOWN_S
        workers.check(stream)


@pytest.mark.timeout(PATIENCE * (120 + CUTS * 4))
def test_a_connection_that_breaks_in_mid_commit_changes_no_count(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    """Before the server hears of the commit, after it but before the answer, and anywhere."""
    print(f"FAULT_SEED={SEED}")  # noqa: T201  # to repeat it with
    rng = random.Random(SEED)
    stream = wild(SEED, 4000)
    planned = [(kind, 1) for kind in Cut] + [
        (kind, rng.randrange(1, 20_000 if kind is Cut.ANYWHERE else 9))
        for kind in rng.choices(list(Cut), k=CUTS - len(Cut))
    ]
    with (
        fleet(real_kafka, postgres_url, tmp_path) as workers,
        proxy_to(postgres_url) as proxy,
    ):
        worker = workers.start(proxy.url(postgres_url))
        with workers.load(stream, lasting_s=60 + CUTS * 4):
            for number, (kind, count) in enumerate(planned, 1):
                workers.wait_for_progress()
                proxy.arm(kind, count)
                wait_until(lambda: len(proxy.cuts) == number, lambda: workers.logs)  # noqa: B023
        assert proxy.cuts == [kind for kind, _ in planned]
        workers.wait_until_counted(len(stream))
        # After the last cut it loads what it counted; ended before that it leaves it to the next.
        worker.wait_for("assigned", len(worker.logged(PAUSED)) + 1)
        assert worker.end() < SHUTDOWN_S
        # One that was cut between two transactions may have been replaced without a word.
        in_commit = [kind for kind, _ in planned if kind is not Cut.ANYWHERE]
        assert len(in_commit) <= len(worker.logged(PAUSED)) <= len(planned)
        workers.check(stream)


def test_a_full_disk_under_the_dead_letters_pauses_counting_and_loses_none(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    stream = wild(SEED, 800)
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        workers.execute(FILL_THE_DISK)
        workers.publish(stream.messages)
        worker = workers.start()
        # Batches without a dead letter are counted all the same.
        worker.wait_for(PAUSED, 3)
        assert workers.rows("SELECT count(*) FROM calmon.dead_letter") == [(0,)]
        assert workers.counted() < len(stream)
        assert "could not extend file" in str(worker.logged(PAUSED)[-1]["error"])
        workers.execute("DROP TRIGGER disk_is_full ON calmon.dead_letter")
        workers.wait_until_counted(len(stream))
        assert worker.end() < SHUTDOWN_S
        workers.check(stream)
