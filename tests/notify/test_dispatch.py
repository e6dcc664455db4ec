from __future__ import annotations

import io
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.episode.notices import (
    LAST_ATTEMPT,
    Attempt,
    AttemptOutcome,
    Delivered,
    Notification,
    Outcome,
)
from monitor.notify.console import ConsoleSender
from monitor.notify.dispatch import deliver
from monitor.notify.slack import SlackSender
from monitor.pictures import PictureError
from tests.notify import verdict_samples as samples
from tests.notify.memory_outbox import POSTED_AT, MemoryOutbox, notification
from tests.notify.slack_faults import Fault, FaultKind, Json
from tests.notify.slack_state import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from monitor.core.episode.notices import AlertNotice
    from monitor.core.verdicts import Verdict
    from monitor.notify.dispatch import Sender
    from tests.notify.slack_stub import SlackStub

DELIVERED, RETRY, REJECTED = list(AttemptOutcome)[:3]
FIRED = notification(samples.fired())
RESOLVED = notification(samples.resolved())
NOW = POSTED_AT
PNG = b"\x89PNG a picture"
BROKEN = Fault(FaultKind.SERVER_ERROR)
SILENT = Fault(FaultKind.SILENT_AFTER_EFFECT)
CLOSED = Fault(FaultKind.CLOSED_AFTER_EFFECT)
LIMITED = Fault(FaultKind.RATE_LIMITED, retry_after_s=60)


def picture(_verdict: Verdict) -> bytes:
    return PNG


def no_picture(_verdict: Verdict) -> bytes:
    msg = "no bin holds a label"
    raise PictureError(msg)


def by_slack(stub: SlackStub) -> dict[str, Sender]:
    return {"slack": SlackSender(TOKEN, stub.api_url, timeout_s=1, apart_s=0)}


def told(stub: SlackStub) -> tuple[Json, Json]:
    """The one message, edited to its end, and the last reply in its thread; nothing is there twice.

    The thread holds the details and what was said of the end.
    """
    (parent,) = stub.parents()
    _, last = stub.replies()
    assert parent["text"].startswith("Resolved")
    assert stub.doubled() == []
    return parent, last


def run(
    outbox: MemoryOutbox,
    senders: Mapping[str, Sender],
    hours: float = 24,
    pictures: Callable[[Verdict], bytes] = picture,
) -> None:
    """Pass after pass, each at the time at which something is due next, for so many hours."""
    now = NOW
    while now <= NOW + timedelta(hours=hours):
        done = deliver(outbox, senders, now, pictures)
        waiting = [tried[-1][1].next_attempt_at for tried in outbox.attempts.values()]
        later = [at for at in waiting if at is not None and at > now]
        if not later and not done:
            return
        now = min(later) if later else now + timedelta(minutes=1)


def test_beginning_and_end_are_told_once_in_one_thread(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED, RESOLVED])
    for k in range(4):
        deliver(outbox, by_slack(slack), NOW + timedelta(hours=k), picture)
    first, last = told(slack)
    assert last["thread_ts"] == first["ts"]
    assert [share["thread_ts"] for share in slack.shared()] == [first["ts"]]
    for row in (FIRED, RESOLVED):
        assert outbox.outcomes(row.notification_id) == [(DELIVERED, "delivered")]


def test_what_was_done_is_returned(slack: SlackStub) -> None:
    (done,) = deliver(MemoryOutbox([FIRED]), by_slack(slack), NOW, picture)
    assert done.notification == FIRED
    assert done.attempt.outcome is DELIVERED
    assert done.attempt.receipt is not None
    assert done.attempt.receipt["ts"] == slack.parents()[0]["ts"]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(list(faults), id="-".join(str(fault.kind)[:6] for fault in faults))
        for faults in itertools.product([LIMITED, BROKEN, SILENT, CLOSED], repeat=2)
    ],
)
def test_whatever_fails_twice_is_delivered_once_in_the_end(
    slack: SlackStub, faults: list[Fault]
) -> None:
    outbox = MemoryOutbox([FIRED, RESOLVED])
    slack.fail("chat.postMessage", *faults)
    run(outbox, by_slack(slack))
    first, last = told(slack)
    assert last["thread_ts"] == first["ts"]
    assert len(slack.shared()) == 1
    for row in (FIRED, RESOLVED):
        assert outbox.outcomes(row.notification_id)[-1][0] is DELIVERED


STEPS = [
    ("conversations.history", "before the look"),
    ("chat.postMessage", "before the post"),
    ("chat.update", "before the edit"),
    ("files.getUploadURLExternal", "before the upload"),
    ("files.completeUploadExternal", "before the share"),
    ("record", "before the record"),
]


class KilledError(BaseException):
    """Stands for kill -9: nothing in the product may catch it."""


class Killing(SlackSender):
    """A sender whose process dies when it is about to call one method, a number of times."""

    def __init__(self, stub: SlackStub, method: str, times: int) -> None:
        super().__init__(TOKEN, stub.api_url, timeout_s=1, apart_s=0)
        call = self._client.api_call
        lives = iter(range(times))

        def dying(api_method: str, **rest: object) -> object:
            if api_method == method and next(lives, None) is not None:
                raise KilledError
            return call(api_method, **rest)  # type: ignore[arg-type]  # passed through as given

        self._client.api_call = dying  # type: ignore[method-assign,assignment]  # the network line


class DyingOutbox(MemoryOutbox):
    """An outbox whose process dies before it has recorded, a number of times."""

    deaths = 0

    def record_attempt(self, notification_id: str, at: datetime, attempt: Attempt) -> None:
        if self.deaths:
            self.deaths -= 1
            raise KilledError
        super().record_attempt(notification_id, at, attempt)


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("method", [method for method, _ in STEPS], ids=[name for _, name in STEPS])
def test_a_process_killed_at_any_step_loses_and_doubles_nothing(
    slack: SlackStub, method: str, times: int
) -> None:
    outbox = DyingOutbox([FIRED, RESOLVED])
    outbox.deaths = times if method == "record" else 0
    senders: dict[str, Sender] = {"slack": Killing(slack, method, times)}
    died = 0
    for k in range(times + 3):
        try:
            deliver(outbox, senders, NOW + timedelta(hours=k), picture)
        except KilledError:
            died += 1
    assert died == times
    first, last = told(slack)
    assert last["thread_ts"] == first["ts"]
    assert len(slack.shared()) == 1
    for row in (FIRED, RESOLVED):
        assert [outcome for outcome, _ in outbox.outcomes(row.notification_id)] == [DELIVERED]


def test_an_outage_ends_in_a_dead_letter_with_its_reason_and_lets_the_end_pass(
    slack: SlackStub,
) -> None:
    outbox = MemoryOutbox([FIRED, RESOLVED])
    slack.fail("conversations.history", *[BROKEN] * LAST_ATTEMPT)
    run(outbox, by_slack(slack))
    outcomes = outbox.outcomes(FIRED.notification_id)
    assert [outcome for outcome, _ in outcomes] == [RETRY] * (LAST_ATTEMPT - 1) + [REJECTED]
    assert outcomes[-1][1] == "given up after 20 attempts; the last one: Slack is unwell: HTTP 500"
    deliver(outbox, by_slack(slack), NOW + timedelta(days=2), picture)
    (post,) = slack.parents()
    assert post["text"].startswith("Resolved")


def test_a_revoked_token_is_a_dead_letter_at_once(slack: SlackStub) -> None:
    slack.state.token = "another"  # noqa: S105  # opens nothing
    outbox = MemoryOutbox([FIRED])
    run(outbox, by_slack(slack))
    assert outbox.outcomes(FIRED.notification_id) == [
        (REJECTED, "Slack refused: invalid_auth (the token is not valid; set a new one)")
    ]


def test_a_picture_that_never_succeeds_is_given_up_and_its_message_is_delivered_once(
    slack: SlackStub,
) -> None:
    outbox = MemoryOutbox([FIRED, RESOLVED])
    slack.fail("files.getUploadURLExternal", *[BROKEN] * LAST_ATTEMPT)
    run(outbox, by_slack(slack))
    outcomes = outbox.outcomes(FIRED.notification_id)
    assert outcomes[-1][0] is DELIVERED
    assert outcomes[-1][1].startswith("delivered without its picture: message is out")
    assert len(outcomes) == LAST_ATTEMPT
    assert [post["text"].split(":")[0] for post in slack.parents()] == ["Resolved"]
    assert slack.doubled() == []
    assert outbox.attempts[RESOLVED.notification_id][0][0] == NOW, "it waited for no picture"


def test_a_picture_that_cannot_be_drawn_leaves_the_message_delivered(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED])
    run(outbox, by_slack(slack), pictures=no_picture)
    assert outbox.outcomes(FIRED.notification_id) == [
        (DELIVERED, "delivered without its picture: no bin holds a label")
    ]
    assert len(slack.parents()) == 1


def other(row: Notification, name: str, target: str | None = None) -> Notification:
    renamed = replace(row, notification_id=name, group_id=name)
    return renamed if target is None else replace(renamed, target=target)


def test_a_receiver_that_asks_for_patience_is_left_alone_and_the_others_are_not(
    slack: SlackStub,
) -> None:
    elsewhere = "C0STUBCHAN2"
    slack.state.channels.add(elsewhere)
    rows = [FIRED, other(FIRED, "same channel"), other(FIRED, "other channel", elsewhere)]
    outbox = MemoryOutbox(rows)
    slack.fail("chat.postMessage", LIMITED)
    done = deliver(outbox, by_slack(slack), NOW, picture)
    assert [one.notification.notification_id for one in done] == [
        FIRED.notification_id,
        "other channel",
    ]
    assert done[0].attempt.next_attempt_at == NOW + timedelta(seconds=60)
    run(outbox, by_slack(slack))
    assert len(slack.parents()) == 2
    assert len(slack.parents(elsewhere)) == 1


def test_patience_asked_for_in_one_pass_is_kept_in_the_next(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED, other(FIRED, "same channel")])
    rests: dict[tuple[str, str], datetime] = {}
    slack.fail("chat.postMessage", LIMITED)
    for seconds, delivered in ((0, 0), (30, 0), (59, 0), (60, 2)):
        now = NOW + timedelta(seconds=seconds)
        deliver(outbox, by_slack(slack), now, picture, rests=rests)
        assert len(slack.parents()) == delivered


def test_what_is_out_is_delivered_in_the_end_whatever_else_fails(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED])
    slack.fail("upload", BROKEN)
    deliver(outbox, by_slack(slack), NOW, picture)
    for day in range(1, LAST_ATTEMPT):
        deliver(outbox, {}, NOW + timedelta(days=day), picture)
    outcome, detail = outbox.outcomes(FIRED.notification_id)[-1]
    assert outcome is DELIVERED
    assert detail.startswith("delivered without its picture: no receiver is configured")


def test_an_unreadable_payload_is_a_dead_letter_and_holds_up_nothing(slack: SlackStub) -> None:
    bad = replace(other(FIRED, "bad"), payload={"kind": "fired"})
    outbox = MemoryOutbox([bad, FIRED])
    run(outbox, by_slack(slack))
    assert outbox.outcomes("bad") == [
        (REJECTED, "the stored payload cannot be read: a notice must have 'members'")
    ]
    assert outbox.outcomes(FIRED.notification_id) == [(DELIVERED, "delivered")]


def test_a_route_without_a_receiver_waits_for_one(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED])
    deliver(outbox, {}, NOW, picture)
    deliver(outbox, by_slack(slack), NOW + timedelta(minutes=1), picture)
    assert outbox.outcomes(FIRED.notification_id) == [
        (RETRY, "no receiver is configured for route 'slack'"),
        (DELIVERED, "delivered"),
    ]


class Faulty:
    """A sender with a bug."""

    pictured = True

    def send(
        self, notification: Notification, notice: AlertNotice, picture: bytes | None
    ) -> Outcome:
        if notification.notification_id == "unlucky":
            msg = f"cannot cope with {picture!r}"
            raise LookupError(msg)
        return Delivered({"said": notice.what})


def test_a_fault_of_our_own_is_recorded_and_holds_up_nothing() -> None:
    outbox = MemoryOutbox([other(FIRED, "unlucky"), FIRED])
    deliver(outbox, {"slack": Faulty()}, NOW, picture)
    ((outcome, detail),) = outbox.outcomes("unlucky")
    assert outcome is RETRY
    assert detail == f"fault in calmon: LookupError: cannot cope with {PNG!r}"
    assert outbox.outcomes(FIRED.notification_id) == [(DELIVERED, "delivered")]


def test_every_route_gets_its_own_copy(slack: SlackStub, tmp_path: Path) -> None:
    stream = io.StringIO()
    here = notification(samples.fired(), route="console", target="")
    senders = by_slack(slack) | {"console": ConsoleSender(stream, tmp_path)}
    run(MemoryOutbox([FIRED, here]), senders)
    assert len(slack.parents()) == 1
    assert stream.getvalue().count("Calibration drift: fraud v7 is overconfident") == 1
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [PNG]


def test_a_pass_that_is_stopped_leaves_the_rest_to_a_later_one(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED, other(FIRED, "later")])
    asked = iter([False, True])
    (done,) = deliver(outbox, by_slack(slack), NOW, picture, lambda: next(asked))
    assert done.notification == FIRED
    assert [
        one.notification.notification_id for one in deliver(outbox, by_slack(slack), NOW, picture)
    ] == ["later"]


def test_what_waited_for_its_beginning_is_told_in_the_same_pass(slack: SlackStub) -> None:
    outbox = MemoryOutbox([FIRED, RESOLVED])
    assert len(deliver(outbox, by_slack(slack), NOW, picture)) == 2
    told(slack)
