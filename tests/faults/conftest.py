"""A Postgres of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.demo.embedded import postgres_server, wheel_postgres
from tests.servers import OwnPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    with postgres_server(wheel_postgres()) as url:
        server = OwnPostgres(url)
        yield server
        server.stop()
