"""The connection to Postgres.

Guarantees: every connection speaks UTC and says who it is. Must never: put a URL in a message.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sqlalchemy import Connection


_WAIT_OUT = ("08", "25006", "40", "53", "55P03", "57", "58")
"""SQLSTATE classes that pass: connection, read-only standby, rollback, resources, lock, operator
and system (PostgreSQL manual, appendix A). 54, a limit of the program, would never pass."""


class DatabaseUnavailable(Exception):  # noqa: N818  # a state to wait out, not a fault
    """Postgres cannot be reached, or broke off; whether a commit took effect is not known."""


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; what waiting can mend is raised as DatabaseUnavailable."""
    try:
        with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError) as error:
        state = getattr(error.orig, "sqlstate", None)
        if state is not None and not state.startswith(_WAIT_OUT):
            raise
        # The driver's text names host and database but never the password.
        raise DatabaseUnavailable(str(error.orig)) from error


def normal_url(url: str) -> str:
    """The URL with the driver this product uses; raises ValueError without showing the password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        msg = "CALMON_DATABASE_URL is not a URL; use postgresql://user:password@host:5432/database"
        raise ValueError(msg) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        msg = f"CALMON_DATABASE_URL names {parsed.drivername}; only postgresql is supported"
        raise ValueError(msg)
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def connect(
    url: str,
    *,
    name: str = "calmon",
    idle_at_most: timedelta | None = None,
    at_most: timedelta | None = None,
) -> Engine:
    """An engine for one role of one process; `name` shows in pg_stat_activity.

    idle_at_most: a transaction that rests longer is ended by the server, so that a process that is
    frozen does not hold its rows for ever. at_most: how long a statement may take, for whoever is
    waited for; what takes longer is as if the database were away.
    """
    idle_ms = 0 if idle_at_most is None else int(idle_at_most.total_seconds() * 1000)
    most_ms = 0 if at_most is None else int(at_most.total_seconds() * 1000)
    arguments = _arguments(name, idle_ms, most_ms)
    return create_engine(normal_url(url), pool_size=4, pool_pre_ping=True, connect_args=arguments)


def connect_once(url: str, *, name: str) -> Engine:
    """An engine for a command of a few transactions: each opens a connection and closes it."""
    arguments = _arguments(name, idle_ms=0, most_ms=0)
    return create_engine(normal_url(url), poolclass=NullPool, connect_args=arguments)


def _arguments(name: str, idle_ms: int, most_ms: int) -> dict[str, object]:
    """Of a connection; 0 is no limit."""
    options = (
        f"-c timezone=UTC -c idle_in_transaction_session_timeout={idle_ms} "
        f"-c statement_timeout={most_ms}"
    )
    return {
        "application_name": name,
        # A server that does not answer must not hold up the end of the process.
        "connect_timeout": 5 if most_ms == 0 else max(2, most_ms // 1000),
        "tcp_user_timeout": 10_000,
        "options": options,
    }
