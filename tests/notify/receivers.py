"""PagerDuty, Alertmanager and a webhook's receiver that fit in a test, as the real ones answer.

Each keeps what it was sent, takes a script of faults like the Slack stub's, and refuses what the
real one refuses: a wrong key, a body without its fields, a signature that does not hold.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from monitor.notify.webhook import signature
from tests.notify.slack_faults import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = dict[str, Any]
KEY = "0123456789abcdef0123456789abcdef"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # the specification's example
TOLERANCE_S = 300
"""How old a webhook's timestamp may be, as the specification's libraries have it."""

Answer = tuple[int, object]


@dataclass
class Received:
    """What one receiver holds: bodies taken in order, and the requests as they came."""

    taken: list[Any] = field(default_factory=list)
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    script: deque[Fault] = field(default_factory=deque)
    url: str = ""
    hook: Callable[[str], None] = lambda _: None
    """Called before a request takes effect, and after it."""

    def fail(self, *faults: Fault) -> None:
        """Let the next requests misbehave, one fault each."""
        self.script.extend(faults)


class PagerDuty(Received):
    """The Events API v2; incidents by their dedup key, as triggered, acknowledged or resolved."""

    @property
    def incidents(self) -> dict[str, list[str]]:
        """The actions that made each incident what it is, repeats of one left out."""
        found: dict[str, list[str]] = {}
        for event in self.taken:
            actions = found.setdefault(event["dedup_key"], [])
            if not actions or actions[-1] != event["event_action"]:
                actions.append(event["event_action"])
        return found

    def take(self, _: str, __: Mapping[str, str], body: bytes) -> Answer:
        """As https://developer.pagerduty.com/docs/events-api-v2/overview says."""
        event = json.loads(body)
        faults = []
        if event.get("routing_key") != KEY:
            faults.append("Invalid routing key")
        if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            faults.append("'event_action' is wrong")
        if event.get("event_action") == "trigger":
            payload = event.get("payload", {})
            faults += [
                f"'payload.{name}' is missing or blank"
                for name in ("summary", "source", "severity")
                if not payload.get(name)
            ]
            if payload.get("severity") not in {"critical", "error", "warning", "info"}:
                faults.append("'payload.severity' is invalid")
            if len(payload.get("summary", "")) > 1024:
                faults.append("'payload.summary' is too long")
        if len(event.get("dedup_key", "")) > 255 or len(body) > 512_000:
            faults.append("the event is too large")
        if faults:
            return 400, {"status": "invalid event", "message": "Event object is invalid"} | {
                "errors": faults
            }
        self.taken.append(event)
        return 202, {"status": "success", "message": "Event processed"} | {
            "dedup_key": event["dedup_key"]
        }


class Alertmanager(Received):
    """The API v2: alerts by their labels, with the end that came last."""

    @property
    def alerts(self) -> dict[str, Json]:
        """The alerts by their labels in JSON, each as last sent."""
        return {
            json.dumps(alert["labels"], sort_keys=True): alert
            for batch in self.taken
            for alert in batch
        }

    def firing(self, at: datetime) -> list[str]:
        """Labels of what fires at this time."""
        ends = {k: datetime.fromisoformat(one["endsAt"]) for k, one in self.alerts.items()}
        return [labels for labels, ends_at in ends.items() if ends_at > at]

    def take(self, path: str, _: Mapping[str, str], body: bytes) -> Answer:
        """As its openapi.yaml says."""
        if path != "/api/v2/alerts":
            return 404, {"code": 404, "message": f"path {path} was not found"}
        alerts = json.loads(body)
        for alert in alerts:
            if not all(isinstance(v, str) and v for v in alert["labels"].values()):
                return 400, f"invalid label set: {alert['labels']}"
            if not all(isinstance(v, str) for v in alert["annotations"].values()):
                return 400, "annotations in body must be of type string"
            if datetime.fromisoformat(alert["startsAt"]) > datetime.fromisoformat(alert["endsAt"]):
                return 400, "start time must be before end time"
        self.taken.append(alerts)
        return 200, ""


class Webhook(Received):
    """A receiver that verifies, and that knows doubles by their id.

    takes_anything: it stands for an address that asks for no signature.
    """

    takes_anything = False

    @property
    def told(self) -> list[Json]:
        """Each body once, in the order in which its id came first."""
        return list({one["id"]: one for one in reversed(self.taken)}.values())[::-1]

    def take(self, _: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Verify as the specification's libraries do."""
        if self.takes_anything:
            self.taken.append(json.loads(body))
            return 200, None
        sent_at_s = int(headers["webhook-timestamp"])
        if abs(datetime.now(UTC).timestamp() - sent_at_s) > TOLERANCE_S:
            return 401, {"error": "too old"}
        right = signature(SECRET, headers["webhook-id"], sent_at_s, body)
        if headers["webhook-signature"] != right:
            return 401, {"error": "wrong signature"}
        found = json.loads(body)
        if found["id"] != headers["webhook-id"]:
            return 400, {"error": "another id"}
        self.taken.append(found)
        return 204, None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        received = self.server.received
        received.hook("before")
        with self.server.lock:
            received.requests.append((dict(self.headers), body))
            fault = received.script.popleft() if received.script else None
            before = fault is not None and not fault.kind.endswith("after_effect")
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, answer = (0, None) if before else received.take(self.path, headers, body)
        received.hook("after")
        if fault is None:
            self._answer(status, answer, {})
        else:
            self._misbehave(fault)

    def _misbehave(self, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.RATE_LIMITED:
                wait = {"Retry-After": str(fault.retry_after_s)}
                self._answer(429, {"message": "too many"}, wait)
            case FaultKind.SERVER_ERROR | FaultKind.API_ERROR:
                self._answer(fault.status, fault.error or "unwell", {})
            case FaultKind.SILENT_AFTER_EFFECT:
                self.server.closing.wait(30)
                self.close_connection = True
            case FaultKind.CLOSED_AFTER_EFFECT:
                self.close_connection = True

    def _answer(self, status: int, answer: object, headers: Mapping[str, str]) -> None:
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Keep quiet: tests read `requests`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, received: PagerDuty | Alertmanager | Webhook) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received = received
        self.lock = threading.Lock()
        self.closing = threading.Event()


@contextmanager
def serving(received: PagerDuty | Alertmanager | Webhook) -> Iterator[None]:
    """Serve in a thread until the block ends."""
    server = _Server(received)
    received.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
