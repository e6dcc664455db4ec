"""A way to Postgres that breaks at chosen moments: a TCP proxy on loopback."""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 16
_BEGIN, _COMMIT = b"BEGIN", b"COMMIT"
_ANSWERS = (b"COMMIT\x00", b"ROLLBACK\x00")
_LONGEST = 9  # bytes of what is looked for, which may come in two pieces


class Cut(Enum):
    """When a connection is reset, counted in commits or in bytes that the client sends."""

    BEFORE_COMMIT = "the server never hears of the commit"
    AFTER_COMMIT = "the server has committed, and the client never hears of it"
    ANYWHERE = "after any number of bytes"


class Proxy:
    """Passes connections on to a Postgres; one cut is armed at a time.

    cuts: those that were made.
    """

    def __init__(self, server: Path) -> None:
        """Listen on a free port of loopback. server: the Unix socket of the Postgres."""
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._passing = threading.Event()
        self._passing.set()
        self._kind: Cut | None = None
        self._left = 0
        self.held = threading.Event()
        self.cuts: list[Cut] = []

    def url(self, url: str) -> str:
        """The database of `url`, by way of this proxy."""
        port = self._listener.getsockname()[1]
        through = make_url(url).set(host="127.0.0.1", port=port, query={})
        return through.render_as_string(hide_password=False)

    def arm(self, kind: Cut, count: int) -> None:
        """Cut at the `count`th commit from now, or after `count` bytes."""
        with self._lock:
            self._kind, self._left = kind, count

    def hold(self) -> None:
        """Let no further transaction begin; `held` is set when one waits for that."""
        self.held.clear()
        self._passing.clear()

    def release(self) -> None:
        """Pass on what was held, and what comes."""
        self._passing.set()

    def serve(self) -> None:
        """Take connections until `close`."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self.release()
        # A thread that waits in accept() is woken by a shutdown, and not by a close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connected(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(str(self._server))
                self._pass(client, server)
            except OSError:
                # One side is gone; the other sees that by the end of this block.
                return

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        sent = answered = b""
        is_muted = False
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if client in readable:
                data = client.recv(_CHUNK)
                if _BEGIN in data and not self._passing.is_set():
                    self.held.set()
                    self._passing.wait()
                seen, sent = sent + data, (sent + data)[-_LONGEST:]
                cut = self._take(data, seen.count(_COMMIT) - (seen[: -len(data)]).count(_COMMIT))
                if cut in {Cut.BEFORE_COMMIT, Cut.ANYWHERE} or not data:
                    return _reset(client)
                is_muted |= cut is Cut.AFTER_COMMIT
                server.sendall(data)
            if server in readable:
                data = server.recv(_CHUNK)
                answered = (answered + data)[-len(data) - _LONGEST :]
                if not data or (is_muted and any(answer in answered for answer in _ANSWERS)):
                    return _reset(client)
                if not is_muted:
                    client.sendall(data)

    def _take(self, data: bytes, commits: int) -> Cut | None:
        """The cut that is due with this data, if any; it is disarmed."""
        with self._lock:
            if self._kind is None:
                return None
            self._left -= len(data) if self._kind is Cut.ANYWHERE else commits
            if self._left > 0 or (self._kind is not Cut.ANYWHERE and not commits):
                return None
            kind, self._kind = self._kind, None
            self.cuts.append(kind)
            return kind


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """A proxy to the server of `url`, which listens on a Unix socket."""
    query = make_url(url).query
    proxy = Proxy(Path(str(query["host"])) / f".s.PGSQL.{query['port']}")
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()


def _reset(connection: socket.socket) -> None:
    """Close so that the other side sees `connection reset by peer`."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
