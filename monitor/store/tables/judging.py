"""What verdicts are given by, and the verdicts: panes as judged, policies, baselines, thresholds.

Guarantees: every verdict can be given again from these rows and those of `changes`.
Must never: have a row changed, but for how far the watcher has come.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
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
    series_identity,
    text,
)
from monitor.store.tables.counted import model, series_number

watch_progress = Table(
    "watch_progress",
    metadata,
    Column(
        "model_id",
        Integer,
        ForeignKey(model.c.model_id),
        primary_key=True,
        autoincrement=False,
        comment="Model",
    ),
    at("judged_through_at", "Event time up to which its series were judged"),
    comment="How far the watcher has come",
)

policy = Table(
    "policy",
    metadata,
    Column("fingerprint", Text, primary_key=True, comment="SHA-256 of the policy's canonical JSON"),
    json("body", "The policy; spans in seconds"),
    recorded(),
    comment="Every policy that a verdict was given under",
)

sealed_pane = Table(
    "sealed_pane",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time"),
    Column(
        "revision",
        Integer,
        nullable=False,
        comment="0: as judged, on-time labels only; later: all labels then known",
    ),
    at("sealed_at", "Event time at which it was mature, or was revised"),
    Column("bins", ARRAY(SmallInteger), nullable=False, comment="Micro-bin numbers, ascending"),
    *(
        Column(name, ARRAY(BigInteger), nullable=False, comment=f"{comment}, by bin")
        for name, comment in SUM_COMMENTS.items()
    ),
    recorded(),
    PrimaryKeyConstraint("series_id", "pane_at", "revision"),
    comment="Panes as they were judged, and their later revisions",
)

sealed_delay = Table(
    "sealed_delay",
    metadata,
    series_number(),
    at("pane_at", "Start of the pane of prediction time; a day, where panes divide a day"),
    Column(
        "complete",
        Boolean,
        nullable=False,
        comment="False: labels within the label horizon; true: within the correction horizon",
    ),
    at("sealed_at", "Event time at which it was mature"),
    Column("outcomes", ARRAY(SmallInteger), nullable=False, comment="Outcomes, 0 or 1"),
    Column("buckets", ARRAY(SmallInteger), nullable=False, comment=BUCKET_COMMENT),
    Column("n_labels", ARRAY(BigInteger), nullable=False, comment="Labels, by outcome and bucket"),
    recorded(),
    PrimaryKeyConstraint("series_id", "pane_at", "complete"),
    comment="Delays of labels as they were judged",
)

baseline = Table(
    "baseline",
    metadata,
    identity("baseline_id", "Number"),
    *series_identity(),
    text("source", "Rule or file it was made from"),
    at("start_at", "Start of its prediction time"),
    at("end_at", "End of its prediction time, exclusive"),
    big("n_labelled", "Labelled predictions in it"),
    json("cohorts", "Its cohorts: start and end in epoch seconds, bins, and a list a sum by bin"),
    at("pinned_at", "Event time from which it holds"),
    text("author", "Who pinned it; `calmon` for a rule"),
    json(
        "restart",
        "What ended the baseline before it: kind, times, reason and author; null for a first one",
        nullable=True,
    ),
    recorded(),
    Index("ix_baseline_series", "model", "version", "claim", "segment"),
    comment="Pinned baselines; the newest of a series holds",
)

threshold = Table(
    "threshold",
    metadata,
    identity("threshold_id", "Number"),
    *series_identity(),
    at("effective_at", "Event time from which it holds, for cohorts that mature later"),
    Column(
        "alarm_at",
        Double,
        comment="Evidence at which an alarm is raised, in labels; null: takes no part any more",
    ),
    Column("weight", Double, nullable=False, comment="Weight of its part against the others'"),
    Column(
        "labels_per_month",
        Double,
        nullable=False,
        comment="Labels a month it was expected to send, by the cohorts matured until then",
    ),
    Column(
        "false_alarms_per_month",
        Double,
        nullable=False,
        comment="Its part of the budget: labels_per_month / alarm_at",
    ),
    Column("fleet_size", Integer, nullable=False, comment="Series that shared the budget then"),
    text("budget", "The budget in words"),
    text("rule", "thresholds, or e_d_bh: named together as well"),
    recorded(),
    UniqueConstraint("model", "version", "claim", "segment", "effective_at"),
    Index("ix_threshold_effective_at", "effective_at"),
    comment="Thresholds that followed from a fleet's false-alarm budget; the newest holds",
)

fleet_naming = Table(
    "fleet_naming",
    metadata,
    identity("naming_id", "Number"),
    *series_identity(),
    at("named_at", "Event time at which it was named"),
    Column("of_threshold", Double, nullable=False, comment="Its evidence over its threshold then"),
    recorded(),
    UniqueConstraint("model", "version", "claim", "segment", "named_at"),
    comment="Series that e-d-BH named below their own threshold, with others",
)

evaluation = Table(
    "evaluation",
    metadata,
    identity("evaluation_id", "Number"),
    *series_identity(),
    text("status", "OK, DRIFTED, INSUFFICIENT or NO_DATA"),
    text("reason", "Why, in one sentence"),
    at("evaluated_at", "Event time of the judgement"),
    at("window_start_at", "Start of the judged prediction time"),
    at("window_end_at", "End of the judged prediction time, exclusive"),
    json("evidence", "Metrics, bins, e-value, direction, cause and repair"),
    Column(
        "policy_fingerprint",
        Text,
        ForeignKey(policy.c.fingerprint),
        nullable=False,
        comment="Policy it was given under",
    ),
    recorded(),
    UniqueConstraint("model", "version", "claim", "segment", "evaluated_at"),
    comment="Every verdict with its evidence",
)
