"""The schema on real servers: up, down, up again, commented and closed to change."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

from monitor.store import tables
from monitor.store.engine import DatabaseUnavailable
from monitor.store.migrate import SchemaError, check, downgrade, require_current, upgrade

UNCOMMENTED = """
    SELECT n.nspname, c.relname, a.attname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname IN ('calmon', 'audit') AND c.relkind IN ('r', 'v')
      AND c.relname <> 'alembic_version'
      AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
"""


DIALECT = create_engine("postgresql+psycopg://").dialect


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_upgrade_downgrade_and_upgrade_again(any_empty_postgres_url: str) -> None:
    url = any_empty_postgres_url
    upgrade(url)
    check(url)
    downgrade(url, "base")
    left = rows(url, "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname IN ('calmon', 'audit') AND relkind IN ('r', 'v')")  # fmt: skip
    assert left == [("alembic_version",)]
    upgrade(url)
    check(url)


def test_every_table_view_and_column_says_what_it_holds(any_postgres_url: str) -> None:
    assert rows(any_postgres_url, UNCOMMENTED) == []
    views = rows(any_postgres_url, "SELECT viewname FROM pg_views WHERE schemaname = 'audit'")
    assert {name for (name,) in views} == {
        "acknowledgements", "alerts", "baseline_decisions", "baselines", "changes",
        "dead_letters", "delays", "episodes", "evaluations", "fleet_namings", "gaps",
        "labelled_samples", "losses", "notifications", "panes", "policies",
        "recalibration_decisions", "recalibration_proposals", "silence_expiries", "silences",
        "thresholds",
    }  # fmt: skip


@pytest.mark.parametrize("table", [table.name for table in tables.INSERT_ONLY])
def test_history_refuses_change(postgres_url: str, table: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool)
    column = tables.metadata.tables[f"calmon.{table}"].c[0].name
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no foreign keys
        _fill(connection, table)
    for statement in (
        f"UPDATE calmon.{table} SET recorded_at = now()",
        f"DELETE FROM calmon.{table}",
        f"TRUNCATE calmon.{table} CASCADE",
    ):
        with (
            pytest.raises(IntegrityError, match="rows are only added, never changed"),
            engine.begin() as connection,
        ):
            connection.execute(text(statement))
    assert len(rows(postgres_url, f"SELECT {column} FROM calmon.{table}")) == 1


def _fill(connection: Connection, table: str) -> None:
    """One row with a value of the right type in every column that needs one."""
    samples = {
        "TEXT": "'x'", "BIGINT": "1", "INTEGER": "1", "SMALLINT": "1", "JSONB": "'{}'",
        "TIMESTAMP WITH TIME ZONE": "now()", "SMALLINT[]": "'{}'", "BIGINT[]": "'{}'",
        "BOOLEAN": "true", "DOUBLE PRECISION": "1", "BYTEA": "''",
    }  # fmt: skip
    columns = [
        column
        for column in tables.metadata.tables[f"calmon.{table}"].c
        if not column.nullable and column.identity is None and column.server_default is None
    ]
    values = ", ".join(samples[c.type.compile(DIALECT)] for c in columns)
    names = ", ".join(f'"{c.name}"' for c in columns)
    connection.execute(text(f"INSERT INTO calmon.{table} ({names}) VALUES ({values})"))


def test_another_schema_stops_the_start_with_the_mend(empty_postgres_url: str) -> None:
    with pytest.raises(SchemaError, match="run `calmon db upgrade`"):
        require_current(empty_postgres_url)


def test_a_changed_table_is_found(postgres_url: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE calmon.model ADD COLUMN extra text"))
    with pytest.raises(Exception, match="New upgrade operations detected"):
        check(postgres_url)


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        require_current("postgresql://calmon:hunter2@127.0.0.1:1/calmon")
    assert "hunter2" not in str(caught.value)


def test_the_audit_views_answer_plain_sql(postgres_url: str) -> None:
    for view in ("panes", "evaluations", "notifications", "alerts"):
        assert rows(postgres_url, f"SELECT * FROM audit.{view}") == []
    with pytest.raises(ProgrammingError):
        rows(postgres_url, "SELECT * FROM audit.nothing")
