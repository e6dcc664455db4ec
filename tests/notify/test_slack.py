from __future__ import annotations

import logging
import socket
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.episode.notices import Delivered, Outcome, Rejected, Retry
from monitor.notify.channels import channel_problem
from monitor.notify.messages import headline, in_thread, picture_name, reply
from monitor.notify.slack import PAGE, SlackSender
from tests.notify import verdict_samples as samples
from tests.notify.memory_outbox import POSTED_AT, notification
from tests.notify.slack_faults import Fault, FaultKind
from tests.notify.slack_state import CHANNEL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.episode.notices import AlertNotice, Notification
    from tests.notify.slack_stub import SlackStub

PNG = b"\x89PNG a picture"
FIRED = notification(samples.fired())
NOTICE = samples.fired()
MESSAGE = headline(NOTICE)
RESOLVED = notification(samples.resolved())
END = samples.resolved()
RATE_LIMITED = Fault(FaultKind.RATE_LIMITED, retry_after_s=7)
BROKEN = Fault(FaultKind.SERVER_ERROR, status=503)
SILENT = Fault(FaultKind.SILENT_AFTER_EFFECT)
CLOSED = Fault(FaultKind.CLOSED_AFTER_EFFECT)


def refusing(error: str, **more: object) -> Fault:
    return Fault(FaultKind.API_ERROR, error=error, more=more)


def sender(stub: SlackStub, token: str = TOKEN) -> SlackSender:
    return SlackSender(token, stub.api_url, timeout_s=1, apart_s=0)


def test_an_alert_is_posted_with_blocks_fallback_and_id_and_its_picture_in_the_thread(
    slack: SlackStub,
) -> None:
    outcome = sender(slack).send(FIRED, NOTICE, PNG)
    (post,) = slack.parents()
    assert outcome == Delivered({"channel": CHANNEL, "ts": post["ts"], "thread_ts": None})
    assert post["text"] == MESSAGE.text
    assert post["blocks"] == list(MESSAGE.blocks)
    assert post["metadata"]["event_payload"] == {
        "notification_id": FIRED.notification_id,
        "group_id": FIRED.group_id,
        "part": "message",
    }
    (details,) = slack.replies()
    said = in_thread(NOTICE)
    assert said is not None
    assert (details["thread_ts"], details["blocks"]) == (post["ts"], list(said.blocks))
    assert "subtype" not in details
    (share,) = slack.shared()
    assert share["thread_ts"] == post["ts"]
    (file,) = slack.state.files.values()
    assert (file["name"], file["content"]) == (picture_name(FIRED.notification_id), PNG)
    assert "overconfident" in file["alt_txt"]


CHANGED = notification(samples.changed())
REMINDED = notification(samples.reminded())


@pytest.mark.parametrize(
    ("row", "notice", "broadcast"),
    [
        (CHANGED, samples.changed(), False),
        (REMINDED, samples.reminded(), True),
        (RESOLVED, END, False),
    ],
    ids=["changed", "reminded", "resolved"],
)
def test_what_follows_edits_the_message_and_is_said_in_its_thread(
    slack: SlackStub, row: Notification, notice: AlertNotice, *, broadcast: bool
) -> None:
    parent = delivered(sender(slack).send(FIRED, NOTICE, None))
    for _ in range(2):  # the second as after a crash before the record
        again = delivered(sender(slack).send(replace(row, parent_receipt=parent), notice, None))
        assert again == parent
    (post,) = slack.parents()
    assert post["blocks"] == list(headline(notice).blocks)
    _, said = slack.replies()
    assert (said["thread_ts"], said["blocks"]) == (post["ts"], list(reply(notice).blocks))
    assert (said.get("subtype") == "thread_broadcast") is broadcast
    assert slack.doubled() == []


@pytest.mark.parametrize("fault", [RATE_LIMITED, BROKEN, SILENT, CLOSED], ids=lambda f: f.kind)
@pytest.mark.parametrize("method", ["chat.update", "chat.postMessage"])
def test_an_edit_that_fails_is_made_again_and_said_once(
    slack: SlackStub, method: str, fault: Fault
) -> None:
    parent = delivered(sender(slack).send(FIRED, NOTICE, None))
    slack.fail(method, fault)
    end = replace(RESOLVED, parent_receipt=parent)
    assert isinstance(sender(slack).send(end, END, None), Retry)
    delivered(sender(slack).send(end, END, None))
    (post,) = slack.parents()
    assert post["text"].startswith("Resolved")
    assert len(slack.replies()) == 2
    assert slack.doubled() == []


@pytest.mark.parametrize("error", ["message_not_found", "edit_window_closed"])
def test_a_message_that_cannot_be_edited_is_followed_by_another_seen_in_the_channel(
    slack: SlackStub, error: str
) -> None:
    parent = delivered(sender(slack).send(FIRED, NOTICE, None))
    slack.fail("chat.update", refusing(error), refusing(error))
    end = replace(RESOLVED, parent_receipt=parent)
    for _ in range(2):
        delivered(sender(slack).send(end, END, None))
    *_, last = slack.posted()
    assert (last["subtype"], last["blocks"]) == ("thread_broadcast", [*headline(END).blocks])
    assert slack.doubled() == []


def test_posts_to_one_channel_are_a_second_apart(slack: SlackStub) -> None:
    waited: list[float] = []
    paced = SlackSender(TOKEN, slack.api_url, pause=waited.append)
    delivered(paced.send(FIRED, NOTICE, PNG))
    assert len(waited) == 2, "before the details and before the picture"
    assert all(0 < wait_s <= 1 for wait_s in waited)


def delivered(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Delivered), outcome
    return dict(outcome.receipt)


@pytest.mark.parametrize("parent", [None, {"channel": CHANNEL, "ts": "1600000000.000100"}])
def test_an_end_whose_beginning_is_gone_is_told_in_the_channel(
    slack: SlackStub, parent: dict[str, str] | None
) -> None:
    delivered(sender(slack).send(replace(RESOLVED, parent_receipt=parent), END, None))
    (post,) = slack.parents()
    assert "thread_ts" not in post


@pytest.mark.parametrize(
    ("fault", "outcome", "posts"),
    [
        (RATE_LIMITED, Retry("Slack asked to wait 7 s", timedelta(seconds=7)), 0),
        (BROKEN, Retry("Slack is unwell: HTTP 503"), 0),
        (refusing("internal_error"), Retry("Slack is unwell: HTTP 200 internal_error"), 0),
        (SILENT, Retry("Slack did not answer in time"), 1),
        (CLOSED, Retry("no usable answer from Slack: RemoteDisconnected"), 1),
        (
            refusing("invalid_auth"),
            Rejected("Slack refused: invalid_auth (the token is not valid; set a new one)"),
            0,
        ),
        (
            refusing("token_revoked"),
            Rejected("Slack refused: token_revoked (the token was revoked; set a new one)"),
            0,
        ),
        (
            refusing("channel_not_found"),
            Rejected(
                "Slack refused: channel_not_found "
                "(no such channel, or a private one that the app is not a member of)"
            ),
            0,
        ),
        (
            refusing("is_archived"),
            Rejected(
                "Slack refused: is_archived (the channel is archived; route the model to another)"
            ),
            0,
        ),
        (refusing("surprise"), Rejected("Slack refused: surprise"), 0),
    ],
    ids=lambda value: value.error or str(value.kind) if isinstance(value, Fault) else "",
)
def test_every_failure_of_a_post_has_its_outcome_and_a_retry_doubles_nothing(
    slack: SlackStub, fault: Fault, outcome: Outcome, posts: int
) -> None:
    slack.fail("chat.postMessage", fault)
    assert sender(slack).send(FIRED, NOTICE, None) == outcome
    assert len(slack.parents()) == posts
    delivered(sender(slack).send(FIRED, NOTICE, None))
    assert len(slack.parents()) == 1


def test_a_wrong_token_is_rejected_by_slack_itself(slack: SlackStub) -> None:
    outcome = sender(slack, "xoxb-wrong").send(FIRED, NOTICE, PNG)
    assert outcome == Rejected(
        "Slack refused: invalid_auth (the token is not valid; set a new one)"
    )
    assert slack.posted() == []


def test_blocks_that_slack_refuses_are_rejected_with_slacks_reason(slack: SlackStub) -> None:
    told = {"messages": ["[ERROR] must be less than 151 characters"]}
    slack.fail("chat.postMessage", refusing("invalid_blocks", response_metadata=told))
    outcome = sender(slack).send(FIRED, NOTICE, None)
    assert outcome == Rejected(
        "Slack refused: invalid_blocks; [ERROR] must be less than 151 characters"
    )


@pytest.mark.parametrize("fault", [RATE_LIMITED, BROKEN, refusing("fatal_error")])
def test_nothing_is_posted_while_slack_cannot_be_asked_what_is_there(
    slack: SlackStub, fault: Fault
) -> None:
    slack.fail("conversations.history", fault)
    assert isinstance(sender(slack).send(FIRED, NOTICE, None), Retry)
    assert slack.posted() == []


@pytest.mark.parametrize("error", ["missing_scope", "not_in_channel"])
def test_an_app_that_may_not_look_posts_all_the_same_and_says_so(
    slack: SlackStub, error: str
) -> None:
    slack.fail("conversations.history", refusing(error))
    outcome = sender(slack).send(FIRED, NOTICE, None)
    assert isinstance(outcome, Delivered)
    assert outcome.detail.startswith(f"could not look for an earlier post: Slack refused: {error}")
    assert len(slack.parents()) == 1


def test_an_earlier_post_is_found_behind_a_busy_channel(slack: SlackStub) -> None:
    """A crash came between post and record: the row knows no attempt and no receipt."""
    first = delivered(sender(slack).send(FIRED, NOTICE, None))
    for k in range(PAGE + 20):
        chat = {"channel": CHANNEL, "text": f"chat {k}"}
        slack.state.call("chat.postMessage", chat, TOKEN)
    outcome = sender(slack).send(FIRED, NOTICE, None)
    assert outcome == Delivered(first, "found the post of an earlier attempt")
    assert len(slack.calls("conversations.history")) == 1 + 2


def test_what_was_posted_long_before_the_notification_is_not_read(slack: SlackStub) -> None:
    later = replace(FIRED, created_at=POSTED_AT + timedelta(days=30))
    sender(slack).send(later, NOTICE, None)
    (call,) = slack.calls("conversations.history")
    assert float(call["oldest"]) == (later.created_at - timedelta(hours=1)).timestamp()


@pytest.mark.parametrize(
    ("method", "fault", "why"),
    [
        ("files.getUploadURLExternal", BROKEN, "Slack is unwell: HTTP 503"),
        ("files.getUploadURLExternal", RATE_LIMITED, "Slack asked to wait 7 s"),
        ("upload", BROKEN, "no usable answer from Slack: HTTPError"),
        ("upload", CLOSED, "no usable answer from Slack: RemoteDisconnected"),
        ("files.completeUploadExternal", BROKEN, "Slack is unwell: HTTP 503"),
        ("files.completeUploadExternal", SILENT, "Slack did not answer in time"),
        ("files.completeUploadExternal", CLOSED, "no usable answer from Slack"),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Fault) else str(value)[:12],
)
def test_a_failing_picture_neither_loses_nor_doubles_message_or_picture(
    slack: SlackStub, method: str, fault: Fault, why: str
) -> None:
    slack.fail(method, fault)
    outcome = sender(slack).send(FIRED, NOTICE, PNG)
    (post,) = slack.parents()
    assert isinstance(outcome, Retry)
    assert outcome.why.startswith(f"message is out; its thread: {why}")
    assert outcome.receipt == {"channel": CHANNEL, "ts": post["ts"], "thread_ts": None}
    again = replace(FIRED, receipt=outcome.receipt, attempts=1)
    assert isinstance(sender(slack).send(again, NOTICE, PNG), Delivered)
    assert len(slack.parents()) == 1
    assert len(slack.shared()) == 1
    assert slack.doubled() == []


def test_a_picture_that_slack_refuses_leaves_the_message_delivered(slack: SlackStub) -> None:
    slack.fail("files.getUploadURLExternal", refusing("missing_scope"))
    outcome = sender(slack).send(FIRED, NOTICE, PNG)
    assert isinstance(outcome, Delivered)
    assert "delivered, but not all of its thread: Slack refused: missing_scope" in outcome.detail
    assert len(slack.parents()) == 1


def test_a_crash_after_the_picture_doubles_nothing(slack: SlackStub) -> None:
    delivered(sender(slack).send(FIRED, NOTICE, PNG))
    delivered(sender(slack).send(FIRED, NOTICE, PNG))
    assert (len(slack.parents()), len(slack.shared())) == (1, 1)


def test_two_notifications_with_the_same_words_are_two_posts(slack: SlackStub) -> None:
    other = replace(FIRED, notification_id="another")
    delivered(sender(slack).send(FIRED, NOTICE, None))
    delivered(sender(slack).send(other, NOTICE, None))
    assert len(slack.parents()) == 2


@pytest.mark.parametrize(
    ("channel", "good"),
    [
        (CHANNEL, True),
        ("G0123ABCDEF", True),
        ("#ml-alerts", False),
        ("ml-alerts", False),
        ("", False),
        ("C0123ABCDEF ", False),
        ("c0123abcdef", False),
    ],
)
def test_a_channel_is_named_by_its_id(slack: SlackStub, channel: str, *, good: bool) -> None:
    assert (channel_problem(channel) is None) is good
    outcome = sender(slack).send(replace(FIRED, target=channel), NOTICE, None)
    if not good:
        assert isinstance(outcome, Rejected)
        assert "not a channel id" in outcome.why
        assert slack.state.calls == []


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections: bound by us, listened to by nobody."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def test_a_slack_that_cannot_be_reached_is_tried_again(closed_port: int) -> None:
    nowhere = SlackSender(TOKEN, f"http://127.0.0.1:{closed_port}/api/", timeout_s=1)
    outcome = nowhere.send(FIRED, NOTICE, PNG)
    assert isinstance(outcome, Retry)
    assert "Connection refused" in outcome.why


def test_the_token_is_in_no_log_and_no_outcome(
    slack: SlackStub, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "xoxb-very-secret"  # noqa: S105  # opens nothing
    caplog.set_level(logging.DEBUG)
    slack.state.token = secret
    said: list[object] = [sender(slack, secret)]
    for fault in (BROKEN, CLOSED, SILENT, refusing("invalid_auth"), RATE_LIMITED):
        slack.fail("chat.postMessage", fault)
        one = replace(FIRED, notification_id=str(fault))
        said.append(sender(slack, secret).send(one, NOTICE, PNG))
    assert secret not in caplog.text + repr(said)
    assert slack.calls("chat.postMessage"), "requests were made"
    for _, args in slack.state.calls:
        assert secret not in repr(args), "the token travels in its header alone"


def test_a_proxy_of_the_environment_is_used_by_its_rules(
    slack: SlackStub, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # urllib reads the proxies once a process, with its first request.
    monkeypatch.setattr("urllib.request._opener", None)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    delivered(sender(slack).send(FIRED, NOTICE, PNG))
    monkeypatch.setenv("no_proxy", "")
    outcome = sender(slack).send(replace(FIRED, notification_id="2"), NOTICE, PNG)
    assert isinstance(outcome, Retry), "through the proxy, which nobody serves"
