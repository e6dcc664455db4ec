"""Inbox: payloads of buttons are taken at once, and their work is done afterwards, one by one.

Guarantees: taking one never waits for the work, so that Slack has its answer within its three
seconds; whoever pressed is told what came of it, also when it failed. Must never: grow without
bound, or end for a payload that makes trouble.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog

from monitor.core.notices import Rejected, Retry
from monitor.notify.answers import Pressed, pressed
from monitor.notify.web import posted, web_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.silences import Interaction

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
_POLL_S = 0.2


class Inbox:
    """One thread that does what was asked, from its start until `close`; a context manager.

    act records an interaction and says what came of it; it raises ValueError, with the reason, for
    what cannot be.
    """

    def __init__(
        self,
        act: Callable[[Interaction], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._act = act
        self._now = now
        self._waiting: Queue[Pressed] = Queue(MOST_WAITING)
        self._ended = Event()
        self._client = web_client(timeout_s=5)
        self._thread = Thread(target=self._work, name="inbox", daemon=True)
        self._thread.start()

    def take(self, payload: object) -> bool:
        """Take a payload; False where it is none of ours, or too many wait."""
        found = pressed(payload, self._now())
        if found is None:
            return False
        try:
            self._waiting.put_nowait(found)
        except Full:
            log.error("too many answers wait, one is dropped")  # noqa: TRY400  # no fault of code
            return False
        return True

    def close(self) -> None:
        """Do what was taken, and end."""
        self._ended.set()
        self._thread.join(timeout=10)
        self._client.close()

    def __enter__(self) -> Inbox:  # noqa: PYI034  # typing.Self, without needing 3.11's
        """Work within a `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _work(self) -> None:
        while True:
            try:
                one = self._waiting.get(timeout=_POLL_S)
            except Empty:
                if self._ended.is_set():
                    return
                continue
            self._answer(one, self._done(one))

    def _done(self, one: Pressed) -> str:
        if one.asked is None:
            return one.told
        try:
            more = self._act(one.asked)
        except ValueError as error:
            return f"Not done: {error}"
        except Exception as error:  # one that fails must not end the others
            log.exception("an answer could not be recorded")
            return f"Not done, try again: {type(error).__name__}"
        log.info("answered", by=one.asked.author, what=type(one.asked).__name__.lower())
        return f"{one.told} {more}".strip()

    def _answer(self, one: Pressed, text: str) -> None:
        if one.response_url is None:
            return
        said = {"response_type": "ephemeral", "replace_original": False, "text": text}
        answer = posted(self._client, "Slack", one.response_url, json.dumps(said).encode(), {})
        if isinstance(answer, Retry | Rejected):
            log.warning("whoever pressed was not told", why=answer.why)
