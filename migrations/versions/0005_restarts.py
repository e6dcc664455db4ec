"""Baselines begin again after changes and by a person's decision, and history says by whose.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RECORDED = "When this row was written, by the database's clock"
RESTART = "What ended the baseline before it: kind, times, reason and author; null for a first one"
DECISIONS = "What people decided about baselines: drifts accepted, baselines given up"
TAKEN = "When the watcher took a change or a decision into account; with it, verdicts can be folded again"  # noqa: E501
BASELINES = """
    SELECT baseline_id, model, version, claim, segment, source, start_at, end_at, n_labelled,
           pinned_at, author, recorded_at
    FROM calmon.baseline
"""
CHANGES = """
    SELECT c.change_id, c.model, c.version, c.kind, c.description, c.happened_at, c.recorded_at
    FROM calmon.change_event c
"""
TAKEN_AT = "Event time at which the watcher took it into account; null while it waits"
RESTARTS = "Whether it began baselines again, by the policy of that time"


def upgrade() -> None:
    """Apply."""
    _create_tables()
    op.add_column(
        "baseline",
        sa.Column(
            "restart",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment=RESTART,
        ),
        schema="calmon",
    )
    # What was announced before this version restarted nothing, and must not do so now.
    op.execute(
        "INSERT INTO calmon.change_taken (change_id, taken_at, restarts) "
        "SELECT change_id, happened_at, false FROM calmon.change_event"
    )
    for table in ("baseline_decision", "change_taken"):
        op.execute(
            f"CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON calmon.{table} "
            "FOR EACH ROW EXECUTE FUNCTION calmon.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON calmon.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION calmon.refuse_change()"
        )
    _create_views()


def _create_tables() -> None:
    op.create_table(
        "baseline_decision",
        sa.Column(
            "decision_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number",
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="Model name, as in the events"),
        sa.Column("version", sa.Text(), nullable=True, comment="Model version; null for all"),
        sa.Column(
            "segment",
            sa.Text(),
            nullable=True,
            comment="`dimension=value`, empty for all traffic; null for every series",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="accepted: drifts that were open are the new normal; reset: given up",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in the person's words"),
        sa.Column("author", sa.Text(), nullable=False, comment="Who decided"),
        sa.Column(
            "since_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Since when it is the new normal; null: since each drift began",
        ),
        sa.Column(
            "happened_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When it was decided, event time",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment=RECORDED,
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_baseline_decision")),
        schema="calmon",
        comment=DECISIONS,
    )
    op.create_table(
        "change_taken",
        sa.Column(
            "taken_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        sa.Column(
            "change_id", sa.BigInteger(), nullable=True, comment="Change event, if it is one"
        ),
        sa.Column("decision_id", sa.BigInteger(), nullable=True, comment="Decision, if it is one"),
        sa.Column(
            "taken_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time at which it was taken: when it happened, unless it was told late",
        ),
        sa.Column("restarts", sa.Boolean(), nullable=False, comment=RESTARTS),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment=RECORDED,
        ),
        sa.ForeignKeyConstraint(
            ["change_id"],
            ["calmon.change_event.change_id"],
            name=op.f("fk_change_taken_change_id"),
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["calmon.baseline_decision.decision_id"],
            name=op.f("fk_change_taken_decision_id"),
        ),
        sa.PrimaryKeyConstraint("taken_id", name=op.f("pk_change_taken")),
        sa.UniqueConstraint("change_id", name=op.f("uq_change_taken_change_id")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_change_taken_decision_id")),
        schema="calmon",
        comment=TAKEN,
    )


def _create_views() -> None:
    op.execute("DROP VIEW audit.baselines")
    op.execute(f"CREATE VIEW audit.baselines AS {BASELINES.replace('author,', 'author, restart,')}")
    op.execute("DROP VIEW audit.changes")
    op.execute(
        "CREATE VIEW audit.changes AS "
        + CHANGES.replace("FROM", ", t.taken_at, t.restarts FROM")
        + "LEFT JOIN calmon.change_taken t USING (change_id)"
    )
    op.execute(
        """
        CREATE VIEW audit.baseline_decisions AS
        SELECT d.decision_id, d.model, d.version, d.segment, d.kind, d.reason, d.author,
               d.since_at, d.happened_at, d.recorded_at, t.taken_at
        FROM calmon.baseline_decision d LEFT JOIN calmon.change_taken t USING (decision_id)
        """
    )
    _comment("baselines", "baseline", "Pinned baselines; the newest of a series holds")
    _comment("changes", "change_event", "Changes around models, as announced")
    _comment("baseline_decisions", "baseline_decision", DECISIONS)
    for view in ("changes", "baseline_decisions"):
        op.execute(f"COMMENT ON COLUMN audit.{view}.taken_at IS '{TAKEN_AT}'")
    op.execute(f"COMMENT ON COLUMN audit.changes.restarts IS '{RESTARTS}'")


def _comment(view: str, table: str, text: str) -> None:
    """What the view shows; its columns say what their table's columns say."""
    op.execute(f"COMMENT ON VIEW audit.{view} IS '{text}'")
    op.execute(
        f"""
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT v.attname, col_description(t.attrelid, t.attnum) AS description
                FROM pg_attribute v
                JOIN pg_attribute t ON t.attname = v.attname AND t.attnum > 0
                WHERE v.attrelid = 'audit.{view}'::regclass AND v.attnum > 0
                  AND t.attrelid = 'calmon.{table}'::regclass
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.{view}.%I IS %L',
                               c.attname, c.description);
            END LOOP;
        END $$
        """  # noqa: S608  # the names are this migration's own
    )


def downgrade() -> None:
    """Undo."""
    op.execute("DROP VIEW audit.baseline_decisions")
    op.execute("DROP VIEW audit.changes")
    op.execute(f"CREATE VIEW audit.changes AS {CHANGES}")
    op.execute("DROP VIEW audit.baselines")
    op.execute(f"CREATE VIEW audit.baselines AS {BASELINES}")
    _comment("baselines", "baseline", "Pinned baselines; the newest of a series holds")
    _comment("changes", "change_event", "Changes around models, as announced")
    op.drop_table("change_taken", schema="calmon")
    op.drop_table("baseline_decision", schema="calmon")
    op.drop_column("baseline", "restart", schema="calmon")
