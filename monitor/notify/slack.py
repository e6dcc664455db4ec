"""Slack: posts a message once, its picture beside it, by the Web API.

Guarantees: one request a call, with no silent repeats by the client; before every post it looks
in the channel and the thread for one with the same notification id in its metadata, so that a
crash or a time-out after the post took effect doubles nothing (Slack has no documented key for
idempotent posts); a picture that fails never undoes or repeats its message. Must never: let the
token into a log, a message or an outcome, or sleep.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from monitor.core.notices import Delivered, Outcome, Rejected, Retry
from monitor.notify.channels import channel_problem
from monitor.notify.messages import picture_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk.web import SlackResponse

    from monitor.core.notices import Notification
    from monitor.core.verdict_json import Json
    from monitor.notify.messages import Message

SLACK_API = WebClient.BASE_URL
TIMEOUT_S = 10
EVENT_TYPE = "calmon_notification"
PAGE, PAGES = 200, 10
"""How much of a channel is looked through for an earlier post, from the newest on."""
LOOK_BACK = timedelta(hours=1)
"""How far before a notification its post is looked for: room for clocks that disagree."""
UNKNOWN_RETRY_AFTER = timedelta(seconds=30)

_PASSING = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_LOST_THREAD = {"thread_not_found", "invalid_thread_ts", "cannot_reply_to_message"}
_MENDS = {
    "invalid_auth": "the token is not valid; set a new one",
    "not_authed": "no token was sent; set one",
    "token_revoked": "the token was revoked; set a new one",
    "token_expired": "the token has expired; set a new one",
    "account_inactive": "the token's user or workspace is gone; set a new one",
    "channel_not_found": "no such channel, or a private one that the app is not a member of",
    "not_in_channel": "the app is not a member of the channel; invite it",
    "is_archived": "the channel is archived; route the model to another",
    "missing_scope": "the app needs chat:write, files:write and channels:history"
    " (groups:history for private channels)",
}
_FAILURES = (SlackClientError, OSError, HTTPException)


@dataclass(frozen=True, slots=True)
class _Out:
    """Where the message stands; `found` when it was there before, `detail` for the record."""

    receipt: Json
    found: bool
    detail: str = ""


class SlackSender:
    """Sends notifications as one bot; `base_url` is for a stub or a proxy of the Web API."""

    def __init__(self, token: str, base_url: str = SLACK_API, timeout_s: int = TIMEOUT_S) -> None:
        # The client's own logger says nothing: every failure is in the outcome, and its debug
        # lines hold whole requests.
        silent = logging.getLogger(f"{__name__}.client")
        silent.setLevel(logging.CRITICAL + 1)
        # The client would repeat a post after a lost connection, which may double it.
        self._client = WebClient(
            token=token, base_url=base_url, timeout=timeout_s, retry_handlers=[], logger=silent
        )
        # The client sends everything to HTTPS_PROXY; without a proxy of its own, urllib
        # chooses by the environment's rules, NO_PROXY among them.
        self._client.proxy = None

    def send(self, notification: Notification, message: Message, picture: bytes | None) -> Outcome:
        """Post the message unless it is out already, then attach the picture to its thread."""
        if problem := channel_problem(notification.target):
            return Rejected(problem)
        try:
            out = self._message_out(notification, message)
        except _FAILURES as error:
            return _outcome(error)
        if picture is None:
            return Delivered(out.receipt, out.detail)
        try:
            self._attach(notification, message, picture, out)
        except _FAILURES as error:
            return _without_picture(_outcome(error), out)
        return Delivered(out.receipt, out.detail)

    def _message_out(self, notification: Notification, message: Message) -> _Out:
        if notification.receipt is not None:
            return _Out(notification.receipt, found=True)
        blind = ""
        try:
            earlier = self._earlier_post(notification)
        except SlackApiError as error:
            outcome = _outcome(error)
            if isinstance(outcome, Retry):
                raise
            # Not allowed to look: a doubled alert is better than none.
            earlier, blind = None, f"could not look for an earlier post: {outcome.why}"
        if earlier is not None:
            return _Out(earlier, found=True, detail="found the post of an earlier attempt")
        return _Out(self._post(notification, message), found=False, detail=blind)

    def _earlier_post(self, notification: Notification) -> Json | None:
        """Receipt of the post that carries this notification's id, from channel or thread."""
        for message in self._candidates(notification):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("notification_id") == notification.notification_id:
                return _receipt(notification.target, message["ts"], message.get("thread_ts"))
        return None

    def _candidates(self, notification: Notification) -> Iterator[dict[str, Any]]:
        oldest = str((notification.created_at - LOOK_BACK).timestamp())
        cursor: str | None = None
        for _ in range(PAGES):
            page = self._client.conversations_history(
                channel=notification.target,
                cursor=cursor,
                oldest=oldest,
                limit=PAGE,
                include_all_metadata=True,
            )
            yield from page["messages"]
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        if notification.parent_receipt is not None:
            yield from self._thread(notification.target, str(notification.parent_receipt["ts"]))

    def _thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """Messages of a thread; none where it was deleted."""
        try:
            page = self._client.conversations_replies(
                channel=channel, ts=ts, limit=PAGE, include_all_metadata=True
            )
        except SlackApiError as error:
            if error.response.get("error") in _LOST_THREAD:
                return []
            raise
        return list(page["messages"])

    def _post(self, notification: Notification, message: Message) -> Json:
        parent = notification.parent_receipt
        if parent is None:
            return self._post_to(notification, message, None)
        try:
            return self._post_to(notification, message, str(parent["ts"]))
        except SlackApiError as error:
            if error.response.get("error") not in _LOST_THREAD:
                raise
            return self._post_to(notification, message, None)

    def _post_to(self, notification: Notification, message: Message, thread: str | None) -> Json:
        ids = {
            "notification_id": notification.notification_id,
            "group_id": notification.group_id,
        }
        answer = self._client.chat_postMessage(
            channel=notification.target,
            text=message.text,
            blocks=list(message.blocks),
            metadata={"event_type": EVENT_TYPE, "event_payload": ids},
            thread_ts=thread,
            # What is told in the thread is seen in the channel too.
            reply_broadcast=True if thread else None,
            unfurl_links=False,
            unfurl_media=False,
        )
        return _receipt(_said(answer, "channel"), _said(answer, "ts"), thread)

    def _attach(
        self, notification: Notification, message: Message, picture: bytes, out: _Out
    ) -> None:
        channel = str(out.receipt["channel"])
        thread = str(out.receipt.get("thread_ts") or out.receipt["ts"])
        name = picture_name(notification.notification_id)
        if out.found and self._is_shared(channel, thread, name):
            return
        self._client.files_upload_v2(
            file=picture,
            filename=name,
            title="Reliability: claimed probability against observed frequency",
            alt_txt=f"Reliability picture. {message.text}"[:1000],
            channel=channel,
            thread_ts=thread,
        )

    def _is_shared(self, channel: str, thread: str, name: str) -> bool:
        """Whether an earlier attempt has put the picture there; no where one may not look."""
        try:
            messages = self._thread(channel, thread)
        except SlackApiError as error:
            if isinstance(_outcome(error), Retry):
                raise
            return False
        files = (one for message in messages for one in message.get("files") or ())
        return any(one.get("name") == name for one in files)


def _receipt(channel: str, ts: str, thread_ts: str | None) -> Json:
    return {"channel": channel, "ts": ts, "thread_ts": thread_ts}


def _said(answer: SlackResponse, key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str):
        msg = f"Slack's answer has no {key}"
        raise SlackClientError(msg)
    return value


def _without_picture(outcome: Retry | Rejected, out: _Out) -> Outcome:
    """Outcome of a picture that failed, while its message is out."""
    if isinstance(outcome, Retry):
        return replace(
            outcome, why=f"message is out; its picture: {outcome.why}", receipt=out.receipt
        )
    missing = f"delivered without its picture: {outcome.why}"
    return Delivered(out.receipt, f"{out.detail}; {missing}" if out.detail else missing)


def _outcome(error: Exception) -> Retry | Rejected:
    """What a failure means: whether, and when, another try makes sense."""
    if isinstance(error, SlackApiError):
        return _refusal(error.response)
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return Retry("Slack did not answer in time")
    # Only the kind and the reason: an error's own text may hold a request's URL.
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or ""
    return Retry(f"no usable answer from Slack: {type(error).__name__} {reason}".strip())


def _refusal(response: SlackResponse) -> Retry | Rejected:
    name = str(response.get("error", ""))
    status = response.status_code
    if status == 429 or name in {"ratelimited", "rate_limited"}:  # noqa: PLR2004  # HTTP status
        after = _retry_after(response.headers)
        return Retry(f"Slack asked to wait {after.total_seconds():.0f} s", after=after)
    if status >= 500 or name in _PASSING:  # noqa: PLR2004  # HTTP status
        said = name if name in _PASSING else ""
        return Retry(f"Slack is unwell: HTTP {status} {said}".strip())
    mend = f" ({_MENDS[name]})" if name in _MENDS else ""
    told = (response.get("response_metadata") or {}).get("messages") or []
    return Rejected("; ".join([f"Slack refused: {name}{mend}", *map(str, told)])[:1000])


def _retry_after(headers: dict[str, str]) -> timedelta:
    said = next((value for key, value in headers.items() if key.lower() == "retry-after"), "")
    return timedelta(seconds=int(said)) if said.isdigit() else UNKNOWN_RETRY_AFTER
