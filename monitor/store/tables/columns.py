"""The MetaData all tables belong to, and the columns that many of them have.

Guarantees: one MetaData and one naming rule for constraints; every column made here has a comment.
Must never: declare a table; each stands in its subject's module.
"""

from __future__ import annotations

from sqlalchemy import TIMESTAMP, BigInteger, Column, Identity, Integer, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "calmon"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    },
)

_At = TIMESTAMP(timezone=True)

SUM_COMMENTS = {
    "n_predicted": "Predictions",
    "n_labelled": "Predictions that have a label",
    "n_positive": "Labelled predictions whose claim came true",
    "score_sum": "Sum of the labelled predictions' scores, in billionths",
    "score_square_sum": "Sum of the labelled predictions' squared scores, in billionths",
    "score_positive_sum": "Sum of the scores of those that came true, in billionths",
    "log_loss_sum": "Sum of log losses in billionths of a nat, scores clipped at 1e-15",
}
"""What the sums of a reliability bin hold, by the name of their column."""

BUCKET_COMMENT = (
    "Bucket of the delay, from 0; edges are BUCKETS of monitor/core/delays.py, version 1"
)


def recorded() -> Column[object]:
    """When the row was written, by the database's clock."""
    return Column(
        "recorded_at",
        _At,
        nullable=False,
        server_default=func.clock_timestamp(),
        comment="When this row was written, by the database's clock",
    )


def text(name: str, comment: str, *, nullable: bool = False) -> Column[str]:
    """A text."""
    return Column(name, Text, nullable=nullable, comment=comment)


def at(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    """A time in UTC."""
    return Column(name, _At, nullable=nullable, comment=comment)


def big(name: str, comment: str) -> Column[int]:
    """A whole number of 64 bits."""
    return Column(name, BigInteger, nullable=False, comment=comment)


def identity(name: str, comment: str) -> Column[int]:
    """The row's own number, given by the database."""
    return Column(name, BigInteger, Identity(always=True), primary_key=True, comment=comment)


def json(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    """JSON; None is SQL's NULL."""
    return Column(name, JSONB(none_as_null=True), nullable=nullable, comment=comment)


def partition() -> Column[int]:
    """The Kafka partition a row is about."""
    return Column("partition", Integer, nullable=False, comment="Kafka partition")


def series_identity() -> list[Column[str]]:
    """The four names of a series, for tables that outlive its number."""
    return [
        text("model", "Model name, as in the events"),
        text("version", "Model version, as in the prediction events"),
        text("claim", "Kind of confidence: `positive` for a binary score"),
        text("segment", "`dimension=value`, or empty for all traffic of the version"),
    ]
