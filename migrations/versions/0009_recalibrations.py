"""Proposed recalibrations, and what people decided about them.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PROPOSALS = "Maps that were proposed to make scores honest, shown to help on held-out labels"
DECISIONS = "What people decided about proposed maps; the newest of a proposal counts"
SERIES = (
    ("model", "Model name, as in the events"),
    ("version", "Model version, as in the prediction events"),
    ("claim", "Kind of confidence: `positive` for a binary score"),
    ("segment", "`dimension=value`, or empty for all traffic of the version"),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recalibration_proposal",
        _number("proposal_id"),
        *(_text(name, comment) for name, comment in SERIES),
        _text("method", "temperature, platt, beta or isotonic"),
        _text("sha256", "Hash that the artifact holds of its own content"),
        _text(
            "artifact", "The file as it was written: JSON with formula, parameters and provenance"
        ),
        _at("window_start_at", "Start of the prediction time of its labels"),
        _at("window_end_at", "End of the prediction time of its labels, exclusive"),
        sa.Column(
            "evaluation_id",
            sa.BigInteger(),
            nullable=False,
            comment="Verdict on whose window it was made",
        ),
        _recorded(),
        sa.PrimaryKeyConstraint("proposal_id", name=op.f("pk_recalibration_proposal")),
        sa.UniqueConstraint("sha256", name=op.f("uq_recalibration_proposal_sha256")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calmon.evaluation.evaluation_id"],
            name=op.f("fk_recalibration_proposal_evaluation_id"),
        ),
        schema="calmon",
        comment=PROPOSALS,
    )
    op.create_index(
        "ix_recalibration_proposal_model", "recalibration_proposal", ["model"], schema="calmon"
    )
    op.create_table(
        "recalibration_decision",
        _number("decision_id"),
        sa.Column("proposal_id", sa.BigInteger(), nullable=False, comment="Proposal"),
        _text("decision", "approved or rejected"),
        _text("author", "Who decided"),
        _text("reason", "Why, in the person's words"),
        _recorded(),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_recalibration_decision")),
        sa.ForeignKeyConstraint(
            ["proposal_id"],
            ["calmon.recalibration_proposal.proposal_id"],
            name=op.f("fk_recalibration_decision_proposal_id"),
        ),
        schema="calmon",
        comment=DECISIONS,
    )
    op.create_index(
        "ix_recalibration_decision_proposal_id",
        "recalibration_decision",
        ["proposal_id"],
        schema="calmon",
    )
    for table in ("recalibration_proposal", "recalibration_decision"):
        op.execute(
            f"CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON calmon.{table} "
            "FOR EACH ROW EXECUTE FUNCTION calmon.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON calmon.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION calmon.refuse_change()"
        )
    _view("recalibration_proposals", "recalibration_proposal", PROPOSALS)
    _view("recalibration_decisions", "recalibration_decision", DECISIONS)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
    )


def _text(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def _at(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=False, comment=comment)


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
    op.execute(f"COMMENT ON VIEW audit.{view} IS '{comment}'")
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
    op.execute("DROP VIEW audit.recalibration_decisions")
    op.execute("DROP VIEW audit.recalibration_proposals")
    op.drop_table("recalibration_decision", schema="calmon")
    op.drop_table("recalibration_proposal", schema="calmon")
