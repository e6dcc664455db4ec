"""A Slack that fits in a test: the Web API calls that calmon uses, kept in memory.

It answers as Slack does, limits and error names included, and can be told to misbehave: to rate
limit, to break, or to fall silent after a post has taken effect. Run it as a program to point a
whole `calmon run` at it: `python tests/notify/slack_stub.py --port 0`; then
`GET /stub/state` shows what was posted and `POST /stub/script` takes
`{"method": "chat.postMessage", "faults": [{"kind": "rate_limited", "retry_after_s": 2}]}`.
"""

# ruff: noqa: EM101  # the strings raised here are Slack's own error names

from __future__ import annotations

import argparse
import itertools
import json
import threading
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]

TOKEN = "xoxb-stub-token"  # noqa: S105  # opens nothing but this stub
APP_TOKEN = "xapp-stub-token"  # noqa: S105  # as above
CHANNEL = "C0STUBCHAN1"
SECTION_LIMIT, HEADER_LIMIT, BLOCK_LIMIT, TEXT_LIMIT = 3000, 150, 50, 40_000
FIRST_TS = 1_700_000_000


class FaultKind(StrEnum):
    """Ways to misbehave.

    The last two answer nothing after the call has taken effect: the client runs into its own
    time-out, or finds the connection closed.
    """

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    API_ERROR = "api_error"
    SILENT_AFTER_EFFECT = "silent_after_effect"
    CLOSED_AFTER_EFFECT = "closed_after_effect"


@dataclass(frozen=True)
class Fault:
    """One scripted misbehaviour of one call."""

    kind: FaultKind
    retry_after_s: int = 1
    error: str = ""
    status: int = 500
    more: Json = field(default_factory=dict)


class ApiError(Exception):
    """An answer with "ok": false, under HTTP 200 as Slack gives it."""

    def __init__(self, answer: Json) -> None:
        super().__init__(answer)
        self.answer = answer


def _refused(error: str, *messages: str) -> ApiError:
    told = {"response_metadata": {"messages": list(messages)}} if messages else {}
    return ApiError({"ok": False, "error": error, **told})


@dataclass
class SlackState:
    """What the stub knows: messages by channel in order of posting, files, calls and script."""

    token: str = TOKEN
    app_token: str = APP_TOKEN
    socket_url: str = ""
    first_ts: int = FIRST_TS
    channels: set[str] = field(default_factory=lambda: {CHANNEL})
    messages: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, Json] = field(default_factory=dict)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    script: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    hook: Callable[[str], None] = lambda _: None
    """Called before a request takes effect, and after it."""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._ticks = itertools.count()
        self._file_ids = itertools.count(1)

    def call(self, method: str, args: Json, token: str) -> Json:
        """Answer one call; raises ApiError as Slack would answer."""
        if not token:
            raise _refused("not_authed")
        if method == "apps.connections.open":
            return self._open(token)
        if token != self.token:
            raise _refused("invalid_auth")
        answers = {
            "auth.test": self._who,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete_upload,
        }
        if method not in answers:
            raise _refused("unknown_method")
        return answers[method](args)

    def _open(self, token: str) -> Json:
        """A link for Socket Mode, for the app-level token alone."""
        if token != self.app_token:
            raise _refused("invalid_auth")
        return {"ok": True, "url": self.socket_url}

    def _who(self, _args: Json) -> Json:
        return {"ok": True, "team": "stub", "user": "calmon", "bot_id": "B0STUB"}

    def _channel(self, args: Json, key: str = "channel") -> str:
        channel = str(args.get(key, ""))
        if channel not in self.channels:
            raise _refused("channel_not_found")
        return channel

    def _ts(self) -> str:
        return f"{self.first_ts + next(self._ticks)}.000100"

    def _post(self, args: Json) -> Json:
        channel = self._channel(args)
        check_message(args)
        message = {"type": "message", "ts": self._ts(), "bot_id": "B0STUB"}
        message |= {key: args[key] for key in ("text", "blocks", "metadata") if key in args}
        if parent := args.get("thread_ts"):
            if parent not in {one["ts"] for one in self.messages[channel]}:
                raise _refused("thread_not_found")
            message["thread_ts"] = parent
            if args.get("reply_broadcast"):
                message["subtype"] = "thread_broadcast"
        self.messages[channel].append(message)
        return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}

    def _update(self, args: Json) -> Json:
        channel = self._channel(args)
        check_message(args)
        for message in self.messages[channel]:
            if message["ts"] == args.get("ts"):
                message |= {key: args[key] for key in ("text", "blocks", "metadata") if key in args}
                return {"ok": True, "channel": channel, "ts": message["ts"]}
        raise _refused("message_not_found")

    def _history(self, args: Json) -> Json:
        """Newest first; of a thread only its parent and what was broadcast."""
        shown = [
            message
            for message in reversed(self.messages[self._channel(args)])
            if "thread_ts" not in message or message.get("subtype") == "thread_broadcast"
        ]
        if oldest := args.get("oldest"):
            shown = [message for message in shown if float(message["ts"]) > float(oldest)]
        return self._page(shown, args, default=100)

    def _replies(self, args: Json) -> Json:
        """The parent, then its replies, oldest first."""
        parent = args.get("ts")
        thread = [
            message
            for message in self.messages[self._channel(args)]
            if parent in (message["ts"], message.get("thread_ts"))
        ]
        if not thread:
            raise _refused("thread_not_found")
        return self._page(thread, args, default=1000)

    def _page(self, messages: list[Json], args: Json, default: int) -> Json:
        start, limit = int(args.get("cursor") or 0), int(args.get("limit", default))
        page = [dict(message) for message in messages[start : start + limit]]
        if str(args.get("include_all_metadata", "0")) not in {"1", "true"}:
            for message in page:
                message.pop("metadata", None)
        more = start + limit < len(messages)
        cursor = str(start + limit) if more else ""
        metadata = {"next_cursor": cursor}
        return {"ok": True, "messages": page, "has_more": more, "response_metadata": metadata}

    def _upload_url(self, args: Json) -> Json:
        if not args.get("filename") or int(args.get("length", 0)) <= 0:
            raise _refused("invalid_arguments")
        file_id = f"F0STUB{next(self._file_ids)}"
        self.files[file_id] = {
            "id": file_id,
            "name": args["filename"],
            "alt_txt": args.get("alt_txt"),
            "length": int(args["length"]),
            "content": None,
        }
        return {"ok": True, "file_id": file_id}

    def upload(self, file_id: str, content: bytes) -> int:
        """Take the bytes of an upload; HTTP status."""
        known = self.files.get(file_id)
        if known is None or known["length"] != len(content):
            return 400
        known["content"] = content
        return 200

    def _complete_upload(self, args: Json) -> Json:
        shared = []
        for item in json.loads(args["files"]):
            known = self.files.get(item["id"])
            if known is None or known["content"] is None:
                raise _refused("file_not_found")
            shared.append({"id": known["id"], "name": known["name"], "title": item.get("title")})
        if "channel_id" in args:
            channel = self._channel(args, "channel_id")
            message = {"type": "message", "ts": self._ts(), "text": "", "files": shared}
            if "thread_ts" in args:
                message["thread_ts"] = args["thread_ts"]
            self.messages[channel].append(message)
        return {"ok": True, "files": shared}


def check_message(args: Json) -> None:
    """Refuse what Slack refuses: no text, too much of it, wrong blocks or metadata."""
    blocks = args.get("blocks", [])
    if not args.get("text") and not blocks:
        raise _refused("no_text")
    if len(args.get("text", "")) > TEXT_LIMIT:
        raise _refused("msg_too_long")
    faults = [f"no more than {BLOCK_LIMIT} items allowed"] if len(blocks) > BLOCK_LIMIT else []
    for at, block in enumerate(blocks):
        faults += [f"[ERROR] {fault} [json-pointer:/blocks/{at}]" for fault in _wrong(block)]
    if faults:
        raise _refused("invalid_blocks", *faults)
    metadata = args.get("metadata")
    if metadata is not None and set(metadata) != {"event_type", "event_payload"}:
        raise _refused("invalid_metadata_format")


def _wrong(block: Json) -> list[str]:
    match block:
        case {"type": "divider"}:
            return []
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            return _too_long(text, HEADER_LIMIT)
        case {"type": "section", "text": {"type": "mrkdwn" | "plain_text", "text": str(text)}}:
            return _too_long(text, SECTION_LIMIT)
        case {"type": "context", "elements": [*elements]} if 0 < len(elements) <= 10:
            return [fault for one in elements for fault in _too_long(one["text"], SECTION_LIMIT)]
        case {"type": "actions", "elements": [*buttons]} if 0 < len(buttons) <= 25:
            return [fault for one in buttons for fault in _wrong_button(one)]
        case _:
            return [f"unsupported block: {json.dumps(block)[:80]}"]


def _wrong_button(one: Json) -> list[str]:
    match one:
        case {
            "type": "button",
            "action_id": str(action),
            "text": {"type": "plain_text", "text": str(text)},
        }:
            faults = _too_long(text, 75) + _too_long(action, 255)
            faults += _too_long(one["value"], 2000) if "value" in one else []
            return faults + (_too_long(one["url"], 3000) if "url" in one else [])
        case _:
            return [f"not a button: {json.dumps(one)[:80]}"]


def _too_long(text: str, limit: int) -> list[str]:
    return [] if 0 < len(text) <= limit else [f"must be 1 to {limit} characters"]


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
