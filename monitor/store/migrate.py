"""Schema up, down and checked.

Guarantees: works from a checkout and from an installed wheel, whatever the working directory.
Must never: run without being asked; the daemon refuses to start on another schema instead.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from monitor.store.engine import DatabaseUnavailable, normal_url
from monitor.store.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable


class SchemaError(Exception):
    """The database's schema is not the one this version needs."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema of the database at `url` up to `revision`."""
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Bring the schema down to `revision`; `base` removes everything."""
    _run(url, lambda config: command.downgrade(config, revision))


def require_current(url: str) -> None:
    """Raise SchemaError unless the schema is at the newest revision."""
    engine = create_engine(normal_url(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
            found = context.get_current_revision()
    except OperationalError as error:
        raise DatabaseUnavailable(str(error.orig)) from error
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    if found != wanted:
        at = found or "nothing"
        msg = f"database schema is at {at}, {wanted} is needed: run `calmon db upgrade`"
        raise SchemaError(msg)


def check(url: str) -> None:
    """Raise unless the schema is at the newest revision and equals the declaration."""
    require_current(url)
    _run(url, command.check)


def _run(url: str, act: Callable[[Config], None]) -> None:
    engine = create_engine(normal_url(url), poolclass=NullPool)
    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        act(config)


def _config() -> Config:
    # alembic reports by printing; what went wrong comes as an exception.
    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    """The wheel carries the migrations inside the package, a checkout beside it."""
    package = Path(__file__).parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"
