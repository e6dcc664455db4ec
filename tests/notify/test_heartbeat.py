from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.notify.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notify.slack_stub import SlackStub


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (lambda stub: f"{stub.api_url.removesuffix('/api/')}/stub/state", None),
        (lambda stub: f"{stub.api_url}hush", "the heartbeat was refused: HTTP 404"),
        (lambda _: "http://127.0.0.1:1/hush", "the heartbeat was not answered: ConnectError"),
        (lambda _: "http://[::1", "the heartbeat was not answered: InvalidURL"),
    ],
    ids=["answered", "refused", "nobody", "no address"],
)
def test_a_ping_says_why_it_failed_and_never_where(
    slack: SlackStub, address: Callable[[SlackStub], str], said: str | None
) -> None:
    assert Heartbeat(address(slack)).ping() == said
