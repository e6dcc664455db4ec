"""The servers of the benchmark: Kafka, real where it can be had, and a Postgres that is durable.

Guarantees: everything listens on loopback or a private socket and ends with this process.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.demo.embedded import MockKafka, postgres_server, wheel_postgres
from tests.servers import Databases, RealKafka, kafka_jars

if TYPE_CHECKING:
    from collections.abc import Iterator

DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
"""PostgreSQL's defaults; the embedded one is started without them."""

REAL_PARTITIONS = 8
MOCK_PARTITIONS = 64
"""Of the mock, which keeps 5 MiB of each."""


@contextmanager
def durable_databases() -> Iterator[Databases]:
    """The embedded Postgres, with its own default durability."""
    programs = wheel_postgres()
    directory = Path(tempfile.mkdtemp(prefix="calmon-bench-"))
    try:
        settings = " ".join(f"-c {setting}" for setting in DURABLE)
        # The server's own call starts with -D; initdb's calls of `postgres` do not come here.
        _script(directory / "initdb", f'exec "{programs}/initdb" "$@"')
        _script(directory / "postgres", f'exec "{programs}/postgres" "$@" {settings}')
        directory.chmod(stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)
        with postgres_server(directory) as url:
            yield Databases(url)
    finally:
        shutil.rmtree(directory)


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)


@contextmanager
def kafka() -> Iterator[RealKafka | MockKafka]:
    """Apache Kafka where its jars can be had, else the mock."""
    try:
        jars = kafka_jars()
    except pytest.skip.Exception:
        mock = MockKafka()
        yield mock
        mock.close()
        return
    directory = Path(tempfile.mkdtemp(prefix="calmon-kafka-"))
    node = RealKafka(jars, directory)
    try:
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(directory)
