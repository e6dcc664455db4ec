"""How far Kafka is read, the join index's durable form, and messages of no use.

Guarantees: how far a partition is counted stands in one row, moved with the counts.
Must never: hold what a verdict is given by; that is in `counting` and `judging`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table

from monitor.store.tables.columns import (
    at,
    big,
    identity,
    json,
    metadata,
    partition,
    recorded,
    text,
)

ingest_partition = Table(
    "ingest_partition",
    metadata,
    text("topic", "Kafka topic"),
    partition(),
    Column(
        "next_offset", BigInteger, comment="First offset not yet counted; null before the first"
    ),
    big("epoch", "Grows with every change of owner; an older owner's commit is refused"),
    text("owner", "Worker that holds the partition"),
    json("watermarks", "Newest event time read, epoch milliseconds by model number"),
    json("counted", "Newest event time whose counts are flushed, as watermarks"),
    at("counted_through_at", "Everything published before this is flushed", nullable=True),
    PrimaryKeyConstraint("topic", "partition"),
    comment="How far each partition is counted; moves in the transaction of the counts",
)

ingest_gap = Table(
    "ingest_gap",
    metadata,
    identity("gap_id", "Number"),
    text("topic", "Kafka topic"),
    partition(),
    big("from_offset", "First offset not counted"),
    big("to_offset", "Offset at which counting went on"),
    text("reason", "retention: deleted before it was counted; recreated: the topic was made anew"),
    recorded(),
    comment="Messages that were gone before they were counted, as ingest.on_lost_messages allows",
)

join_shard = Table(
    "join_shard",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False, comment="Partition number"),
    big("flushed_block_id", "Blocks up to this one are in bin_delta or bin_count"),
    json("evicted", "Rows older than this were forgotten, epoch milliseconds by model number"),
    comment="How much of each shard's blocks has become counts",
)

join_block = Table(
    "join_block",
    metadata,
    identity("block_id", "Number; grows within a shard"),
    Column("shard", Integer, nullable=False, comment="Partition number"),
    big("newest_ms", "Newest event time in the block, epoch milliseconds"),
    Column("n_events", Integer, nullable=False, comment="Events in the block"),
    Column(
        "payload",
        LargeBinary,
        nullable=False,
        comment="Packed columns of the events that changed a row",
    ),
    json("tallies", "Tallies of the batch: [kind, model number, series number, count]"),
    json(
        "evicted",
        "Set where rows were forgotten: all older than this, epoch milliseconds by model number",
        nullable=True,
    ),
    Index("ix_join_block_shard_block_id", "shard", "block_id"),
    comment="Durable form of the join index: predictions and labels not yet past their horizon",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    text("topic", "Kafka topic"),
    partition(),
    Column("offset", BigInteger, nullable=False, comment="Kafka offset"),
    text("reason", "Short name of what is wrong"),
    text("detail", "What is wrong and how to mend it"),
    Column("key", LargeBinary, comment="Message key"),
    Column("value", LargeBinary, comment="Message as received, up to 1 MiB"),
    at("published_at", "Kafka's timestamp of the message", nullable=True),
    recorded(),
    at("resolved_at", "When it was replayed or dropped; null while it waits", nullable=True),
    text(
        "resolution", "replayed (published again) or dropped (key and value emptied)", nullable=True
    ),
    text("resolved_by", "Who replayed or dropped it", nullable=True),
    text("resolution_reason", "Why, or where it was published again", nullable=True),
    PrimaryKeyConstraint("topic", "partition", "offset"),
    comment="Messages that could not be used",
)
