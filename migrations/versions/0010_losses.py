"""Losses of quantiles and intervals, and which side their labels missed.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PANE = "Start of the pane of prediction time"
LATE = "Changes made by labels past the label horizon"
TABLE = "Losses of quantiles and intervals: add on-time and late rows for what is known now"
SUMS = (
    ("n_below", "Labels below an interval's lower bound"),
    ("loss_units", "Pinball loss or interval score: sum of whole units of the label"),
    ("loss_billionths", "The rest of that sum, in billionths of a unit"),
    ("width_units", "Width of intervals: sum of whole units of the label"),
    ("width_billionths", "The rest of that sum, in billionths of a unit"),
)
IDENTITY = (
    ("model", "Model name, as in the events"),
    ("version", "Model version, as in the prediction events"),
    ("claim", "`quantile:<level>` or `interval:<level>`"),
    ("segment", "Combination of all declared dimensions, or empty"),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "loss_count",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column("pane_at", sa.TIMESTAMP(timezone=True), nullable=False, comment=PANE),
        sa.Column("late", sa.Boolean(), nullable=False, comment=LATE),
        *(sa.Column(name, sa.BigInteger(), nullable=False, comment=text) for name, text in SUMS),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_loss_count_series_id")
        ),
        sa.PrimaryKeyConstraint("series_id", "pane_at", "late", name=op.f("pk_loss_count")),
        schema="calmon",
        comment=TABLE,
    )
    names = ", ".join(name for name, _ in SUMS)
    op.execute(
        f"""
        CREATE VIEW audit.losses AS
        SELECT s.model, s.version, s.claim, s.segment, l.pane_at, l.late, {names}
        FROM calmon.loss_count l JOIN calmon.series s USING (series_id)
        """  # noqa: S608  # the names are this migration's own
    )
    op.execute(f"COMMENT ON VIEW audit.losses IS '{TABLE}'")
    for name, comment in (*IDENTITY, ("pane_at", PANE), ("late", LATE), *SUMS):
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN audit.losses.{name} IS '{quoted}'")


def downgrade() -> None:
    """Undo."""
    op.execute("DROP VIEW audit.losses")
    op.drop_table("loss_count", schema="calmon")
