"""The server of /metrics, /livez, /readyz and /alerts/<group>: a thread of the standard library.

Guarantees: only GET and HEAD of these paths are answered, and POST of Slack's where it is
configured, of at most LARGEST_BODY; a slow or silent client holds up
no one and is dropped after TIMEOUT_S; `close` takes less than a second. Must never: log requests,
or tell who asks anything but figures, reasons and evidence.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from functools import partial
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client.exposition import choose_encoder

from monitor.config.addresses import Address
from monitor.notify.page import POLICY, alert_page
from monitor.store.engine import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from http import HTTPStatus
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

    from monitor.core.judging.verdict_json import Json
    from monitor.daemon.health import Health

log = structlog.get_logger(__name__)

TIMEOUT_S = 5
LARGEST_BODY = 1 << 20
SLACK_PATH = "/slack/interactions"
_ALERT = re.compile(r"/alerts/[0-9a-f]{32}")
_POLL_S = 0.1

Answer: TypeAlias = tuple[str, str, bytes]
"""Status line, content type, body."""
SignedPost: TypeAlias = "Callable[[str, str, bytes], HTTPStatus]"
"""Takes a timestamp, a signature and a body, and says what to answer."""


class HttpServer:
    """Serves from its start until `close`; a context manager."""

    def __init__(self, address: Address, app: WSGIApplication) -> None:
        """Bind and serve; raises ValueError, with the mend, where the address cannot be had."""
        try:
            self._server = _Server(address)
        except OSError as error:
            message = f"http.address {address} cannot be served: {error.strerror}; choose another"
            raise ValueError(message) from error
        self._server.set_app(app)
        host, port = self._server.server_address[:2]
        self.address = Address(str(host), int(port))
        if not self.address.is_private:
            log.warning("metrics and health are served beyond this machine", address=str(address))
        self._thread = Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving; requests under way are left to end by themselves."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> HttpServer:  # noqa: PYI034  # typing.Self, without needing 3.11's
        """Serve within a `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def application(
    registry: CollectorRegistry,
    livez: Callable[[], Health],
    readyz: Callable[[], Health],
    slack: SignedPost | None = None,
    newest_notice: Callable[[str], Json | None] | None = None,
) -> WSGIApplication:
    """The pages. livez, readyz: asked at each request, in a thread of its own.

    slack: takes Slack's signed posts to SLACK_PATH. newest_notice: what was last told of a group of
    alerts, by its id; None where there is none. Without it there is no such page.
    """
    pages: dict[str, Callable[[WSGIEnvironment], Answer]] = {
        "/metrics": lambda environ: _metrics(registry, environ.get("HTTP_ACCEPT", "")),
        "/livez": lambda _: _health(livez()),
        "/readyz": lambda _: _health(readyz()),
    }

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        page = pages.get(path)
        if newest_notice is not None and _ALERT.fullmatch(path):
            page = partial(_alert, newest_notice)
        more: list[tuple[str, str]] = []
        if slack is not None and path == SLACK_PATH:
            found = _from_slack(slack, environ)
        elif page is None:
            found = _text("404 Not Found", f"not found; here are {', '.join(pages)}")
        elif environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            found = _text("405 Method Not Allowed", "only GET and HEAD")
            more.append(("Allow", "GET, HEAD"))
        else:
            found = page(environ)
            more += [("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff")]
        status, kind, body = found
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), *more]
        start_response(status, [*headers, ("Cache-Control", "no-store")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer


def _alert(newest_notice: Callable[[str], Json | None], environ: WSGIEnvironment) -> Answer:
    try:
        payload = newest_notice(environ["PATH_INFO"].rpartition("/")[2])
    except DatabaseUnavailable:
        return _text("503 Service Unavailable", "the database is away; try again")
    if payload is None:
        return _text("404 Not Found", "no such alert")
    return "200 OK", "text/html; charset=utf-8", alert_page(payload).encode()


def _from_slack(take: SignedPost, environ: WSGIEnvironment) -> Answer:
    if environ["REQUEST_METHOD"] != "POST":
        return _text("405 Method Not Allowed", "only POST")
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()) or int(length[:9]) > LARGEST_BODY:
        return _text("413 Content Too Large", "no length, or too much")
    body = environ["wsgi.input"].read(int(length[:9]))
    status = take(
        environ.get("HTTP_X_SLACK_REQUEST_TIMESTAMP", ""),
        environ.get("HTTP_X_SLACK_SIGNATURE", ""),
        body,
    )
    # Slack shows what is in the body of a success to whoever pressed.
    return f"{status.value} {status.phrase}", "text/plain; charset=utf-8", b""


def _metrics(registry: CollectorRegistry, accept: str) -> Answer:
    encode, kind = choose_encoder(accept)
    return "200 OK", kind, encode(registry)


def _health(health: Health) -> Answer:
    if health.ok:
        return _text("200 OK", "ok")
    return _text("503 Service Unavailable", "\n".join(health.reasons))


def _text(status: str, text: str) -> Answer:
    return status, "text/plain; charset=utf-8", f"{text}\n".encode()


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT_S

    def log_message(self, *_: object) -> None:
        """Say nothing: probes come every few seconds."""

    def handle(self) -> None:
        """As the base class, and quiet about clients that go away or fall silent."""
        with suppress(ConnectionError, TimeoutError):
            super().handle()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Address) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """As the base class, without asking the name service for the host's name."""
        socket_name = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(socket_name)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()
