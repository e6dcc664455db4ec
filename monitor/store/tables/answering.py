"""What people answered: silences, their ends, and acknowledgements.

Guarantees: every answer has an author and a reason.
Must never: have a row changed; all are insert-only.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table

from monitor.store.tables.columns import at, identity, json, metadata, recorded, text

silence = Table(
    "silence",
    metadata,
    identity("silence_id", "Number"),
    json("matchers", "Conditions that must all be met: label, value, is_regex"),
    text("author", "Who asked for it"),
    text("reason", "Why"),
    at("starts_at", "From when on it holds, wall clock"),
    at("ends_at", "When it ends by itself, wall clock, exclusive"),
    recorded(),
    comment="Silences: alerts of which no notification is sent meanwhile",
)

silence_expiry = Table(
    "silence_expiry",
    metadata,
    identity("expiry_id", "Number"),
    Column(
        "silence_id",
        BigInteger,
        ForeignKey(silence.c.silence_id),
        nullable=False,
        unique=True,
        comment="Silence",
    ),
    text("author", "Who ended it; `calmon` where its time was over"),
    text("reason", "Why"),
    at("expired_at", "When it ended, wall clock"),
    recorded(),
    comment="Ends of silences",
)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    identity("acknowledgement_id", "Number"),
    text("group_id", "Group that was taken on"),
    text("author", "Who took it on"),
    text("reason", "Why, or what is done"),
    at("acknowledged_at", "When, wall clock"),
    text("severity", "Severity of the group then; it holds until that rises"),
    json("fingerprints", "Members then, by fingerprint; it holds until another one joins"),
    recorded(),
    Index("ix_acknowledgement_group_id", "group_id"),
    comment="Who has taken on which group of alerts; the newest of a group counts",
)
