"""A Slack that fits in a test: the Web API calls that calmon uses, kept in memory.

It answers as Slack does, limits and error names included, and can be told to misbehave: to rate
limit, to break, or to fall silent after a post has taken effect. Run it as a program to point a
whole `calmon run` at it: `python -m tests.notify.slack_stub --port 0`; then
`GET /stub/state` shows what was posted and `POST /stub/script` takes
`{"method": "chat.postMessage", "faults": [{"kind": "rate_limited", "retry_after_s": 2}]}`.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from tests.notify.slack_faults import ApiError, Fault, FaultKind, Json
from tests.notify.slack_state import CHANNEL, TOKEN, SlackState

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Handler(BaseHTTPRequestHandler):
    server: SlackServer

    def do_GET(self) -> None:
        if self.path != "/stub/state":
            self._answer(404, {"ok": False})
            return
        state = self.server.state
        files = {key: {**one, "content": None} for key, one in state.files.items()}
        self._answer(200, {"messages": state.messages, "files": files})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if path == "/stub/script":
            order = json.loads(body)
            self.server.state.script[order["method"]].extend(
                Fault(**{**one, "kind": FaultKind(one["kind"])}) for one in order["faults"]
            )
            self._answer(200, {"ok": True})
        elif path.startswith("/upload/v1/"):
            self._uploaded(path.rsplit("/", 1)[1], body)
        else:
            self._api(path.removeprefix("/api/"), body)

    def _uploaded(self, file_id: str, content: bytes) -> None:
        fault = self._next_fault("upload")
        if fault is not None:
            self._misbehave(fault, {})
            return
        status = self.server.state.upload(file_id, content)
        self._answer(status, {"ok": status == 200})

    def _api(self, method: str, body: bytes) -> None:
        state = self.server.state
        args = self._arguments(body)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        state.hook(f"before {method}")
        with state.lock:
            state.calls.append((method, args))
            fault = self._next_fault(method)
            if fault is not None and not fault.kind.endswith("after_effect"):
                self._misbehave(fault, {})
                return
            try:
                answer = state.call(method, args, token)
            except ApiError as error:
                answer = error.answer
        state.hook(f"after {method}")
        if "file_id" in answer:
            answer["upload_url"] = f"{self.server.url}/upload/v1/{answer['file_id']}"
        if fault is not None:
            self._misbehave(fault, answer)
            return
        self._answer(200, answer)

    def _arguments(self, body: bytes) -> Json:
        if self.headers.get("Content-Type", "").startswith("application/json"):
            return dict(json.loads(body or b"{}"))
        return dict(parse_qsl(body.decode()))

    def _next_fault(self, method: str) -> Fault | None:
        queue = self.server.state.script[method]
        return queue.popleft() if queue else None

    def _misbehave(self, fault: Fault, answer: Json) -> None:
        match fault.kind:
            case FaultKind.RATE_LIMITED:
                limited = {"ok": False, "error": "ratelimited"}
                self._answer(429, limited, {"Retry-After": str(fault.retry_after_s)})
            case FaultKind.SERVER_ERROR:
                self._send(fault.status, b"<html>upstream is unwell</html>", "text/html", {})
            case FaultKind.API_ERROR:
                self._answer(200, {"ok": False, "error": fault.error, **fault.more})
            case FaultKind.SILENT_AFTER_EFFECT:
                assert answer
                self.server.closing.wait(30)
                self.close_connection = True
            case FaultKind.CLOSED_AFTER_EFFECT:
                assert answer
                self.close_connection = True

    def _answer(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self._send(status, text, "application/json; charset=utf-8", headers or {})

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Keep quiet: tests read `calls`."""


class SlackServer(ThreadingHTTPServer):
    """The HTTP side of the stub; `api_url` is what a client takes as its base URL."""

    daemon_threads = True

    def __init__(self, state: SlackState, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.state = state
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"


@dataclass
class SlackStub:
    """A running stub: its base URL and what it holds."""

    api_url: str
    state: SlackState

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next calls of a method (or `upload`) misbehave, one fault a call."""
        self.state.script[method].extend(faults)

    def posted(self, channel: str = CHANNEL) -> list[Json]:
        """Messages in the channel and its threads, oldest first, without file shares."""
        return [message for message in self.state.messages[channel] if "files" not in message]

    def parents(self, channel: str = CHANNEL) -> list[Json]:
        """Messages in the channel itself."""
        return [message for message in self.posted(channel) if "thread_ts" not in message]

    def replies(self, channel: str = CHANNEL) -> list[Json]:
        """Messages in threads."""
        return [message for message in self.posted(channel) if "thread_ts" in message]

    def doubled(self, channel: str = CHANNEL) -> list[str]:
        """What stands there twice: parts of a notification by their metadata, files by name."""
        payloads = [m["metadata"]["event_payload"] for m in self.posted(channel) if "metadata" in m]
        ids = [f"{one['notification_id']} {one['part']}" for one in payloads]
        ids += [file["name"] for message in self.shared(channel) for file in message["files"]]
        return sorted(one for one, times in Counter(ids).items() if times > 1)

    def shared(self, channel: str = CHANNEL) -> list[Json]:
        """Messages that share a file."""
        return [message for message in self.state.messages[channel] if "files" in message]

    def calls(self, method: str) -> list[Json]:
        """Arguments of every call of a method."""
        return [args for name, args in self.state.calls if name == method]


@contextmanager
def running(port: int = 0) -> Iterator[SlackStub]:
    """Serve in a thread until the block ends."""
    state = SlackState()
    server = SlackServer(state, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield SlackStub(server.api_url, state)
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Serve until interrupted, and print where."""
    parser = argparse.ArgumentParser(description="A Slack Web API in memory, for tests.")
    parser.add_argument("--port", type=int, default=0)
    server = SlackServer(SlackState(), parser.parse_args().port)
    print(json.dumps({"api_url": server.api_url, "token": TOKEN, "channel": CHANNEL}), flush=True)  # noqa: T201  # a program's output
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.closing.set()
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
