"""Alert episodes and what was decided to be told about groups of them.

Guarantees: every change is a row of its own, with the verdict behind it.
Must never: have a row changed; all are insert-only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    UniqueConstraint,
)

from monitor.store.tables.columns import (
    at,
    identity,
    json,
    metadata,
    recorded,
    series_identity,
    text,
)
from monitor.store.tables.judging import evaluation

episode_event = Table(
    "episode_event",
    metadata,
    identity("episode_event_id", "Number"),
    text("episode_id", "Episode: one time that a series drifted, or had no data, to its end"),
    text("fingerprint", "SHA-256 of the series' identity"),
    *series_identity(),
    text("state", "pending, firing, recovering, no_data or resolved"),
    at("began_at", "Event time at which it was first found"),
    at("since_at", "Event time since when it is so, or since when its delay runs"),
    at("fired_at", "Event time at which it last began to fire; null before", nullable=True),
    at("resolved_at", "Event time at which it was over; null before", nullable=True),
    text("direction", "overconfident, underconfident or improved", nullable=True),
    text("cause", "map or mix", nullable=True),
    text("severity", "warning or critical; it never falls"),
    Column("shift", Double, comment="Size of the effect as mean shift of probability"),
    Column("is_drift", Boolean, nullable=False, comment="False: nothing but a lack of data"),
    Column("flaps", Integer, nullable=False, comment="Times it drifted again after it was ok"),
    at("silent_since_at", "Event time since when there is nothing to judge by", nullable=True),
    at("happened_at", "Event time of this event"),
    text("reason", "Why it is so, in one sentence"),
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.evaluation_id),
        nullable=False,
        comment="Verdict behind it",
    ),
    recorded(),
    Index("ix_episode_event_series", "model", "version", "claim", "segment"),
    comment="Every change of every alert episode; the newest row of a series is its episode",
)

alert_event = Table(
    "alert_event",
    metadata,
    identity("alert_event_id", "Number"),
    text("group_id", "Group of episodes of one model; one message at a receiver"),
    Column("sequence", Integer, nullable=False, comment="Number within the group, from 1"),
    text("team", "Team of the policy when the group was opened", nullable=True),
    text("severity", "warning or critical: the group's worst member's"),
    json("members", "Episodes of the group after this event, the worst first"),
    text("reason", "Why this is told, in one sentence"),
    at("opened_at", "Event time at which the group was opened"),
    at("rung_at", "Event time at which people were last called, not only kept informed"),
    text("episode_id", "Episode of the worst member"),
    text("fingerprint", "SHA-256 of the worst member's identity"),
    text("kind", "fired, changed, reminded or resolved"),
    *series_identity(),
    at("fired_at", "Event time at which the worst member fired"),
    at("happened_at", "Event time of this event"),
    text("direction", "overconfident, underconfident or improved", nullable=True),
    text("cause", "map or mix", nullable=True),
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.evaluation_id),
        nullable=False,
        comment="Verdict behind it",
    ),
    recorded(),
    UniqueConstraint("group_id", "sequence"),
    Index("ix_alert_event_model", "model"),
    comment="What was decided to be told about groups of alert episodes",
)
