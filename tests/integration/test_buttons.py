"""From a press on a button to the edited message; and what stands at an Alertmanager, from rows."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from monitor.core.claims import Series
from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import Attempt, AttemptOutcome
from monitor.core.verdicts import Status
from monitor.daemon.answering import recorder
from monitor.notify.dispatch import deliver
from monitor.notify.inbox import Inbox
from monitor.notify.slack import SlackSender
from monitor.notify.slack_inbound import SignedRequests
from monitor.store.standing import standing
from tests.notify import slack_stub
from tests.notify.sending import SLACK_SECRET
from tests.notify.slack_faults import Fault, FaultKind
from tests.notify.slack_state import CHANNEL, TOKEN
from tests.notify.test_answers import signed
from tests.store.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.notify.slack_stub import SlackStub

MINE = Series("m", "1")


@pytest.fixture
def slack() -> Iterator[SlackStub]:
    with slack_stub.running() as stub:
        stub.state.first_ts = int(time.time())
        yield stub


def sent(world: World, stub: SlackStub) -> None:
    sender = SlackSender(TOKEN, stub.api_url, interactive=True, apart_s=0)
    deliver(world.outbox, {"slack": sender}, datetime.now(UTC), lambda _: b"\x89PNG")


def payload(stub: SlackStub, label: str) -> dict[str, Any]:
    """What Slack sends when ana presses a button of the one message."""
    (post,) = stub.parents()
    buttons = [one for b in post["blocks"] if b["type"] == "actions" for one in b["elements"]]
    (pressed,) = [one for one in buttons if one["text"]["text"] == label]
    user = {"id": "U0ANA", "username": "ana"}
    return {"type": "block_actions", "user": user, "actions": [pressed]}


@pytest.mark.parametrize(
    ("label", "said", "recorded"),
    [
        ("Ack", "Acked by: ", "SELECT author FROM audit.acknowledgements"),
        ("Silence 1 h", "", "SELECT author FROM audit.silences"),
    ],
)
def test_a_press_is_recorded_with_its_author_and_seen_in_the_message(
    engine: Engine, slack: SlackStub, label: str, said: str, recorded: str
) -> None:
    world = World(engine, routes=(("slack", CHANNEL),), is_up=False, outbox_sifts=False)
    world.day(0, {MINE: Status.OK})
    world.day(1, {MINE: Status.DRIFTED})
    sent(world, slack)
    body = urlencode({"payload": json.dumps(payload(slack, label))}).encode()
    with Inbox(recorder(world.history)) as inbox:
        door = SignedRequests(SLACK_SECRET, inbox.take, time.time)
        request = signed(body, int(time.time()))
        assert door.answer(*request) is HTTPStatus.OK
        assert door.answer(*request) is HTTPStatus.UNAUTHORIZED, "a replay"
    assert world.rows(recorded) == [("ana (Slack U0ANA)",)]
    sent(world, slack)
    (post,) = slack.parents()
    assert said.replace(": ", ":*") in json.dumps(post["blocks"])
    assert slack.doubled() == []


def test_what_stands_is_the_newest_that_was_delivered_until_its_end_was(engine: Engine) -> None:
    world = World(engine, routes=(("alertmanager", "am"),), is_up=False, outbox_sifts=False)
    at = datetime.now(UTC)

    def deliver_one() -> None:
        one = world.outbox.pending(at)[0]
        done = Attempt(AttemptOutcome.DELIVERED, "delivered", {}, None)
        world.outbox.record_attempt(one.notification_id, at, done)

    def stands() -> list[AlertKind]:
        return [one.kind for one in standing(engine, "alertmanager")]

    life = [Status.OK, Status.DRIFTED, Status.OK, Status.OK, Status.OK]
    for n, status in enumerate(life):
        world.day(n, {MINE: status})
    waiting = world.rows("SELECT kind FROM calmon.notification ORDER BY sequence")
    kinds = [AlertKind(kind) for (kind,) in waiting]
    assert (kinds[0], kinds[-1]) == (AlertKind.FIRED, AlertKind.RESOLVED)
    assert stands() == []
    for kind in kinds:
        deliver_one()
        assert stands() == ([] if kind is AlertKind.RESOLVED else [kind])
    assert standing(engine, "slack") == []


def test_nothing_waits_for_a_thread_and_an_old_edit_undoes_no_newer_one(
    engine: Engine, slack: SlackStub
) -> None:
    world = World(engine, routes=(("slack", CHANNEL),), is_up=False, outbox_sifts=False)
    for n, status in enumerate([Status.OK, Status.DRIFTED, Status.OK, Status.OK, Status.OK]):
        world.day(n, {MINE: status})
    at = datetime.now(UTC)
    sender = SlackSender(TOKEN, slack.api_url, apart_s=0)
    broken = Fault(FaultKind.SERVER_ERROR)
    # Details of the beginning fail, and so does what the thread is told of the first change.
    sane = sender._client.chat_postMessage  # noqa: SLF001  # to fail by what is posted
    failing = ["Details", "Recovering"]

    def post(**args: Any) -> Any:  # noqa: ANN401  # the client's own
        if args["text"].split(":")[0] in failing:
            slack.fail("chat.postMessage", broken)
        return sane(**args)

    sender._client.chat_postMessage = post  # type: ignore[method-assign]  # noqa: SLF001  # as above
    deliver(world.outbox, {"slack": sender}, at, lambda _: b"\x89PNG")
    (post_,) = slack.parents()
    assert post_["text"].startswith("Resolved")
    failing.clear()
    deliver(world.outbox, {"slack": sender}, at + timedelta(hours=1), lambda _: b"\x89PNG")
    assert post_["text"].startswith("Resolved")
    assert len(slack.replies()) == len(world.rows("SELECT 1 FROM calmon.notification"))
    assert (len(slack.shared()), slack.doubled()) == (1, [])
    assert world.outbox.pending(at + timedelta(hours=2)) == []
