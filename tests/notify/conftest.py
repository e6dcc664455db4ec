from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notify import slack_stub

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slack() -> Iterator[slack_stub.SlackStub]:
    """A Slack of this test's own, on a free port."""
    with slack_stub.running() as stub:
        yield stub
