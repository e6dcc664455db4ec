"""Gaps are recorded, series know their sample rate, and forgetting stands in the block log.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GAP_COMMENT = "Messages that were gone before they were counted, as ingest.on_lost_messages allows"
IDENTITY = [
    "model", "version", "claim", "segment", "pane_s", "label_horizon_s", "correction_horizon_s",
]  # fmt: skip
RULE = ["rule", "low", "high"]
OLD_IDENTITY = "uq_series_model_version_claim_segment_pane_s_label_hori_513f"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ingest_gap",
        sa.Column(
            "gap_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        sa.Column("topic", sa.Text(), nullable=False, comment="Kafka topic"),
        sa.Column("partition", sa.Integer(), nullable=False, comment="Kafka partition"),
        sa.Column(
            "from_offset", sa.BigInteger(), nullable=False, comment="First offset not counted"
        ),
        sa.Column(
            "to_offset",
            sa.BigInteger(),
            nullable=False,
            comment="Offset at which counting went on",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="retention: deleted before it was counted; recreated: the topic was made anew",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("gap_id", name=op.f("pk_ingest_gap")),
        schema="calmon",
        comment=GAP_COMMENT,
    )
    op.execute(
        "CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON calmon.ingest_gap "
        "FOR EACH ROW EXECUTE FUNCTION calmon.refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON calmon.ingest_gap "
        "FOR EACH STATEMENT EXECUTE FUNCTION calmon.refuse_change()"
    )
    op.execute("CREATE VIEW audit.gaps AS SELECT * FROM calmon.ingest_gap")
    op.execute(f"COMMENT ON VIEW audit.gaps IS '{GAP_COMMENT}'")
    op.execute(
        """
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT attname, col_description(attrelid, attnum) AS description
                FROM pg_attribute
                WHERE attrelid = 'calmon.ingest_gap'::regclass AND attnum > 0
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.gaps.%I IS %L',
                               c.attname, c.description);
            END LOOP;
        END $$
        """
    )
    op.add_column(
        "join_block",
        sa.Column(
            "evicted",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="Set where rows were forgotten: all older than this, epoch milliseconds by "
            "model number",
        ),
        schema="calmon",
    )
    op.add_column(
        "series",
        sa.Column(
            "sample_ppm",
            sa.Integer(),
            server_default="1000000",
            nullable=False,
            comment="Predictions in a million that are counted, chosen by a hash of their id",
        ),
        schema="calmon",
    )
    op.drop_constraint(OLD_IDENTITY, "series", schema="calmon")
    op.create_unique_constraint(
        "uq_series_identity", "series", [*IDENTITY, "sample_ppm", *RULE], schema="calmon"
    )


def downgrade() -> None:
    """Undo; fails where one series was counted at two sample rates."""
    op.drop_constraint("uq_series_identity", "series", schema="calmon")
    op.create_unique_constraint(OLD_IDENTITY, "series", [*IDENTITY, *RULE], schema="calmon")
    op.drop_column("series", "sample_ppm", schema="calmon")
    op.drop_column("join_block", "evicted", schema="calmon")
    op.execute("DROP VIEW audit.gaps")
    op.drop_table("ingest_gap", schema="calmon")
