from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.notify import slack_stub
from tests.notify.slack_state import CHANNEL, TOKEN

if TYPE_CHECKING:
    from tests.notify.slack_stub import SlackStub

ROOT = Path(__file__).parents[2]


def client(stub: SlackStub, token: str = TOKEN) -> WebClient:
    return WebClient(token, stub.api_url, timeout=2, retry_handlers=[])


def section(length: int) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": "x" * length}}


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([section(3000)] * 50, None),
        ([section(3001)], "invalid_blocks"),
        ([section(0)], "invalid_blocks"),
        ([section(1)] * 51, "invalid_blocks"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "invalid_blocks"),
        ([{"type": "picture"}], "invalid_blocks"),
    ],
    ids=["at the limits", "long section", "empty section", "51 blocks", "markup header", "unknown"],
)
def test_the_stub_keeps_slacks_limits(
    slack: SlackStub, blocks: list[dict[str, object]], error: str | None
) -> None:
    if error is None:
        assert client(slack).chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)["ok"]
        return
    with pytest.raises(SlackApiError) as refused:
        client(slack).chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    assert refused.value.response["error"] == error
    assert refused.value.response["response_metadata"]["messages"]


def test_the_stub_knows_its_token_and_its_channels(slack: SlackStub) -> None:
    assert client(slack).auth_test()["user"] == "calmon"
    for token, error in (("xoxb-wrong", "invalid_auth"), ("", "not_authed")):
        with pytest.raises(SlackApiError) as refused:
            client(slack, token).auth_test()
        assert refused.value.response["error"] == error
    with pytest.raises(SlackApiError) as lost:
        client(slack).chat_postMessage(channel="C0ELSEWHERE", text="x")
    assert lost.value.response["error"] == "channel_not_found"


def test_a_channel_shows_newest_first_and_threads_only_where_broadcast(slack: SlackStub) -> None:
    talk = client(slack)
    parent = str(talk.chat_postMessage(channel=CHANNEL, text="parent")["ts"])
    talk.chat_postMessage(channel=CHANNEL, text="quiet", thread_ts=parent)
    talk.chat_postMessage(channel=CHANNEL, text="loud", thread_ts=parent, reply_broadcast=True)
    talk.chat_update(channel=CHANNEL, ts=parent, text="edited")
    history = talk.conversations_history(channel=CHANNEL)["messages"]
    replies = talk.conversations_replies(channel=CHANNEL, ts=parent)["messages"]
    assert [one["text"] for one in history] == ["loud", "edited"]
    assert [one["text"] for one in replies] == ["edited", "quiet", "loud"]


def test_a_program_serves_the_stub_and_takes_a_script() -> None:
    command = [sys.executable, "-m", slack_stub.__name__, "--port", "0"]
    with Popen(command, stdout=PIPE, cwd=ROOT) as served:
        try:
            assert served.stdout is not None
            said = json.loads(served.stdout.readline())
            talk = WebClient(said["token"], said["api_url"], timeout=2, retry_handlers=[])
            root = said["api_url"].removesuffix("/api/")
            order = {"method": "auth.test", "faults": [{"kind": "server_error", "status": 502}]}
            script = Request(f"{root}/stub/script", json.dumps(order).encode())  # noqa: S310  # our own server
            assert urlopen(script, timeout=2).status == 200  # noqa: S310  # our own server
            with pytest.raises(SlackApiError) as broken:
                talk.auth_test()
            assert broken.value.response.status_code == 502
            talk.chat_postMessage(channel=said["channel"], text="hello")
            state = json.load(urlopen(f"{root}/stub/state", timeout=2))  # noqa: S310  # our own server
            assert [one["text"] for one in state["messages"][said["channel"]]] == ["hello"]
        finally:
            served.terminate()
