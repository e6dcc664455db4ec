"""Slack's answers: by Socket Mode, which needs no port, or by signed HTTP.

Guarantees: a request is acknowledged once `take` has recorded it, and not where it could not:
Slack then shows whoever pressed that it failed; over HTTP only what Slack
has signed within the last five minutes is taken, once, and nothing that was signed before this
process started. Must never: let a token or a secret into a log, or end the process.

https://docs.slack.dev/authentication/verifying-requests-from-slack/
https://docs.slack.dev/apis/events-api/using-socket-mode/
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from monitor.notify.slack import SLACK_API

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.socket_mode.client import BaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

log = structlog.get_logger(__name__)

TOLERANCE_S = 300
"""How old a signature may be; Slack's own advice."""
LARGEST_BODY = 1 << 20
RECONNECT_S = 30
_EARLY_S = 5
"""How far Slack's clock may run behind that of a process that has just started."""


class SignedRequests:
    """Takes Slack's signed posts; `take` is given each payload once, and says if it is recorded.

    now_s: seconds since the epoch.
    """

    def __init__(
        self, secret: str, take: Callable[[object], bool], now_s: Callable[[], float]
    ) -> None:
        self._take = take
        self._now_s = now_s
        self._started_s = now_s()
        clock = Clock()
        clock.now = now_s  # type: ignore[method-assign]  # the verifier's own way to be given a clock
        self._verifier = SignatureVerifier(secret, clock)
        self._seen: dict[str, float] = {}
        self._lock = Lock()

    def answer(self, timestamp: str, signature: str, body: bytes) -> HTTPStatus:
        """Verify, take, and say what to answer.

        200, 400 for what is no payload, 401 for what is not signed, 503 for what was not recorded.
        """
        if not self._is_signed(timestamp, signature, body) or not self._is_new(signature):
            return HTTPStatus.UNAUTHORIZED
        try:
            (text,) = parse_qs(body.decode(), strict_parsing=True)["payload"]
            payload = json.loads(text)
        except (ValueError, KeyError):
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.OK if self._take(payload) else HTTPStatus.SERVICE_UNAVAILABLE

    def _is_signed(self, timestamp: str, signature: str, body: bytes) -> bool:
        # Refused too: what was signed before there was a memory of what was seen.
        if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:  # noqa: PLR2004  # digits
            return False
        if int(timestamp) < int(self._started_s) - _EARLY_S or not signature.isascii():
            return False
        try:
            return self._verifier.is_valid(body, timestamp, signature)
        except UnicodeDecodeError:
            return False

    def _is_new(self, signature: str) -> bool:
        now_s = self._now_s()
        with self._lock:
            # A signature from five minutes ahead stays valid for ten.
            self._seen = {s: at for s, at in self._seen.items() if now_s - at <= 2 * TOLERANCE_S}
            if signature in self._seen:
                return False
            self._seen[signature] = now_s
        return True


class SocketAnswers:
    """Listens by Socket Mode from its start until `close`; a context manager.

    A Slack that cannot be reached, or that refuses the token, is asked again every half minute;
    tries: how often it was asked.
    """

    def __init__(
        self,
        app_token: str,
        take: Callable[[object], bool],
        base_url: str = SLACK_API,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        self._take = take
        self._reconnect_s = reconnect_s
        self._ended = Event()
        self.tries = 0
        silent = logging.getLogger(f"{__name__}.client")
        silent.setLevel(logging.CRITICAL + 1)
        self._client = SocketModeClient(
            app_token=app_token,
            web_client=WebClient(base_url=base_url, timeout=10, retry_handlers=[], logger=silent),
            logger=silent,
            concurrency=2,
        )
        self._client.socket_mode_request_listeners.append(self._heard)
        self._thread = Thread(target=self._connect, name="slack answers", daemon=True)
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        """Whether answers come in."""
        return self._client.is_connected()

    def close(self) -> None:
        """Stop listening."""
        self._ended.set()
        self._thread.join(timeout=10)
        self._client.close()

    def __enter__(self) -> SocketAnswers:  # noqa: PYI034  # typing.Self, without needing 3.11's
        """Listen within a `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _connect(self) -> None:
        """Connect once; from then on the client keeps the connection up by itself."""
        while not self._ended.is_set():
            self.tries += 1
            try:
                self._client.connect()
            except (SlackClientError, OSError) as error:
                response = getattr(error, "response", None)
                why = response.get("error") if response is not None else type(error).__name__
                log.error("no answers from Slack by Socket Mode, tried again", why=why)  # noqa: TRY400  # no traceback: it may hold the token
                self._ended.wait(self._reconnect_s)
            else:
                log.info("answers from Slack come by Socket Mode")
                return

    def _heard(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        if request.type == "interactive" and not self._take(request.payload):
            return
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
