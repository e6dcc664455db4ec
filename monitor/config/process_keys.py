"""The keys of the whole process: topics, how they are read, where health is served, the fleet.

Must never: compare keys with each other; `rules.py` does.
"""

from __future__ import annotations

from typing import Literal

from monitor.config.sections import Keys, key
from monitor.config.times import parse_span
from monitor.config.values import (
    BudgetWords,
    ListeningAddress,
    Name,
    PositiveSpan,
    PublicAddress,
    SessionSpan,
    Span,
    TopicName,
    Weight,
)


class TopicKeys(Keys):
    """Names of the Kafka topics."""

    predictions: TopicName = key(
        "predictions", "Topic of the prediction events.", example="scores.v2"
    )
    labels: TopicName = key("labels", "Topic of the label events.", example="outcomes")
    changes: TopicName = key(
        "changes",
        "Topic of change events: new version, data or feature change, deploy.",
        example="ml-changes",
    )


class IngestKeys(Keys):
    """How events are read from Kafka."""

    group: Name = key(
        "calmon", "Kafka consumer group; the workers of one monitor share it.", example="calmon-eu"
    )
    start_from: Literal["earliest", "latest"] = key(
        "earliest",
        "Where a partition is begun that has no stored offset yet.",
        example="latest",
    )
    max_future_skew: Span = key(
        parse_span("5m"),
        "How far an event's time may lie ahead of the wall clock; beyond it, it is a dead letter.",
        example="30s",
    )
    batch_events: int = key(
        20_000, "Most events of one transaction.", example="5000", ge=1, le=200_000
    )
    flush_every: PositiveSpan = key(
        parse_span("2s"),
        "Longest time until counts of a batch are written as a delta.",
        example="10s",
    )
    session_timeout: SessionSpan = key(
        parse_span("15s"),
        "How long a killed worker keeps its partitions from the others; 1s to 5m, and within what "
        "the brokers allow.",
        example="45s",
    )
    on_lost_messages: Literal["stop", "record_gap"] = key(
        "stop",
        "What to do when Kafka deleted messages before they were counted: stop with an error, or "
        "write the gap to the database and go on.",
        example="record_gap",
    )


class HttpKeys(Keys):
    """Where metrics and health are served."""

    address: ListeningAddress | None = key(
        None,
        "IP address and port of /metrics, /livez and /readyz; without one there is no server.",
        example="127.0.0.1:8420",
    )
    public_url: PublicAddress | None = key(
        None,
        "Address at which people reach `address`, perhaps through a proxy; alerts then link to "
        "their evidence, `/alerts/` and the group's id below it.",
        example="https://calmon.example.org",
    )


class FleetKeys(Keys):
    """One budget of false alarms over all series."""

    false_alarms: BudgetWords | None = key(
        None,
        "How many false alarms all series together may raise, in words; their thresholds follow "
        "from it and their traffic. Without it each model's `alarm_at` holds.",
        example="at most one false page a month over the whole fleet",
    )
    rule: Literal["thresholds", "e_d_bh"] = key(
        "thresholds",
        "What names a series: its own threshold, or also e-d-BH, by which series that move "
        "together are named earlier.",
        example="e_d_bh",
    )
    weights: dict[Name, Weight] = key(
        {},
        "Part of the budget that each series of a model has, against 1 for the others.",
        example="{fraud: 3}",
    )
