"""Answering: what people press in Slack reaches the history, by whichever way is configured.

Guarantees: listens only where a token or a secret for it is set. Must never: decide what an
answer means.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.core.episode.silences import Acknowledgement
from monitor.notify.inbox import Inbox
from monitor.notify.slack import SLACK_API
from monitor.notify.slack_inbound import SignedRequests, SocketAnswers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.config import Settings
    from monitor.core.episode.silences import Interaction
    from monitor.store.history import HistoryStore


@contextmanager
def answering(settings: Settings, history: HistoryStore) -> Iterator[SignedRequests | None]:
    """Listen within a `with`; gives what is to take signed posts, where they are configured."""
    connections = settings.connections
    app_token, secret = connections.slack_app_token, connections.slack_signing_secret
    with ExitStack() as stack:
        if app_token is None and secret is None:
            yield None
            return
        inbox = stack.enter_context(Inbox(recorder(history)))
        if app_token is not None:
            base_url = connections.slack_base_url or SLACK_API
            stack.enter_context(SocketAnswers(app_token.get_secret_value(), inbox.take, base_url))
        if secret is None:
            yield None
            return
        yield SignedRequests(secret.get_secret_value(), inbox.take, time.time)


def recorder(history: HistoryStore) -> Callable[[Interaction], str]:
    """What records an interaction; raises ValueError with the reason where it cannot be."""

    def record(said: Interaction) -> str:
        if isinstance(said, Acknowledgement):
            history.acknowledge(said)
            return ""
        number, _ = history.silence(said, datetime.now(UTC))
        return f"To end it: calmon silence expire {number}."

    return record
