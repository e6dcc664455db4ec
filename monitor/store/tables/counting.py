"""Counts on their way and as they stand: bins, delays, losses and tallies.

Guarantees: sums are integers, and late labels have rows of their own, so that rows add.
Must never: hold a judgement.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
)

from monitor.store.tables.columns import (
    BUCKET_COMMENT,
    SUM_COMMENTS,
    at,
    big,
    identity,
    json,
    metadata,
    recorded,
    text,
)
from monitor.store.tables.counted import model, series_number


def _late() -> Column[bool]:
    return Column(
        "late", Boolean, nullable=False, comment="Changes made by labels past the label horizon"
    )


bin_delta = Table(
    "bin_delta",
    metadata,
    identity("delta_id", "Number"),
    Column("payload", LargeBinary, nullable=False, comment="Packed cells to be added to bin_count"),
    json("tallies", "Tallies to be added: [kind, model number, series number, count]"),
    recorded(),
    comment="Counts on their way from the workers to bin_count",
)

bin_count = Table(
    "bin_count",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time"),
    _late(),
    Column("bin", SmallInteger, nullable=False, comment="Micro-bin number, from 0"),
    *(big(name, comment) for name, comment in SUM_COMMENTS.items()),
    PrimaryKeyConstraint("series_id", "pane_at", "late", "bin"),
    comment="Reliability bins: add on-time and late rows for what is known now",
)

touched_pane = Table(
    "touched_pane",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time"),
    PrimaryKeyConstraint("series_id", "pane_at"),
    comment="Panes whose counts changed since they were last sealed or revised",
)

delay_count = Table(
    "delay_count",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time; a day, where panes divide a day"),
    _late(),
    Column("outcome", SmallInteger, nullable=False, comment="Outcome of the labels, 0 or 1"),
    Column("bucket", SmallInteger, nullable=False, comment=BUCKET_COMMENT),
    big("n", "Labels in force"),
    PrimaryKeyConstraint("series_id", "pane_at", "late", "outcome", "bucket"),
    comment="Labels by their delay: add on-time and late rows for what is known now",
)

loss_count = Table(
    "loss_count",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time"),
    _late(),
    big("n_below", "Labels below an interval's lower bound"),
    big("loss_units", "Pinball loss or interval score: sum of whole units of the label"),
    big("loss_billionths", "The rest of that sum, in billionths of a unit"),
    big("width_units", "Width of intervals: sum of whole units of the label"),
    big("width_billionths", "The rest of that sum, in billionths of a unit"),
    PrimaryKeyConstraint("series_id", "pane_at", "late"),
    comment="Losses of quantiles and intervals: add on-time and late rows for what is known now",
)

touched_delay = Table(
    "touched_delay",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time"),
    at("due_at", "Event time at which its delays are to be sealed next"),
    PrimaryKeyConstraint("series_id", "pane_at"),
    Index("ix_touched_delay_due_at", "due_at"),
    comment="Panes whose delays are not sealed for good",
)

tally = Table(
    "tally",
    metadata,
    text("kind", "What happened to the events"),
    Column("model_id", Integer, ForeignKey(model.c.model_id), nullable=False, comment="Model"),
    Column(
        "series_id", Integer, nullable=False, comment="Series, or -1 where only the model is known"
    ),
    big("n", "Events"),
    PrimaryKeyConstraint("kind", "model_id", "series_id"),
    comment="Events that were not a plain prediction or first label",
)
