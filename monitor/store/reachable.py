"""Whether the database answers, for health checks.

Guarantees: an answer within a few seconds whatever the database does, and at most one connection
every few seconds however often it is asked. Must never: take a connection of those who work.
"""

from __future__ import annotations

import time
from threading import Lock

from sqlalchemy import create_engine, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from monitor.store.engine import normal_url

TIMEOUT_S = 2
HOLDS_S = 2.0
"""How long an answer holds."""


class Reachable:
    """Asks by a connection of its own; called from any thread."""

    def __init__(self, url: str) -> None:
        """Prepare; raises ValueError for a URL that is none. Connects to nothing yet."""
        self._engine = create_engine(
            normal_url(url),
            poolclass=NullPool,
            connect_args={
                "application_name": "calmon health",
                "connect_timeout": TIMEOUT_S,
                "options": f"-c statement_timeout={TIMEOUT_S}s",
                # For a server that stops answering once it is connected to.
                "tcp_user_timeout": TIMEOUT_S * 1000,
            },
        )
        self._lock = Lock()
        self._answer = False
        self._asked_at_s = -HOLDS_S

    def __call__(self) -> bool:
        """Whether the database answered, now or HOLDS_S ago at most."""
        with self._lock:
            if time.monotonic() - self._asked_at_s >= HOLDS_S:
                self._answer = self._ask()
                self._asked_at_s = time.monotonic()
            return self._answer

    def _ask(self) -> bool:
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except (OperationalError, InterfaceError):
            return False  # the answer asked for; why is in the log of those who work
        return True
