"""Connections to a real Postgres that break where a test wants them to, as a network does.

The calls of the driver are the fault points: between our code and the server nothing else is
replaced. Guarantees: a fault before a call means that the server never saw it, a fault after it
that the server did and our side was told otherwise; after `cut` nothing more reaches the server.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg.errors import DiskFull
from sqlalchemy import event

from monitor.store.engine import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


class Breakage(StrEnum):
    """What happens at a fault point."""

    LOST_BEFORE = "connection lost before the call"
    LOST_AFTER = "connection lost after the call took effect"
    REFUSED = "the server refuses the call: disk full"


@dataclass(frozen=True, slots=True)
class Fault:
    """Strike at one of the next calls: number `call` of all, or of the commits alone (from 0)."""

    how: Breakage
    call: int
    of_commits: bool = True


@dataclass
class Hold:
    """Stand still at the next call of a kind until told to go on: `reached`, then `go`."""

    at: Literal["call", "blocks", "commit"]
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def stand(self) -> None:
        self.reached.set()
        assert self.go.wait(60), "held for ever"


@dataclass
class Faults:
    """The fault waiting for the connections of one engine."""

    waiting: Fault | None = None
    struck: int = 0
    is_cut: bool = False
    _hold: Hold | None = None
    _calls: int = 0
    _commits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connections: list[FaultyConnection] = field(default_factory=list)

    def arm(self, fault: Fault | None) -> None:
        """Wait with this fault, from now on; None: with none."""
        with self._lock:
            self.waiting, self._calls, self._commits = fault, 0, 0

    def hold(self, at: Literal["call", "blocks", "commit"]) -> Hold:
        """Hold the next call: any, the reading of the durable blocks, or a commit."""
        self._hold = Hold(at)
        return self._hold

    def holds(self, at: str) -> Hold | None:
        """What holds this call; once."""
        with self._lock:
            hold = self._hold
            if hold is None or hold.at not in {"call", at}:
                return None
            self._hold = None
            return hold

    def cut(self) -> None:
        """End all connections for ever, as the death of the process does."""
        self.is_cut = True
        for connection in self._connections:
            with connection.in_call:
                connection.pgconn.finish()

    def adopt(self, connection: FaultyConnection) -> None:
        """Let the faults strike this connection too."""
        connection.faults = self
        self._connections.append(connection)

    def due(self, *, is_commit: bool) -> Breakage | None:
        """What strikes the call that is about to be made."""
        with self._lock:
            fault = self.waiting
            if fault is None:
                return None
            at = self._commits if fault.of_commits else self._calls
            self._calls += 1
            self._commits += is_commit
            if at < fault.call or (fault.of_commits and not is_commit):
                return None
            self.waiting = None
            self.struck += 1
            return fault.how


class FaultyConnection(psycopg.Connection[Any]):
    """A connection of the driver with fault points at every call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # the driver's
        super().__init__(*args, **kwargs)
        self.faults: Faults | None = None
        self.in_call = threading.RLock()
        self.cursor_factory = FaultyCursor
        self.server_cursor_factory = FaultyServerCursor

    def commit(self) -> None:
        with self.fault_point("commit"):
            super().commit()

    @contextmanager
    def fault_point(self, kind: str = "statement") -> Iterator[None]:
        """Make one call to the server, if no fault strikes it."""
        hold = None if self.faults is None else self.faults.holds(kind)
        if hold is not None:
            hold.stand()
        with self.in_call:
            if self.faults is None:  # the driver and SQLAlchemy greet the server
                yield
                return
            if self.faults.is_cut:
                self._lose()
            how = self.faults.due(is_commit=kind == "commit")
            if how is Breakage.REFUSED:
                raise DiskFull(how)
            if how is Breakage.LOST_BEFORE:
                self._lose()
            yield
            if how is Breakage.LOST_AFTER:
                self._lose()

    def _lose(self) -> None:
        self.pgconn.finish()
        raise psycopg.OperationalError("the connection is lost")  # noqa: TRY003, EM101


class FaultyCursor(psycopg.Cursor[Any]):
    """Fault points at every statement."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the driver's
        with _connection(self).fault_point():
            return super().execute(*args, **kwargs)

    def executemany(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the driver's
        with _connection(self).fault_point():
            return super().executemany(*args, **kwargs)


class FaultyServerCursor(psycopg.ServerCursor[Any]):
    """Fault points at every statement, and at every portion of rows."""

    def __del__(self, *_: object) -> None:
        """Say nothing: a cursor whose connection is lost cannot be closed as the driver asks."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the driver's
        with _connection(self).fault_point("blocks"):
            return super().execute(*args, **kwargs)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the driver's
        with _connection(self).fault_point():
            return super().fetchmany(*args, **kwargs)


def faulty_engine(url: str, faults: Faults) -> Engine:
    """The product's own engine, on connections that these faults strike."""
    engine = connect(url)

    @event.listens_for(engine, "do_connect")
    def open_connection(
        dialect: object,
        record: object,
        arguments: list[Any],
        options: dict[str, Any],
    ) -> FaultyConnection:
        del dialect, record
        if faults.is_cut:
            raise psycopg.OperationalError("the server cannot be reached")  # noqa: TRY003, EM101
        return FaultyConnection.connect(*arguments, **options)

    @event.listens_for(engine, "connect")
    def adopt(connection: FaultyConnection, record: object) -> None:
        del record
        faults.adopt(connection)

    return engine


def _connection(cursor: psycopg.Cursor[Any] | psycopg.ServerCursor[Any]) -> FaultyConnection:
    connection = cursor.connection
    assert isinstance(connection, FaultyConnection)
    return connection
