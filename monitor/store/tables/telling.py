"""What is to be told to whom, and every attempt to deliver it.

Guarantees: a notification is written with the verdict; each attempt keeps the receiver's answer.
Must never: have a row changed; all are insert-only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Table,
    Text,
)

from monitor.store.tables.alerting import alert_event
from monitor.store.tables.columns import at, identity, json, metadata, recorded, text

notification = Table(
    "notification",
    metadata,
    Column("notification_id", Text, primary_key=True, comment="Group, number, route and target"),
    Column("sequence", BigInteger, Identity(always=True), nullable=False, comment="Order"),
    Column(
        "alert_event_id",
        BigInteger,
        ForeignKey(alert_event.c.alert_event_id),
        nullable=False,
        comment="Alert event told",
    ),
    text("route", "Kind of receiver, as slack or console"),
    text("target", "Place at the receiver, as a Slack channel"),
    text("group_id", "Group"),
    text("kind", "fired, changed, reminded or resolved, as this receiver sees it"),
    text("prompted_by", "alert, acknowledgement, silence or silence_end"),
    json("payload", "What is told: verdict, members, times and addressee"),
    recorded(),
    Index("ix_notification_group_id", "group_id"),
    comment="What is to be told to whom; written with the verdict",
)

notification_attempt = Table(
    "notification_attempt",
    metadata,
    identity("attempt_id", "Number"),
    Column("notification_id", Text, nullable=False, comment="Notification"),
    at("attempted_at", "When it was tried, wall clock"),
    text("outcome", "delivered, retry, rejected, suppressed or superseded"),
    text("detail", "What the receiver said"),
    json("receipt", "Where the message stands at the receiver", nullable=True),
    at("next_attempt_at", "Earliest next try", nullable=True),
    recorded(),
    ForeignKeyConstraint(["notification_id"], ["calmon.notification.notification_id"]),
    Index("ix_notification_attempt_notification_id", "notification_id"),
    comment="Every attempt to deliver, with the receiver's answer",
)
