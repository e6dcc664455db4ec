"""Inbox: what a press asks for is recorded before it is acknowledged, and told of afterwards.

Guarantees: what was acknowledged was recorded, or could not be and whoever pressed is told why; a
process that dies in between leaves a press that Slack shows as failed. The telling, a request to
Slack, keeps no acknowledgement waiting. Must never: grow without bound, or end for a payload that
makes trouble.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog

from monitor.core.episode.notices import Rejected, Retry
from monitor.notify.answers import Pressed, pressed
from monitor.notify.web import posted, web_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.episode.silences import Interaction

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
_POLL_S = 0.2


class Inbox:
    """Records at once, and tells in a thread, from its start until `close`; a context manager.

    act records an interaction, within Slack's three seconds, and says what came of it; it raises
    ValueError, with the reason, for what cannot be.
    """

    def __init__(
        self,
        act: Callable[[Interaction], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._act = act
        self._now = now
        self._waiting: Queue[tuple[str, str]] = Queue(MOST_WAITING)
        self._ended = Event()
        self._client = web_client(timeout_s=5)
        self._thread = Thread(target=self._work, name="inbox", daemon=True)
        self._thread.start()

    def take(self, payload: object) -> bool:
        """Record what a payload asks for; False where that failed, and is not to be acknowledged.

        What is none of ours asks for nothing.
        """
        found = pressed(payload, self._now())
        if found is None:
            return True
        recorded, said = self._done(found)
        if found.response_url is not None:
            try:
                self._waiting.put_nowait((found.response_url, said))
            except Full:
                log.error("too many answers wait to be told, one is not")  # noqa: TRY400  # no fault of code
        return recorded

    def close(self) -> None:
        """Tell of what was taken, and end."""
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
            self._tell(*one)

    def _done(self, one: Pressed) -> tuple[bool, str]:
        """Whether it may be acknowledged, and what whoever pressed is told."""
        if one.asked is None:
            return True, one.told
        try:
            more = self._act(one.asked)
        except ValueError as error:
            return True, f"Not done: {error}"
        except Exception as error:  # one that fails must not end the others
            log.exception("an answer could not be recorded")
            return False, f"Not done, try again: {type(error).__name__}"
        log.info("answered", by=one.asked.author, what=type(one.asked).__name__.lower())
        return True, f"{one.told} {more}".strip()

    def _tell(self, url: str, text: str) -> None:
        said = {"response_type": "ephemeral", "replace_original": False, "text": text}
        answer = posted(self._client, "Slack", url, json.dumps(said).encode(), {})
        if isinstance(answer, Retry | Rejected):
            log.warning("whoever pressed was not told", why=answer.why)
