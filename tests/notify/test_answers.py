"""Buttons: what they mean, who may press them, and that Slack has its answer in time."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.episode.silences import Acknowledgement, Interaction, Matcher, Silence
from monitor.notify.answers import REASON, pressed
from monitor.notify.inbox import Inbox
from monitor.notify.messages import headline
from monitor.notify.slack_inbound import TOLERANCE_S, SignedRequests, SocketAnswers
from tests.notify import socket_mode_stub
from tests.notify import verdict_samples as samples
from tests.notify.sending import SLACK_SECRET as SECRET
from tests.notify.slack_state import APP_TOKEN

if TYPE_CHECKING:
    from tests.notify.receivers import Webhook
    from tests.notify.slack_stub import SlackStub

AT = datetime(2026, 3, 14, 0, 5, tzinfo=UTC)
NOTICE = samples.grouped(3)
ANA = "ana (Slack U0ANA)"


def buttons(notice: Any = NOTICE) -> dict[str, dict[str, Any]]:  # noqa: ANN401  # a notice
    blocks: Any = headline(notice, interactive=True).blocks
    return {
        one["text"]["text"]: one
        for block in blocks
        if block["type"] == "actions"
        for one in block["elements"]
    }


def press(label: str, response_url: str | None = None) -> dict[str, Any]:
    """The payload that Slack sends of a press; what stands beside it there is left out."""
    button = buttons()[label]
    return {
        "type": "block_actions",
        "user": {"id": "U0ANA", "username": "ana", "team_id": "T0"},
        "actions": [{k: v for k, v in button.items() if k in {"action_id", "value", "type"}}],
        "response_url": response_url,
    }


TEAM = (Matcher("model", "fraud"), Matcher("team", "payments"))


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        ("Ack", Acknowledgement(NOTICE.group_id, ANA, REASON, AT)),
        ("Silence 1 h", Silence(TEAM, ANA, REASON, AT, AT + timedelta(hours=1))),
        ("Silence 1 d", Silence(TEAM, ANA, REASON, AT, AT + timedelta(days=1))),
    ],
)
def test_a_button_means_what_it_says(label: str, asked: Interaction) -> None:
    found = pressed(press(label), AT)
    assert found is not None
    assert found.asked == asked


def test_evidence_opens_by_its_link_and_the_button_of_an_older_message_says_where_it_is() -> None:
    assert "value" not in buttons()["Open evidence"]
    assert pressed(press("Open evidence"), AT) is None
    older = press("Open evidence")
    older["actions"][0]["value"] = '{"evidence":"4711"}'
    found = pressed(older, AT)
    assert found is not None
    assert (found.asked, "row 4711" in found.told) == (None, True)


def test_the_buttons_are_there_while_they_mean_something() -> None:
    everything = {"Ack", "Silence 1 h", "Silence 1 d", "Open evidence"}
    assert buttons().keys() == everything
    acked = replace(samples.changed(), url=NOTICE.url)
    assert buttons(acked).keys() == everything - {"Ack"}, "it is acked already"
    assert buttons(samples.resolved()).keys() == set()
    assert "Open evidence" not in buttons(replace(NOTICE, url=None))
    plain: Any = headline(NOTICE, interactive=False).blocks
    (row,) = [block for block in plain if block["type"] == "actions"]
    assert [one["url"] for one in row["elements"]] == [NOTICE.url]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["Ack", "Silence 1 h", "Open evidence"]),
    st.lists(st.sampled_from(["actions", "user", "value", "action_id", "id", "type"]), max_size=2),
    json_values,
)
def test_a_broken_payload_means_nothing_and_breaks_nothing(
    label: str, places: list[str], value: object
) -> None:
    payload = copy.deepcopy(press(label))
    for place in places:
        actions = payload.get("actions")
        actions = actions if isinstance(actions, list) else []
        for at in (payload, payload.get("user"), *actions):
            if isinstance(at, dict) and place in at:
                at[place] = value
                break
    found = pressed(payload, AT)
    assert found is None or found.asked is None or found.asked.author.endswith(")") or places


def signed(body: bytes, at_s: int, secret: str = SECRET) -> tuple[str, str, bytes]:
    text = b"v0:" + str(at_s).encode() + b":" + body
    return str(at_s), f"v0={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}", body


BODY = urlencode({"payload": json.dumps(press("Ack"))}).encode()
NOW_S = 1_800_000_000


def test_the_signature_is_that_of_slacks_documentation() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack/, its example."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    right = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signed(body, 1531420618)[1] == right
    door = SignedRequests(SECRET, lambda _: True, lambda: 1531420618)
    # It is Slack's, and it is no press of a button.
    assert door.answer("1531420618", right, body) is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (signed(BODY, NOW_S), HTTPStatus.OK),
        (signed(BODY, NOW_S + 200), HTTPStatus.OK),
        (signed(BODY, NOW_S, "another"), HTTPStatus.UNAUTHORIZED),
        (signed(BODY, NOW_S - TOLERANCE_S - 1), HTTPStatus.UNAUTHORIZED),
        (signed(BODY, NOW_S + TOLERANCE_S + 1), HTTPStatus.UNAUTHORIZED),
        ((*signed(BODY, NOW_S)[:2], BODY + b"x"), HTTPStatus.UNAUTHORIZED),
        ((str(NOW_S + 1), *signed(BODY, NOW_S)[1:]), HTTPStatus.UNAUTHORIZED),
        (("", "", BODY), HTTPStatus.UNAUTHORIZED),
        (("now", "v0=1", BODY), HTTPStatus.UNAUTHORIZED),
        (("٣", "v0=1", BODY), HTTPStatus.UNAUTHORIZED),
        ((str(NOW_S), "v0=é", BODY), HTTPStatus.UNAUTHORIZED),
        ((str(NOW_S), "v0=1", b"\xff\xfe"), HTTPStatus.UNAUTHORIZED),
        (signed(b"payload=%7B", NOW_S), HTTPStatus.BAD_REQUEST),
        (signed(b"other=1", NOW_S), HTTPStatus.BAD_REQUEST),
        (signed(b"", NOW_S), HTTPStatus.BAD_REQUEST),
    ],
)
def test_only_what_slack_signed_lately_is_taken(
    request_: tuple[str, str, bytes], status: HTTPStatus
) -> None:
    taken: list[object] = []

    def take(payload: object) -> bool:
        taken.append(payload)
        return True

    door = SignedRequests(SECRET, take, lambda: NOW_S)
    assert door.answer(*request_) is status
    assert len(taken) == (status is HTTPStatus.OK)


def test_a_replay_is_refused_also_by_a_process_that_has_just_started() -> None:
    clock_s = [float(NOW_S)]
    door = SignedRequests(SECRET, lambda _: True, lambda: clock_s[0])
    ahead = signed(BODY, NOW_S + TOLERANCE_S)
    assert door.answer(*ahead) is HTTPStatus.OK
    for later_s in (0, 1, TOLERANCE_S, 2 * TOLERANCE_S, 2 * TOLERANCE_S + 1, 10**6):
        clock_s[0] = NOW_S + later_s
        assert door.answer(*ahead) is HTTPStatus.UNAUTHORIZED
    clock_s[0] = NOW_S + 60
    restarted = SignedRequests(SECRET, lambda _: True, lambda: clock_s[0])
    assert restarted.answer(*signed(BODY, NOW_S)) is HTTPStatus.UNAUTHORIZED


def test_whoever_pressed_is_told_what_came_of_it(webhook: Webhook) -> None:
    done: list[Interaction] = []

    def act(said: Interaction) -> str:
        done.append(said)
        if isinstance(said, Acknowledgement):
            msg = "no open group"
            raise ValueError(msg)  # noqa: TRY004  # as the store says it
        if len(done) == 2:
            raise RuntimeError
        return "To end it: calmon silence expire 7."

    webhook.takes_anything = True
    with Inbox(act) as inbox:
        labels = ("Ack", "Silence 1 h", "Silence 1 d", "Open evidence")
        taken = [inbox.take(press(label, webhook.url)) for label in labels]
        assert inbox.take({"type": "view_submission"}), "nothing to record"
    assert taken == [True, False, True, True], "a fault of ours is not acknowledged"
    assert [one["text"] for one in webhook.taken] == [
        "Not done: no open group",
        "Not done, try again: RuntimeError",
        "Silenced: fraud, for 24 h. To end it: calmon silence expire 7.",
    ]


def wait_until(true: Any, patience_s: float = 20) -> None:  # noqa: ANN401  # a function
    ends = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.01)


def test_socket_mode_acks_what_is_recorded_and_comes_back_after_a_drop(slack: SlackStub) -> None:
    working, may_end = Event(), Event()
    done: list[Interaction] = []

    def slow(said: Interaction) -> str:
        working.set()
        assert may_end.wait(30)
        done.append(said)
        if len(done) == 1:
            raise RuntimeError
        return ""

    with socket_mode_stub.running() as stub, Inbox(slow) as inbox:
        slack.state.socket_url = stub.url
        with SocketAnswers(APP_TOKEN, inbox.take, slack.api_url):
            assert stub.connected.wait(20)
            stub.press(press("Ack"), "one")
            assert working.wait(20)
            assert stub.acked == []
            may_end.set()
            wait_until(lambda: done)
            stub.drop()
            assert stub.connected.wait(30)
            stub.press(press("Silence 1 h"), "two")
            wait_until(lambda: stub.acked)
    assert [envelope for envelope, _ in stub.acked] == ["two"], "what failed is not acknowledged"
    assert [type(one).__name__ for one in done] == ["Acknowledgement", "Silence"]


def test_a_wrong_app_token_ends_nothing_and_is_in_no_log(
    slack: SlackStub, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "xapp-very-secret"  # noqa: S105  # opens nothing
    with SocketAnswers(secret, lambda _: True, slack.api_url, reconnect_s=0.05) as answers:
        wait_until(lambda: answers.tries >= 2)
        assert not answers.is_connected
    out = capsys.readouterr()
    assert "invalid_auth" in out.out + out.err
    assert secret not in out.out + out.err + caplog.text
