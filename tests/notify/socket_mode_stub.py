"""Slack's side of Socket Mode: one WebSocket (RFC 6455) that sends envelopes and hears of them."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


@dataclass
class SocketStub:
    """A WebSocket server; `acked` holds the envelopes that were acknowledged, with when."""

    url: str
    acked: list[tuple[str, float]] = field(default_factory=list)
    connected: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    _peer: socket.socket | None = None

    def press(self, payload: dict[str, Any], envelope_id: str) -> float:
        """Send a payload of an interaction; returns when, on the clock of `acked`."""
        envelope = {
            "type": "interactive",
            "envelope_id": envelope_id,
            "accepts_response_payload": True,
            "payload": payload,
        }
        assert self._peer is not None
        sent_at_s = time.monotonic()
        self._peer.sendall(_frame(_TEXT, json.dumps(envelope).encode()))
        return sent_at_s

    def drop(self) -> None:
        """Close the connection as Slack does now and then."""
        assert self._peer is not None
        self.connected.clear()
        self._peer.sendall(_frame(_CLOSE, struct.pack("!H", 1000)))
        self._peer.close()

    def serve(self, listening: socket.socket) -> None:
        """Accept one connection after the other until the listening socket is closed."""
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), peer:
                self._talk(peer)

    def _talk(self, peer: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += peer.recv(4096)
        lines = request.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        raw = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        assert headers["upgrade"] == "websocket"
        key = next(v for k, v in raw.items() if k.lower() == "sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324  # the protocol's
        peer.sendall(
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ).encode()
        )
        self._peer = peer
        self.connections += 1
        peer.sendall(_frame(_TEXT, json.dumps({"type": "hello"}).encode()))
        self.connected.set()
        while True:
            code, data = _read(peer)
            if code == _PING:
                peer.sendall(_frame(_PONG, data))
            elif code == _CLOSE:
                return
            elif code == _TEXT:
                self.acked.append((json.loads(data)["envelope_id"], time.monotonic()))


def _frame(code: int, data: bytes) -> bytes:
    """A server's frame: whole, and not masked."""
    head = bytes([0x80 | code])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    return head + bytes([126]) + struct.pack("!H", len(data)) + data


def _read(peer: socket.socket) -> tuple[int, bytes]:
    first, second = _exactly(peer, 2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", _exactly(peer, 2))
    mask = _exactly(peer, 4)
    data = _exactly(peer, length)
    return first & 0x0F, bytes(b ^ mask[k % 4] for k, b in enumerate(data))


def _exactly(peer: socket.socket, n: int) -> bytes:
    found = b""
    while len(found) < n:
        more = peer.recv(n - len(found))
        if not more:
            raise ConnectionResetError
        found += more
    return found


@contextmanager
def running() -> Iterator[SocketStub]:
    """Serve in a thread until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    stub = SocketStub(f"ws://127.0.0.1:{listening.getsockname()[1]}/link")
    thread = threading.Thread(target=stub.serve, args=(listening,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=5)
