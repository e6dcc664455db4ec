"""Changes around models, what people decided about baselines, and when either was taken.

Guarantees: with the times at which they were taken, verdicts can be folded again.
Must never: have a row changed; all are insert-only.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Table, UniqueConstraint

from monitor.store.tables.columns import at, identity, metadata, partition, recorded, text

change_event = Table(
    "change_event",
    metadata,
    identity("change_id", "Number"),
    text("topic", "Kafka topic"),
    partition(),
    Column("offset", BigInteger, nullable=False, comment="Kafka offset"),
    text("model", "Model name"),
    text("version", "Model version, where told", nullable=True),
    text("kind", "version, data, feature, deploy or recalibration"),
    text("description", "Free text"),
    at("happened_at", "When it changed, event time"),
    recorded(),
    UniqueConstraint("topic", "partition", "offset"),
    comment="Changes around models, as announced on the changes topic",
)

baseline_decision = Table(
    "baseline_decision",
    metadata,
    identity("decision_id", "Number"),
    text("model", "Model name, as in the events"),
    text("version", "Model version; null for all", nullable=True),
    text(
        "segment", "`dimension=value`, empty for all traffic; null for every series", nullable=True
    ),
    text("kind", "accepted: drifts that were open are the new normal; reset: given up"),
    text("reason", "Why, in the person's words"),
    text("author", "Who decided"),
    at("since_at", "Since when it is the new normal; null: since each drift began", nullable=True),
    at("happened_at", "When it was decided, event time"),
    recorded(),
    comment="What people decided about baselines: drifts accepted, baselines given up",
)

change_taken = Table(
    "change_taken",
    metadata,
    identity("taken_id", "Number"),
    Column(
        "change_id",
        BigInteger,
        ForeignKey(change_event.c.change_id),
        unique=True,
        comment="Change event, if it is one",
    ),
    Column(
        "decision_id",
        BigInteger,
        ForeignKey(baseline_decision.c.decision_id),
        unique=True,
        comment="Decision, if it is one",
    ),
    at("taken_at", "Event time at which it was taken: when it happened, unless it was told late"),
    Column(
        "restarts",
        Boolean,
        nullable=False,
        comment="Whether it began baselines again, by the policy of that time",
    ),
    recorded(),
    comment="When the watcher took a change or a decision into account; "
    "with it, verdicts can be folded again",
)
