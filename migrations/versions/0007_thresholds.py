"""Thresholds that follow from a fleet's false-alarm budget, and what its rule named.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

THRESHOLDS = "Thresholds that followed from a fleet's false-alarm budget; the newest holds"
NAMINGS = "Series that e-d-BH named below their own threshold, with others"
SERIES = (
    ("model", "Model name, as in the events"),
    ("version", "Model version, as in the prediction events"),
    ("claim", "Kind of confidence: `positive` for a binary score"),
    ("segment", "`dimension=value`, or empty for all traffic of the version"),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "threshold",
        sa.Column(
            "threshold_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number",
        ),
        *(sa.Column(name, sa.Text(), nullable=False, comment=text) for name, text in SERIES),
        _at("effective_at", "Event time from which it holds, for cohorts that mature later"),
        sa.Column(
            "alarm_at",
            sa.Double(),
            comment="Evidence at which an alarm is raised, in labels; null: takes no part any more",
        ),
        _double("weight", "Weight of its part against the others'"),
        _double(
            "labels_per_month",
            "Labels a month it was expected to send, by the cohorts matured until then",
        ),
        _double("false_alarms_per_month", "Its part of the budget: labels_per_month / alarm_at"),
        sa.Column(
            "fleet_size",
            sa.Integer(),
            nullable=False,
            comment="Series that shared the budget then",
        ),
        sa.Column("budget", sa.Text(), nullable=False, comment="The budget in words"),
        sa.Column(
            "rule",
            sa.Text(),
            nullable=False,
            comment="thresholds, or e_d_bh: named together as well",
        ),
        _recorded(),
        sa.PrimaryKeyConstraint("threshold_id", name=op.f("pk_threshold")),
        sa.UniqueConstraint(
            *(name for name, _ in SERIES),
            "effective_at",
            name=op.f("uq_threshold_model_version_claim_segment_effective_at"),
        ),
        schema="calmon",
        comment=THRESHOLDS,
    )
    op.create_index("ix_threshold_effective_at", "threshold", ["effective_at"], schema="calmon")
    op.create_table(
        "fleet_naming",
        sa.Column(
            "naming_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        *(sa.Column(name, sa.Text(), nullable=False, comment=text) for name, text in SERIES),
        _at("named_at", "Event time at which it was named"),
        _double("of_threshold", "Its evidence over its threshold then"),
        _recorded(),
        sa.PrimaryKeyConstraint("naming_id", name=op.f("pk_fleet_naming")),
        sa.UniqueConstraint(
            *(name for name, _ in SERIES),
            "named_at",
            name=op.f("uq_fleet_naming_model_version_claim_segment_named_at"),
        ),
        schema="calmon",
        comment=NAMINGS,
    )
    for table in ("threshold", "fleet_naming"):
        op.execute(
            f"CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON calmon.{table} "
            "FOR EACH ROW EXECUTE FUNCTION calmon.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON calmon.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION calmon.refuse_change()"
        )
    _view("thresholds", "threshold", THRESHOLDS)
    _view("fleet_namings", "fleet_naming", NAMINGS)


def _at(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=False, comment=comment)


def _double(name: str, comment: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=False, comment=comment)


def _recorded() -> sa.Column[object]:
    return sa.Column(
        "recorded_at",
        sa.TIMESTAMP(timezone=True),
        server_default=sa.text("clock_timestamp()"),
        nullable=False,
        comment="When this row was written, by the database's clock",
    )


def _view(view: str, table: str, comment: str) -> None:
    """A view of the whole table, with its comments."""
    op.execute(f"CREATE VIEW audit.{view} AS SELECT * FROM calmon.{table}")  # noqa: S608  # own names
    quoted = comment.replace("'", "''")
    op.execute(f"COMMENT ON VIEW audit.{view} IS '{quoted}'")
    op.execute(
        f"""
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT attname, col_description(attrelid, attnum) AS description
                FROM pg_attribute
                WHERE attrelid = 'calmon.{table}'::regclass AND attnum > 0
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.{view}.%I IS %L',
                               c.attname, c.description);
            END LOOP;
        END $$
        """  # noqa: S608  # the names are this migration's own
    )


def downgrade() -> None:
    """Undo."""
    op.execute("DROP VIEW audit.fleet_namings")
    op.execute("DROP VIEW audit.thresholds")
    op.drop_table("fleet_naming", schema="calmon")
    op.drop_table("threshold", schema="calmon")
