"""How alembic reaches the database.

Guarantees: `calmon db upgrade` hands in its open connection; the `alembic` command uses
CALMON_DATABASE_URL. Must never: log a URL, which holds a password.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from monitor.store.tables import SCHEMA, metadata


def _migrate(connection: Connection) -> None:
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=_is_ours,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return name == SCHEMA if kind == "schema" else name != "alembic_version"


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    _migrate(given)
else:
    engine = create_engine(os.environ["CALMON_DATABASE_URL"], poolclass=NullPool)
    with engine.connect() as opened:
        _migrate(opened)
