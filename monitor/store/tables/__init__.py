"""The one declaration of the schema, a module a subject; migrations are checked against it.

Guarantees: every table and column says in its comment what it holds and in which unit; these
comments are the auditors' data dictionary. Times ending in `_at` are UTC; sums are in billionths.
Whoever imports this package sees every table: `from monitor.store import tables`.
Must never: hold a statement; those live in the other modules of this room.
"""

from __future__ import annotations

from monitor.store.tables.alerting import alert_event, episode_event
from monitor.store.tables.answering import acknowledgement, silence, silence_expiry
from monitor.store.tables.changes import baseline_decision, change_event, change_taken
from monitor.store.tables.columns import SCHEMA, metadata
from monitor.store.tables.counted import deployment, model, series
from monitor.store.tables.counting import (
    bin_count,
    bin_delta,
    delay_count,
    loss_count,
    tally,
    touched_delay,
    touched_pane,
)
from monitor.store.tables.ingesting import (
    dead_letter,
    ingest_gap,
    ingest_partition,
    join_block,
    join_shard,
)
from monitor.store.tables.judging import (
    baseline,
    evaluation,
    fleet_naming,
    policy,
    sealed_delay,
    sealed_pane,
    threshold,
    watch_progress,
)
from monitor.store.tables.recalibrating import recalibration_decision, recalibration_proposal
from monitor.store.tables.sampling import labelled_sample
from monitor.store.tables.telling import notification, notification_attempt

__all__ = [
    "INSERT_ONLY",
    "SCHEMA",
    "acknowledgement",
    "alert_event",
    "baseline",
    "baseline_decision",
    "bin_count",
    "bin_delta",
    "change_event",
    "change_taken",
    "dead_letter",
    "delay_count",
    "deployment",
    "episode_event",
    "evaluation",
    "fleet_naming",
    "ingest_gap",
    "ingest_partition",
    "join_block",
    "join_shard",
    "labelled_sample",
    "loss_count",
    "metadata",
    "model",
    "notification",
    "notification_attempt",
    "policy",
    "recalibration_decision",
    "recalibration_proposal",
    "sealed_delay",
    "sealed_pane",
    "series",
    "silence",
    "silence_expiry",
    "tally",
    "threshold",
    "touched_delay",
    "touched_pane",
    "watch_progress",
]

INSERT_ONLY = (
    policy,
    sealed_pane,
    sealed_delay,
    baseline,
    threshold,
    fleet_naming,
    evaluation,
    episode_event,
    alert_event,
    silence,
    silence_expiry,
    acknowledgement,
    notification,
    notification_attempt,
    change_event,
    baseline_decision,
    change_taken,
    recalibration_proposal,
    recalibration_decision,
    ingest_gap,
)
"""Tables whose rows never change; triggers refuse UPDATE, DELETE and TRUNCATE."""
