"""A sample of labelled predictions with several claims, for what needs whole rows.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "Labelled predictions with several claims: those of a day with the smallest hashes"
VIEW = "Claims of the sampled labelled predictions, chosen by a hash of their ids"
COLUMNS = (
    ("model_id", sa.Integer(), "Model"),
    ("shard", sa.Integer(), "Partition number"),
    ("predicted_on", sa.Date(), "UTC day of the prediction"),
    ("version", sa.Text(), "Model version, as in the prediction events"),
    ("key", sa.BigInteger(), "Hash of the prediction's id, less 2^63"),
    (
        "size",
        sa.Integer(),
        "Predictions that are kept of its version, partition and day: so many smallest hashes",
    ),
    (
        "claims",
        sa.dialects.postgresql.JSONB(),
        "By claim its score and outcome: 1 came true, 0 did not, null: the label was retracted",
    ),
)
VIEW_COLUMNS = (
    ("model", "Model name, as in the events"),
    ("version", "Model version, as in the prediction events"),
    ("predicted_on", "UTC day of the prediction"),
    ("shard", "Partition number"),
    ("place", "Number of the prediction in its day, in the order of the hashes, from 1"),
    ("size", "Predictions that are kept of its version, partition and day"),
    ("claim", "`class:<name>` or `confidence:<source>`"),
    ("score", "Probability that the prediction stated"),
    ("outcome", "1: the claim came true, 0: it did not, null: the label was retracted"),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "labelled_sample",
        *(sa.Column(name, kind, nullable=False, comment=text) for name, kind, text in COLUMNS),
        sa.ForeignKeyConstraint(
            ["model_id"], ["calmon.model.model_id"], name=op.f("fk_labelled_sample_model_id")
        ),
        sa.PrimaryKeyConstraint(
            "model_id", "shard", "predicted_on", "version", "key", name=op.f("pk_labelled_sample")
        ),
        schema="calmon",
        comment=TABLE,
    )
    op.execute(
        """
        CREATE VIEW audit.labelled_samples AS
        SELECT m.name AS model, l.version, l.predicted_on, l.shard, l.place, l.size,
               c.key AS claim, (c.value -> 0)::float8 AS score, (c.value ->> 1)::int AS outcome
        FROM (
            SELECT *, row_number() OVER (
                PARTITION BY model_id, shard, predicted_on, version ORDER BY key
            ) AS place
            FROM calmon.labelled_sample
        ) l
        JOIN calmon.model m USING (model_id)
        CROSS JOIN LATERAL jsonb_each(l.claims) c
        """
    )
    op.execute(f"COMMENT ON VIEW audit.labelled_samples IS '{VIEW}'")
    for name, comment in VIEW_COLUMNS:
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN audit.labelled_samples.{name} IS '{quoted}'")


def downgrade() -> None:
    """Undo."""
    op.execute("DROP VIEW audit.labelled_samples")
    op.drop_table("labelled_sample", schema="calmon")
