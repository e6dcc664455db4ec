"""A Postgres of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.embedded import postgres_server, wheel_postgres
from tests.notify import slack_stub
from tests.notify.receivers import PagerDuty, Webhook, serving
from tests.servers import OwnPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    with postgres_server(wheel_postgres()) as url:
        server = OwnPostgres(url)
        yield server
        server.stop()


@pytest.fixture
def slack() -> Iterator[slack_stub.SlackStub]:
    with slack_stub.running() as stub:
        yield stub


@pytest.fixture
def pagerduty() -> Iterator[PagerDuty]:
    received = PagerDuty()
    with serving(received):
        yield received


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    received = Webhook()
    with serving(received):
        yield received
