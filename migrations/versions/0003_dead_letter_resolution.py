"""Dead letters are resolved: replayed or dropped, when, by whom and why.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RESOLUTION = {
    "resolved_at": "When it was replayed or dropped; null while it waits",
    "resolution": "replayed (published again) or dropped (key and value emptied)",
    "resolved_by": "Who replayed or dropped it",
    "resolution_reason": "Why, or where it was published again",
}


def upgrade() -> None:
    """Apply."""
    for column, comment in RESOLUTION.items():
        kind = sa.TIMESTAMP(timezone=True) if column == "resolved_at" else sa.Text()
        op.add_column("dead_letter", sa.Column(column, kind, comment=comment), schema="calmon")
    # A view takes new columns at its end, and keeps its comments and grants.
    op.execute(
        """
        CREATE OR REPLACE VIEW audit.dead_letters AS
        SELECT topic, partition, "offset", reason, detail, key, value, published_at, recorded_at,
               resolved_at, resolution, resolved_by, resolution_reason
        FROM calmon.dead_letter
        """
    )
    for column, comment in RESOLUTION.items():
        op.execute(f"COMMENT ON COLUMN audit.dead_letters.{column} IS '{comment}'")


def downgrade() -> None:
    """Undo: what was resolved stands as unresolved again, and dropped letters stay empty."""
    op.execute("DROP VIEW audit.dead_letters")
    op.execute(
        """
        CREATE VIEW audit.dead_letters AS
        SELECT topic, partition, "offset", reason, detail, key, value, published_at, recorded_at
        FROM calmon.dead_letter
        """
    )
    op.execute("COMMENT ON VIEW audit.dead_letters IS 'Messages that could not be used, and why'")
    for column in reversed(RESOLUTION):
        op.drop_column("dead_letter", column, schema="calmon")
    # A view's column says what its table's column says.
    op.execute(
        """
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT attname, col_description(attrelid, attnum) AS description
                FROM pg_attribute
                WHERE attrelid = 'calmon.dead_letter'::regclass AND attnum > 0 AND NOT attisdropped
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.dead_letters.%I IS %L',
                               c.attname, c.description);
            END LOOP;
        END $$
        """
    )
