"""Slack: one message a group of episodes, edited as things change, the rest in its thread.

Guarantees: one request a call, with no silent repeats by the client; before every post it looks
in the channel and the thread for one with the same notification id in its metadata, so that a
crash or a time-out after the post took effect doubles nothing (Slack has no documented key for
idempotent posts); an edit is the same however often it is made; what fails in the thread never
undoes or repeats the message; posts to a channel are a second apart. Must never: let the token
into a log, a message or an outcome.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import Delivered, Outcome, Rejected, Retry
from monitor.notify.channels import channel_problem
from monitor.notify.messages import headline, in_thread, picture_name, reply
from monitor.notify.slack_failures import FAILURES, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slack_sdk.web import SlackResponse

    from monitor.core.episode.notices import AlertNotice, Notification
    from monitor.core.judging.verdict_json import Json
    from monitor.notify.messages import Message

SLACK_API = WebClient.BASE_URL
TIMEOUT_S = 10
EVENT_TYPE = "calmon_notification"
PAGE, PAGES = 200, 10
"""How much of a channel is looked through for an earlier post, from the newest on."""
LOOK_BACK = timedelta(hours=1)
"""How far before a notification its post is looked for: room for clocks that disagree."""
APART_S = 1.0
"""Slack takes one post a second in a channel: https://docs.slack.dev/apis/web-api/rate-limits."""
MESSAGE, DETAILS = "message", "details"
"""Parts of a notification, as their metadata names them."""

_LOST_THREAD = {"thread_not_found", "invalid_thread_ts", "cannot_reply_to_message"}
_NOT_EDITABLE = {"message_not_found", "cant_update_message", "edit_window_closed"}


@dataclass(frozen=True, slots=True)
class _Out:
    """Where the message stands; `detail` is for the record.

    found: whether it was there before; edited: whether it is the one that opened the group.
    """

    receipt: Json
    found: bool
    detail: str = ""
    edited: bool = False


class SlackSender:
    """Sends notifications as one bot; `base_url` is for a stub or a proxy of the Web API.

    interactive: whether someone listens to buttons. pause: waits so many seconds.
    """

    pictured = True

    def __init__(  # noqa: PLR0913  # what tests and stubs need to set
        self,
        token: str,
        base_url: str = SLACK_API,
        timeout_s: int = TIMEOUT_S,
        *,
        interactive: bool = False,
        apart_s: float = APART_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
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
        self._interactive = interactive
        self._apart_s = apart_s
        self._pause = pause
        self._wrote_at_s: dict[str, float] = {}

    def send(
        self, notification: Notification, notice: AlertNotice, picture: bytes | None
    ) -> Outcome:
        """Bring the group's message up to date, then its thread: each at most once."""
        if problem := channel_problem(notification.target):
            return Rejected(problem)
        try:
            out = self._message_out(notification, notice)
        except FAILURES as error:
            return outcome_of(error)
        try:
            self._thread_out(notification, notice, picture, out)
        except FAILURES as error:
            return _without_thread(outcome_of(error), out)
        return Delivered(out.receipt, out.detail)

    def _message_out(self, notification: Notification, notice: AlertNotice) -> _Out:
        """The message in the channel: edited where it is out, else posted."""
        message = headline(notice, interactive=self._interactive)
        opened, known = notification.parent_receipt, notification.receipt
        if known is not None:
            # It is out, and only its thread is not. By now it may say what is newer: leave it.
            edited = opened is not None and known.get("ts") == opened.get("ts")
            return _Out(known, found=True, edited=edited)
        if opened is None:
            return self._posted(notification, message)
        if self._edited(opened, message):
            return _Out(opened, found=True, edited=True)
        # It was deleted, or may no longer be edited: told in its thread, seen in the channel.
        return self._posted(notification, message)

    def _edited(self, receipt: Json, message: Message) -> bool:
        """Whether Slack took the edit; the same edit again changes nothing."""
        channel = str(receipt["channel"])
        self._keep_apart(channel)
        try:
            self._client.chat_update(
                channel=channel, ts=str(receipt["ts"]), text=message.text, blocks=[*message.blocks]
            )
        except SlackApiError as error:
            if error.response.get("error") in _NOT_EDITABLE:
                return False
            raise
        return True

    def _posted(self, notification: Notification, message: Message) -> _Out:
        blind = ""
        try:
            earlier = self._earlier_post(notification)
        except SlackApiError as error:
            outcome = outcome_of(error)
            if isinstance(outcome, Retry):
                raise
            # Not allowed to look: a doubled alert is better than none.
            earlier, blind = None, f"could not look for an earlier post: {outcome.why}"
        if earlier is not None:
            return _Out(earlier, found=True, detail="found the post of an earlier attempt")
        return _Out(self._post(notification, message), found=False, detail=blind)

    def _thread_out(
        self, notification: Notification, notice: AlertNotice, picture: bytes | None, out: _Out
    ) -> None:
        """Details and picture of a message that is new; what happened, for one that was edited."""
        said = reply(notice) if out.edited else in_thread(notice)
        channel, thread = str(out.receipt["channel"]), str(out.receipt["ts"])
        thread = str(out.receipt.get("thread_ts") or thread)
        there = self._looked(channel, thread) if out.found else []
        if said is not None and not any(_is(one, notification, DETAILS) for one in there):
            broadcast = out.edited and notification.kind is AlertKind.REMINDED
            self._post_to(notification, said, thread, part=DETAILS, broadcast=broadcast)
        if picture is not None:
            self._attach(notification, notice, picture, out, there)

    def _looked(self, channel: str, thread: str) -> list[dict[str, Any]]:
        """What is in the thread; nothing where one may not look."""
        try:
            return self._thread(channel, thread)
        except SlackApiError as error:
            if isinstance(outcome_of(error), Retry):
                raise
            return []

    def _keep_apart(self, channel: str) -> None:
        """Wait until a second has passed since the last write to the channel."""
        now_s = time.monotonic()
        wait_s = self._wrote_at_s.get(channel, -self._apart_s) + self._apart_s - now_s
        if wait_s > 0:
            self._pause(min(wait_s, self._apart_s))
        self._wrote_at_s[channel] = time.monotonic()

    def _earlier_post(self, notification: Notification) -> Json | None:
        """Receipt of the post that carries this notification's id, from channel or thread."""
        for message in self._candidates(notification):
            if _is(message, notification, MESSAGE):
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

    def _post_to(
        self,
        notification: Notification,
        message: Message,
        thread: str | None,
        *,
        part: str = MESSAGE,
        broadcast: bool = True,
    ) -> Json:
        ids = {
            "notification_id": notification.notification_id,
            "group_id": notification.group_id,
            "part": part,
        }
        self._keep_apart(notification.target)
        answer = self._client.chat_postMessage(
            channel=notification.target,
            text=message.text,
            blocks=list(message.blocks),
            metadata={"event_type": EVENT_TYPE, "event_payload": ids},
            thread_ts=thread,
            # What replaces a message, and a reminder, is seen in the channel too.
            reply_broadcast=True if thread and broadcast else None,
            unfurl_links=False,
            unfurl_media=False,
        )
        return _receipt(_said(answer, "channel"), _said(answer, "ts"), thread)

    def _attach(
        self,
        notification: Notification,
        notice: AlertNotice,
        picture: bytes,
        out: _Out,
        there: list[dict[str, Any]],
    ) -> None:
        name = picture_name(notification.notification_id)
        files = (one for message in there for one in message.get("files") or ())
        if any(one.get("name") == name for one in files):
            return
        channel = str(out.receipt["channel"])
        self._keep_apart(channel)
        self._client.files_upload_v2(
            file=picture,
            filename=name,
            title="Reliability: claimed probability against observed frequency",
            alt_txt=f"Reliability picture. {headline(notice).plain}"[:1000],
            channel=channel,
            thread_ts=str(out.receipt.get("thread_ts") or out.receipt["ts"]),
        )


def _is(message: dict[str, Any], notification: Notification, part: str) -> bool:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    same = payload.get("notification_id") == notification.notification_id
    return same and payload.get("part", MESSAGE) == part


def _receipt(channel: str, ts: str, thread_ts: str | None) -> Json:
    return {"channel": channel, "ts": ts, "thread_ts": thread_ts}


def _said(answer: SlackResponse, key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str):
        msg = f"Slack's answer has no {key}"
        raise SlackClientError(msg)
    return value


def _without_thread(outcome: Retry | Rejected, out: _Out) -> Outcome:
    """Outcome of a thread that failed, while the message is out."""
    if isinstance(outcome, Retry):
        return replace(
            outcome, why=f"message is out; its thread: {outcome.why}", receipt=out.receipt
        )
    missing = f"delivered, but not all of its thread: {outcome.why}"
    return Delivered(out.receipt, f"{out.detail}; {missing}" if out.detail else missing)
