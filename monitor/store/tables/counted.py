"""What is counted: models, their series, and facts fixed once for a database.

Guarantees: the numbers that other tables name a model or a series by are given here alone.
Must never: change the meaning of a series; another rule or horizon is another series.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from monitor.store.tables.columns import big, metadata, recorded, series_identity

deployment = Table(
    "deployment",
    metadata,
    Column("only_row", Boolean, primary_key=True, comment="Always true: the table has one row"),
    big("hash_seed", "Secret seed of the 64-bit hash that joins labels to predictions"),
    Column("edges_version", Integer, nullable=False, comment="Version of the micro-bin edges"),
    recorded(),
    comment="Facts fixed once for this database",
)

model = Table(
    "model",
    metadata,
    Column("model_id", Integer, Identity(always=True), primary_key=True, comment="Number"),
    Column("name", Text, nullable=False, unique=True, comment="Model name, as in the events"),
    recorded(),
    comment="Models seen",
)

series = Table(
    "series",
    metadata,
    Column("series_id", Integer, Identity(always=True), primary_key=True, comment="Number"),
    *series_identity(),
    Column("pane_s", Integer, nullable=False, comment="Length of its panes, seconds"),
    Column("label_horizon_s", Integer, nullable=False, comment="Age at which panes seal, seconds"),
    Column(
        "correction_horizon_s",
        Integer,
        nullable=False,
        comment="Age until which labels still change counts, seconds",
    ),
    Column(
        "sample_ppm",
        Integer,
        nullable=False,
        server_default="1000000",
        comment="Predictions in a million that are counted, chosen by a hash of their id",
    ),
    Column(
        "unlabelled_negative",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="Whether a prediction without a label counts as a negative",
    ),
    Column("rule", SmallInteger, nullable=False, comment="0: = low, 1: <= low, 2: low to high"),
    Column("low", Double, nullable=False, comment="Lower or only reference of the outcome rule"),
    Column("high", Double, nullable=False, comment="Upper reference of the outcome rule"),
    recorded(),
    UniqueConstraint(
        "model",
        "version",
        "claim",
        "segment",
        "pane_s",
        "label_horizon_s",
        "correction_horizon_s",
        "sample_ppm",
        "unlabelled_negative",
        "rule",
        "low",
        "high",
        name="uq_series_identity",
    ),
    comment="What is counted; segment here is the combination of all declared dimensions",
)


def series_number() -> Column[int]:
    """The series a row is about."""
    return Column(
        "series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"
    )
