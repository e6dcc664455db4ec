"""Kafka stops, forgets what was not read, or has other partitions than were asked for."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from kafka.admin import NewTopic

from tests.faults.fleet import (
    FAST,
    MENDABLE,
    PATIENCE,
    SHUTDOWN_S,
    SOAK,
    Fleet,
    WorkerProcess,
    fleet,
)
from tests.faults.wild import wild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.wild import Wild
    from tests.servers import RealKafka, TestKafka

SEED = int(os.environ.get("FAULT_SEED", "1"))
AWAY_S = 30 if SOAK else 2
PARTITION = 0
"""The one that loses messages."""


def one_line(worker: WorkerProcess) -> str:
    """What a worker said that ended for a reason that a person can mend."""
    assert worker.ended(timeout_s=30 * PATIENCE) == MENDABLE, worker.log
    assert "Traceback" not in worker.log
    [said] = [line for line in worker.log.splitlines() if line.startswith("calmon: ")]
    assert worker.log.splitlines()[-1] == said
    return said


def test_a_worker_goes_on_when_kafka_is_back(
    real_kafka: TestKafka, real_node: RealKafka, postgres_url: str, tmp_path: Path
) -> None:
    """First it is ended in order, then killed."""
    stream = wild(SEED, 2000)
    third = len(stream) // 3
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        worker = workers.start()
        for number, end in enumerate([real_node.stop, real_node.kill]):
            workers.publish(stream.messages[number * third : (number + 1) * third])
            workers.wait_for_progress()
            try:
                end()
                time.sleep(AWAY_S)
                assert worker.process.poll() is None, worker.log
            finally:
                real_node.start()
        workers.publish(stream.messages[2 * third :])
        workers.wait_until_counted(len(stream))
        assert worker.end() < SHUTDOWN_S
        workers.check(stream)


def counted_and_lost(workers: Fleet, stream: Wild) -> tuple[int, int]:
    """Half of the stream is counted, the rest published, and 10 messages of it are lost.

    Returns the stored offset of the partition, and the first one that is left.
    """
    half = len(stream) // 2
    workers.publish(stream.messages[:half])
    first = workers.start()
    workers.wait_until_counted(half)
    first.end()
    workers.publish(stream.messages[half:])
    topic = workers.topics["predictions"]
    [(stored,)] = workers.rows(
        f"SELECT next_offset FROM calmon.ingest_partition "
        f"WHERE topic = '{topic}' AND partition = {PARTITION}"
    )
    assert isinstance(stored, int)
    with workers.admin() as admin:
        admin.delete_records({workers.partition("predictions", PARTITION): stored + 10})
    return stored, stored + 10


def test_retention_past_the_stored_offset_stops_a_worker_or_is_recorded(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    stream = wild(SEED, 600)
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        stored, left = counted_and_lost(workers, stream)
        before = workers.counted()
        said = one_line(workers.start())
        assert f"{workers.topics['predictions']} partition {PARTITION}" in said
        assert f"messages {stored} to {left - 1} were deleted" in said
        assert "on_lost_messages: record_gap" in said
        assert workers.counted() == before
        workers.configure(f"{FAST}, on_lost_messages: record_gap")
        for _ in range(2):  # the second start has nothing more to record
            worker = workers.start()
            worker.wait_for("assigned")
            workers.wait_until_counted(len(stream))
            assert worker.end() < SHUTDOWN_S
        gaps = workers.rows(
            "SELECT topic, partition, from_offset, to_offset FROM calmon.ingest_gap"
        )
        assert gaps == [(workers.topics["predictions"], PARTITION, stored, left)]
        workers.check(stream.without("predictions", PARTITION, stored, left))


def test_a_topic_that_ends_before_the_stored_offset_stops_a_worker(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    stream = wild(SEED, 300)
    with fleet(real_kafka, postgres_url, tmp_path) as workers:
        workers.publish(stream.messages)
        first = workers.start()
        workers.wait_until_counted(len(stream))
        first.end()
        topic = workers.topics["predictions"]
        with workers.admin() as admin:
            admin.delete_topics([topic])
            while topic in admin.list_topics():
                time.sleep(0.1)
            admin.create_topics([NewTopic(topic, 4, 1)])
        workers.publish(stream.messages[:50])
        assert topic in one_line(workers.start())
        assert workers.counted() == len(stream)


def test_unequal_partition_counts_are_for_one_worker_alone(
    real_kafka: TestKafka, postgres_url: str, tmp_path: Path
) -> None:
    stream = wild(SEED, 1500, partitions=4, label_partitions=3)
    with fleet(real_kafka, postgres_url, tmp_path, partitions=(4, 3)) as workers:
        first, half = workers.start(), len(stream) // 2
        workers.publish(stream.messages[:half])
        workers.wait_for_progress()
        said = one_line(workers.start())
        assert f"{workers.topics['predictions']} and {workers.topics['labels']}" in said
        assert "give both topics the same number of partitions" in said
        workers.publish(stream.messages[half:])
        workers.wait_until_counted(len(stream))
        assert first.end() < SHUTDOWN_S
        workers.check(stream)
