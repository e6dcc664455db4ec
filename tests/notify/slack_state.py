"""What the stub of Slack knows and how it answers each call of the Web API."""

# ruff: noqa: EM101  # the strings raised here are Slack's own error names

from __future__ import annotations

import itertools
import json
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.notify.slack_faults import Fault, Json, refused
from tests.notify.slack_limits import check_message

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "xoxb-stub-token"  # noqa: S105  # opens nothing but this stub
APP_TOKEN = "xapp-stub-token"  # noqa: S105  # as above
CHANNEL = "C0STUBCHAN1"
FIRST_TS = 1_700_000_000


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
            raise refused("not_authed")
        if method == "apps.connections.open":
            return self._open(token)
        if token != self.token:
            raise refused("invalid_auth")
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
            raise refused("unknown_method")
        return answers[method](args)

    def _open(self, token: str) -> Json:
        """A link for Socket Mode, for the app-level token alone."""
        if token != self.app_token:
            raise refused("invalid_auth")
        return {"ok": True, "url": self.socket_url}

    def _who(self, _args: Json) -> Json:
        return {"ok": True, "team": "stub", "user": "calmon", "bot_id": "B0STUB"}

    def _channel(self, args: Json, key: str = "channel") -> str:
        channel = str(args.get(key, ""))
        if channel not in self.channels:
            raise refused("channel_not_found")
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
                raise refused("thread_not_found")
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
        raise refused("message_not_found")

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
            raise refused("thread_not_found")
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
            raise refused("invalid_arguments")
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
                raise refused("file_not_found")
            shared.append({"id": known["id"], "name": known["name"], "title": item.get("title")})
        if "channel_id" in args:
            channel = self._channel(args, "channel_id")
            message = {"type": "message", "ts": self._ts(), "text": "", "files": shared}
            if "thread_ts" in args:
                message["thread_ts"] = args["thread_ts"]
            self.messages[channel].append(message)
        return {"ok": True, "files": shared}
