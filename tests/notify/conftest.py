from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notify import slack_stub
from tests.notify.receivers import Alertmanager, PagerDuty, Webhook, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slack() -> Iterator[slack_stub.SlackStub]:
    """A Slack of this test's own, on a free port."""
    with slack_stub.running() as stub:
        yield stub


@pytest.fixture
def pagerduty() -> Iterator[PagerDuty]:
    """A PagerDuty of this test's own."""
    received = PagerDuty()
    with serving(received):
        yield received


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    """An Alertmanager of this test's own."""
    received = Alertmanager()
    with serving(received):
        yield received


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A webhook's receiver of this test's own."""
    received = Webhook()
    with serving(received):
        yield received
