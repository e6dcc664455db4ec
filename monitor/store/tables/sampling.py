"""Sampled labelled predictions, for what needs whole rows and not counts.

Guarantees: bounded; a prediction stands once in its day. Must never: hold a prediction's id.
"""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Integer, PrimaryKeyConstraint, Table

from monitor.store.tables.columns import big, json, metadata, text
from monitor.store.tables.counted import model

labelled_sample = Table(
    "labelled_sample",
    metadata,
    Column("model_id", Integer, ForeignKey(model.c.model_id), nullable=False, comment="Model"),
    Column("shard", Integer, nullable=False, comment="Partition number"),
    Column("predicted_on", Date, nullable=False, comment="UTC day of the prediction"),
    text("version", "Model version, as in the prediction events"),
    big("key", "Hash of the prediction's id, less 2^63"),
    Column(
        "size",
        Integer,
        nullable=False,
        comment="Predictions that are kept of its version, partition and day: so many smallest "
        "hashes",
    ),
    json(
        "claims",
        "By claim its score and outcome: 1 came true, 0 did not, null: the label was retracted",
    ),
    PrimaryKeyConstraint("model_id", "shard", "predicted_on", "version", "key"),
    comment="Labelled predictions with several claims: those of a day with the smallest hashes",
)
