"""The real servers of the tests: databases to use up, a mock and a real Kafka.

Guarantees: everything listens on a private socket or on loopback, every test gets a database and
topics of its own, and only processes started here are ended, by their pid. Must never: stand in
for our own code.
"""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Protocol

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from monitor.demo.embedded import KafkaServer
from monitor.demo.tied import spawn_tied, stop
from monitor.store import migrate

CHECKOUT = Path(__file__).parents[1]
KAFKA_JARS = CHECKOUT / ".cache" / "kafka-jars"
_START_TIMEOUT_S = 60
_NODE_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
"""


def absent(reason: str) -> NoReturn:
    """Skip the test, or fail it where CI promised that the server is there."""
    if os.environ.get("REQUIRE_TEST_SERVERS") == "1":
        pytest.fail(f"REQUIRE_TEST_SERVERS=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def debian_postgres() -> Path:
    """Programs of the newest PostgreSQL that Debian's packages installed, 15 or later."""
    found = [
        (int(programs.parent.name), programs)
        for programs in Path("/usr/lib/postgresql").glob("*/bin")
        if (programs / "postgres").exists() and programs.parent.name.isdigit()
    ]
    version, programs = max(found, default=(0, Path()))
    if version < 15:
        absent("Debian's PostgreSQL 15 or later is not installed (apt-get install postgresql)")
    return programs


@dataclass(slots=True)
class Databases:
    """Databases of one server; a migrated one is a copy of a template, made in 0.1 s.

    url: of the server's superuser, in the database `postgres`.
    """

    url: str
    _template: str | None = None

    def migrated(self) -> str:
        """URL of a new database with the newest schema."""
        if self._template is None:
            template = self.empty()
            migrate.upgrade(template)
            self._template = make_url(template).database
        return self._create(f"TEMPLATE {self._template}")

    def empty(self) -> str:
        """URL of a new database without any table."""
        return self._create("")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _create(self, clause: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._run(f"CREATE DATABASE {name} {clause}")
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))


class OwnPostgres:
    """A PostgreSQL of one test, which may stop it and start it again where it was.

    url: of its superuser, in the database `postgres`. It must be started already, and its owner
    keeps its directories until `stop`.
    """

    def __init__(self, url: str) -> None:
        """Find out how the server was started, to start it again just so."""
        self.url = url
        self.socket_folder = Path(str(make_url(url).query["host"]))
        self.databases = Databases(url)
        self._data = self.socket_folder / "data"
        self._pid = self._status()[0]
        running = Path(f"/proc/{self._pid}")
        self._command = (running / "cmdline").read_bytes().decode().split("\0")[:-1]
        owner = running.stat().st_uid
        self._owner = pwd.getpwuid(owner) if owner != os.geteuid() else None
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts the connections in order, SIGQUIT is a crash."""
        if self._process is not None:
            stop(self._process, how, timeout_s=30)
            return
        os.kill(int(self._pid), how)
        # Whoever started it has yet to reap it, so its process may be seen longer.
        until = time.monotonic() + 30
        while (self._data / "postmaster.pid").exists() and how is signal.SIGINT:
            assert time.monotonic() < until, "PostgreSQL does not end"
            time.sleep(0.02)

    def start(self, *, forgets_nothing: bool = False) -> None:
        """Start it again, and wait until it takes connections.

        forgets_nothing: a crash from now on loses nothing that was said to be committed, where
        this server may else lose the last half second.
        """
        if forgets_nothing:
            self._command += ["-c", "synchronous_commit=on"]
        log = self.socket_folder / "log"
        self._process = spawn_tied(self._command, log=log, cwd=self._data, owner=self._owner)
        until = time.monotonic() + _START_TIMEOUT_S
        while self._status()[::7] != [str(self._process.pid), "ready"]:
            if self._process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _status(self) -> list[str]:
        """Lines of the server's own file: first its pid, eighth whether it is ready."""
        try:
            return [
                line.strip() for line in (self._data / "postmaster.pid").read_text().split("\n")
            ]
        except FileNotFoundError:
            return []


class Kafka(Protocol):
    """What the tests need of a Kafka, mock or real."""

    @property
    def server(self) -> KafkaServer:
        """How clients reach it."""

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; raises when it is there already."""


@dataclass(frozen=True, slots=True)
class TestKafka:
    """A Kafka as one test sees it: its topics' names are its own."""

    __test__ = False  # its name is not a test's

    kafka: Kafka
    _suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def server(self) -> KafkaServer:
        return self.kafka.server

    def topic(self, name: str, partitions: int = 4) -> str:
        """Create a topic and give its real name."""
        real = f"{name}-{self._suffix}"
        self.kafka.create_topic(real, partitions)
        return real

    def group(self, name: str = "group") -> str:
        """A consumer group's name that no other test uses."""
        return f"{name}-{self._suffix}"


def kafka_jars() -> Path:
    """Directory of the real Kafka's jars, fetched on first use."""
    if not shutil.which("java"):
        absent("Java, which the real Kafka needs, is not installed")
    if not shutil.which("mvn"):
        if not (KAFKA_JARS / "complete").exists():
            absent("Maven, which fetches the real Kafka's jars, is not installed")
        return KAFKA_JARS
    command = ["make", "--silent", "kafka-jars"]
    made = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        absent(f"the real Kafka's jars could not be fetched: {made.stderr.strip()[-500:]}")
    return KAFKA_JARS


class RealKafka:
    """One Apache Kafka node (KRaft) on loopback, that a test may kill and start again."""

    def __init__(self, jars: Path, directory: Path) -> None:
        """Format the node's storage in `directory`; `start` starts it."""
        self._directory = directory
        self._java = [str(shutil.which("java")), "-cp", f"{jars}/*", "-XX:TieredStopAtLevel=1"]
        self._java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._settings = directory / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        broker, controller = _free_ports()
        self._settings.write_text(
            _NODE_SETTINGS.format(broker=broker, controller=controller, logs=directory / "logs")
        )
        self.server = KafkaServer(f"127.0.0.1:{broker}")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [*self._java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
        subprocess.run([*tool, "-c", str(self._settings)], check=True, capture_output=True)

    def start(self) -> None:
        """Start the node and wait until it answers, with what it held when it ended."""
        command = [*self._java, "-Xms512m", "-Xmx512m", "kafka.Kafka", str(self._settings)]
        log = self._directory / "log"
        self._process = spawn_tied(command, log=log, cwd=self._directory)
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.kill()
                pytest.fail(f"Kafka did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the node in order."""
        if self._process is not None:
            stop(self._process, signal.SIGTERM, timeout_s=30)

    def kill(self) -> None:
        """End the node at once, as a crash would (SIGKILL)."""
        if self._process is not None:
            stop(self._process, signal.SIGKILL)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; raises TopicAlreadyExistsError when it is there already."""
        admin = KafkaAdminClient(bootstrap_servers=self.server.bootstrap)
        try:
            admin.create_topics([NewTopic(name, partitions, 1)])
        finally:
            admin.close()

    def _answers(self) -> bool:
        host, port = self.server.bootstrap.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            KafkaAdminClient(bootstrap_servers=self.server.bootstrap).close()
        except (OSError, KafkaError):
            return False
        return True


def _free_ports() -> tuple[int, int]:
    """Two ports of loopback that were free a moment ago."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]
