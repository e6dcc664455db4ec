"""Delays of labels are counted and sealed, and series know what a missing label means.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PANE = "Start of the pane of prediction time; a day, where panes divide a day"
BUCKET = "Bucket of the delay, from 0; edges are BUCKETS of monitor/core/delays.py, version 1"
SEALED_COMMENT = "Delays of labels as they were judged"
IDENTITY = [
    "model", "version", "claim", "segment", "pane_s", "label_horizon_s", "correction_horizon_s",
    "sample_ppm",
]  # fmt: skip
RULE = ["rule", "low", "high"]
VIEW = """
    SELECT s.model, s.version, s.claim, s.segment, d.pane_at, d.complete, d.sealed_at,
           (SELECT sum(n) FROM unnest(d.n_labels) n)::bigint AS labels,
           (SELECT coalesce(sum(n), 0) FROM unnest(d.n_labels, d.outcomes) AS u(n, outcome)
            WHERE outcome = 1)::bigint AS positives,
           d.outcomes, d.buckets, d.n_labels, d.recorded_at
    FROM calmon.sealed_delay d JOIN calmon.series s USING (series_id)
"""
COUNTED = {
    "labels": "Labels in all buckets",
    "positives": "Labels of positives in all buckets",
}


def upgrade() -> None:
    """Apply."""
    _create_tables()
    for trigger, event, each in (
        ("insert_only", "UPDATE OR DELETE", "ROW"),
        ("no_truncate", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {event} ON calmon.sealed_delay "
            f"FOR EACH {each} EXECUTE FUNCTION calmon.refuse_change()"
        )
    op.add_column(
        "series",
        sa.Column(
            "unlabelled_negative",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="Whether a prediction without a label counts as a negative",
        ),
        schema="calmon",
    )
    op.drop_constraint("uq_series_identity", "series", schema="calmon")
    op.create_unique_constraint(
        "uq_series_identity",
        "series",
        [*IDENTITY, "unlabelled_negative", *RULE],
        schema="calmon",
    )
    _create_view()


def _create_tables() -> None:
    op.create_table(
        "delay_count",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column("pane_at", sa.TIMESTAMP(timezone=True), nullable=False, comment=PANE),
        sa.Column(
            "late",
            sa.Boolean(),
            nullable=False,
            comment="Changes made by labels past the label horizon",
        ),
        sa.Column(
            "outcome", sa.SmallInteger(), nullable=False, comment="Outcome of the labels, 0 or 1"
        ),
        sa.Column("bucket", sa.SmallInteger(), nullable=False, comment=BUCKET),
        sa.Column("n", sa.BigInteger(), nullable=False, comment="Labels in force"),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_delay_count_series_id")
        ),
        sa.PrimaryKeyConstraint(
            "series_id", "pane_at", "late", "outcome", "bucket", name=op.f("pk_delay_count")
        ),
        schema="calmon",
        comment="Labels by their delay: add on-time and late rows for what is known now",
    )
    op.create_table(
        "touched_delay",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column(
            "pane_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Start of the pane of prediction time",
        ),
        sa.Column(
            "due_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time at which its delays are to be sealed next",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_touched_delay_series_id")
        ),
        sa.PrimaryKeyConstraint("series_id", "pane_at", name=op.f("pk_touched_delay")),
        schema="calmon",
        comment="Panes whose delays are not sealed for good",
    )
    op.create_index("ix_touched_delay_due_at", "touched_delay", ["due_at"], schema="calmon")
    op.create_table(
        "sealed_delay",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column("pane_at", sa.TIMESTAMP(timezone=True), nullable=False, comment=PANE),
        sa.Column(
            "complete",
            sa.Boolean(),
            nullable=False,
            comment="False: labels within the label horizon; true: within the correction horizon",
        ),
        sa.Column(
            "sealed_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time at which it was mature",
        ),
        sa.Column(
            "outcomes",
            postgresql.ARRAY(sa.SmallInteger()),
            nullable=False,
            comment="Outcomes, 0 or 1",
        ),
        sa.Column("buckets", postgresql.ARRAY(sa.SmallInteger()), nullable=False, comment=BUCKET),
        sa.Column(
            "n_labels",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Labels, by outcome and bucket",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_sealed_delay_series_id")
        ),
        sa.PrimaryKeyConstraint("series_id", "pane_at", "complete", name=op.f("pk_sealed_delay")),
        schema="calmon",
        comment=SEALED_COMMENT,
    )


def _create_view() -> None:
    op.execute(f"CREATE VIEW audit.delays AS {VIEW}")
    op.execute(f"COMMENT ON VIEW audit.delays IS '{SEALED_COMMENT}'")
    for column, comment in COUNTED.items():
        op.execute(f"COMMENT ON COLUMN audit.delays.{column} IS '{comment}'")
    op.execute(
        """
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT DISTINCT ON (attname) attname,
                       col_description(attrelid, attnum) AS description
                FROM pg_attribute
                WHERE attrelid IN ('calmon.sealed_delay'::regclass, 'calmon.series'::regclass)
                  AND attnum > 0
                  AND attname IN (
                      SELECT column_name FROM information_schema.columns
                      WHERE table_schema = 'audit' AND table_name = 'delays')
                ORDER BY attname, attrelid = 'calmon.series'::regclass
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.delays.%I IS %L',
                               c.attname, c.description);
            END LOOP;
        END $$
        """
    )


def downgrade() -> None:
    """Undo; fails where one series was counted with and without implicit negatives."""
    op.execute("DROP VIEW audit.delays")
    op.drop_constraint("uq_series_identity", "series", schema="calmon")
    op.create_unique_constraint("uq_series_identity", "series", [*IDENTITY, *RULE], schema="calmon")
    op.drop_column("series", "unlabelled_negative", schema="calmon")
    for table in ("sealed_delay", "touched_delay", "delay_count"):
        op.drop_table(table, schema="calmon")
