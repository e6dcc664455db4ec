"""Counts and history: every table, with comments on tables and columns.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "baseline",
        sa.Column(
            "baseline_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number",
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="Model name, as in the events"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="Model version, as in the prediction events",
        ),
        sa.Column(
            "claim",
            sa.Text(),
            nullable=False,
            comment="Kind of confidence: `positive` for a binary score",
        ),
        sa.Column(
            "segment",
            sa.Text(),
            nullable=False,
            comment="`dimension=value`, or empty for all traffic of the version",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Rule or file it was made from"),
        sa.Column(
            "start_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Start of its prediction time",
        ),
        sa.Column(
            "end_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="End of its prediction time, exclusive",
        ),
        sa.Column(
            "n_labelled", sa.BigInteger(), nullable=False, comment="Labelled predictions in it"
        ),
        sa.Column(
            "cohorts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Its cohorts: start and end in epoch seconds, bins, and a list a sum by bin",
        ),
        sa.Column(
            "pinned_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time from which it holds",
        ),
        sa.Column(
            "author", sa.Text(), nullable=False, comment="Who pinned it; `calmon` for a rule"
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("baseline_id", name=op.f("pk_baseline")),
        schema="calmon",
        comment="Pinned baselines; the newest of a series holds",
    )
    op.create_index(
        "ix_baseline_series",
        "baseline",
        ["model", "version", "claim", "segment"],
        unique=False,
        schema="calmon",
    )
    op.create_table(
        "bin_delta",
        sa.Column(
            "delta_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        sa.Column(
            "payload",
            sa.LargeBinary(),
            nullable=False,
            comment="Packed cells to be added to bin_count",
        ),
        sa.Column(
            "tallies",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Tallies to be added: [kind, model number, series number, count]",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("delta_id", name=op.f("pk_bin_delta")),
        schema="calmon",
        comment="Counts on their way from the workers to bin_count",
    )
    op.create_table(
        "change_event",
        sa.Column(
            "change_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        sa.Column("topic", sa.Text(), nullable=False, comment="Kafka topic"),
        sa.Column("partition", sa.Integer(), nullable=False, comment="Kafka partition"),
        sa.Column("offset", sa.BigInteger(), nullable=False, comment="Kafka offset"),
        sa.Column("model", sa.Text(), nullable=False, comment="Model name"),
        sa.Column("version", sa.Text(), nullable=True, comment="Model version, where told"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="version, data, feature, deploy or recalibration",
        ),
        sa.Column("description", sa.Text(), nullable=False, comment="Free text"),
        sa.Column(
            "happened_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When it changed, event time",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_change_event")),
        sa.UniqueConstraint(
            "topic", "partition", "offset", name=op.f("uq_change_event_topic_partition_offset")
        ),
        schema="calmon",
        comment="Changes around models, as announced on the changes topic",
    )
    op.create_table(
        "dead_letter",
        sa.Column("topic", sa.Text(), nullable=False, comment="Kafka topic"),
        sa.Column("partition", sa.Integer(), nullable=False, comment="Kafka partition"),
        sa.Column("offset", sa.BigInteger(), nullable=False, comment="Kafka offset"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Short name of what is wrong"),
        sa.Column("detail", sa.Text(), nullable=False, comment="What is wrong and how to mend it"),
        sa.Column("key", sa.LargeBinary(), nullable=True, comment="Message key"),
        sa.Column(
            "value", sa.LargeBinary(), nullable=True, comment="Message as received, up to 1 MiB"
        ),
        sa.Column(
            "published_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Kafka's timestamp of the message",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("topic", "partition", "offset", name=op.f("pk_dead_letter")),
        schema="calmon",
        comment="Messages that could not be used",
    )
    op.create_table(
        "deployment",
        sa.Column(
            "only_row", sa.Boolean(), nullable=False, comment="Always true: the table has one row"
        ),
        sa.Column(
            "hash_seed",
            sa.BigInteger(),
            nullable=False,
            comment="Secret seed of the 64-bit hash that joins labels to predictions",
        ),
        sa.Column(
            "edges_version", sa.Integer(), nullable=False, comment="Version of the micro-bin edges"
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_deployment")),
        schema="calmon",
        comment="Facts fixed once for this database",
    )
    op.create_table(
        "ingest_partition",
        sa.Column("topic", sa.Text(), nullable=False, comment="Kafka topic"),
        sa.Column("partition", sa.Integer(), nullable=False, comment="Kafka partition"),
        sa.Column(
            "next_offset",
            sa.BigInteger(),
            nullable=True,
            comment="First offset not yet counted; null before the first",
        ),
        sa.Column(
            "epoch",
            sa.BigInteger(),
            nullable=False,
            comment="Grows with every change of owner; an older owner's commit is refused",
        ),
        sa.Column("owner", sa.Text(), nullable=False, comment="Worker that holds the partition"),
        sa.Column(
            "watermarks",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Newest event time read, epoch milliseconds by model number",
        ),
        sa.Column(
            "counted",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Newest event time whose counts are flushed, as watermarks",
        ),
        sa.Column(
            "counted_through_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Everything published before this is flushed",
        ),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_ingest_partition")),
        schema="calmon",
        comment="How far each partition is counted; moves in the transaction of the counts",
    )
    op.create_table(
        "join_block",
        sa.Column(
            "block_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number; grows within a shard",
        ),
        sa.Column("shard", sa.Integer(), nullable=False, comment="Partition number"),
        sa.Column(
            "newest_ms",
            sa.BigInteger(),
            nullable=False,
            comment="Newest event time in the block, epoch milliseconds",
        ),
        sa.Column("n_events", sa.Integer(), nullable=False, comment="Events in the block"),
        sa.Column(
            "payload",
            sa.LargeBinary(),
            nullable=False,
            comment="Packed columns of the events that changed a row",
        ),
        sa.Column(
            "tallies",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Tallies of the batch: [kind, model number, series number, count]",
        ),
        sa.PrimaryKeyConstraint("block_id", name=op.f("pk_join_block")),
        schema="calmon",
        comment="Durable form of the join index: predictions and labels not yet past their horizon",
    )
    op.create_index(
        "ix_join_block_shard_block_id",
        "join_block",
        ["shard", "block_id"],
        unique=False,
        schema="calmon",
    )
    op.create_table(
        "join_shard",
        sa.Column(
            "shard", sa.Integer(), autoincrement=False, nullable=False, comment="Partition number"
        ),
        sa.Column(
            "flushed_block_id",
            sa.BigInteger(),
            nullable=False,
            comment="Blocks up to this one are in bin_delta or bin_count",
        ),
        sa.Column(
            "evicted",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Rows older than this were forgotten, epoch milliseconds by model number",
        ),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_join_shard")),
        schema="calmon",
        comment="How much of each shard's blocks has become counts",
    )
    op.create_table(
        "model",
        sa.Column(
            "model_id", sa.Integer(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Model name, as in the events"),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_model")),
        sa.UniqueConstraint("name", name=op.f("uq_model_name")),
        schema="calmon",
        comment="Models seen",
    )
    op.create_table(
        "policy",
        sa.Column(
            "fingerprint",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the policy's canonical JSON",
        ),
        sa.Column(
            "body",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="The policy; spans in seconds",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_policy")),
        schema="calmon",
        comment="Every policy that a verdict was given under",
    )
    op.create_table(
        "series",
        sa.Column(
            "series_id", sa.Integer(), sa.Identity(always=True), nullable=False, comment="Number"
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="Model name, as in the events"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="Model version, as in the prediction events",
        ),
        sa.Column(
            "claim",
            sa.Text(),
            nullable=False,
            comment="Kind of confidence: `positive` for a binary score",
        ),
        sa.Column(
            "segment",
            sa.Text(),
            nullable=False,
            comment="`dimension=value`, or empty for all traffic of the version",
        ),
        sa.Column("pane_s", sa.Integer(), nullable=False, comment="Length of its panes, seconds"),
        sa.Column(
            "label_horizon_s",
            sa.Integer(),
            nullable=False,
            comment="Age at which panes seal, seconds",
        ),
        sa.Column(
            "correction_horizon_s",
            sa.Integer(),
            nullable=False,
            comment="Age until which labels still change counts, seconds",
        ),
        sa.Column(
            "rule", sa.SmallInteger(), nullable=False, comment="0: = low, 1: <= low, 2: low to high"
        ),
        sa.Column(
            "low",
            sa.Double(),
            nullable=False,
            comment="Lower or only reference of the outcome rule",
        ),
        sa.Column(
            "high", sa.Double(), nullable=False, comment="Upper reference of the outcome rule"
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.PrimaryKeyConstraint("series_id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "model",
            "version",
            "claim",
            "segment",
            "pane_s",
            "label_horizon_s",
            "correction_horizon_s",
            "rule",
            "low",
            "high",
            name=op.f(
                "uq_series_model_version_claim_segment_pane_s_label_horizon_s_correction_horizon_s_rule_low_high"
            ),
        ),
        schema="calmon",
        comment="What is counted; segment here is the combination of all declared dimensions",
    )
    op.create_table(
        "bin_count",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column(
            "pane_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Start of the pane of prediction time",
        ),
        sa.Column(
            "late",
            sa.Boolean(),
            nullable=False,
            comment="Changes made by labels past the label horizon",
        ),
        sa.Column("bin", sa.SmallInteger(), nullable=False, comment="Micro-bin number, from 0"),
        sa.Column("n_predicted", sa.BigInteger(), nullable=False, comment="Predictions"),
        sa.Column(
            "n_labelled", sa.BigInteger(), nullable=False, comment="Predictions that have a label"
        ),
        sa.Column(
            "n_positive",
            sa.BigInteger(),
            nullable=False,
            comment="Labelled predictions whose claim came true",
        ),
        sa.Column(
            "score_sum",
            sa.BigInteger(),
            nullable=False,
            comment="Sum of the labelled predictions' scores, in billionths",
        ),
        sa.Column(
            "score_square_sum",
            sa.BigInteger(),
            nullable=False,
            comment="Sum of the labelled predictions' squared scores, in billionths",
        ),
        sa.Column(
            "score_positive_sum",
            sa.BigInteger(),
            nullable=False,
            comment="Sum of the scores of those that came true, in billionths",
        ),
        sa.Column(
            "log_loss_sum",
            sa.BigInteger(),
            nullable=False,
            comment="Sum of log losses in billionths of a nat, scores clipped at 1e-15",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_bin_count_series_id")
        ),
        sa.PrimaryKeyConstraint("series_id", "pane_at", "late", "bin", name=op.f("pk_bin_count")),
        schema="calmon",
        comment="Reliability bins: add on-time and late rows for what is known now",
    )
    op.create_table(
        "evaluation",
        sa.Column(
            "evaluation_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number",
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="Model name, as in the events"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="Model version, as in the prediction events",
        ),
        sa.Column(
            "claim",
            sa.Text(),
            nullable=False,
            comment="Kind of confidence: `positive` for a binary score",
        ),
        sa.Column(
            "segment",
            sa.Text(),
            nullable=False,
            comment="`dimension=value`, or empty for all traffic of the version",
        ),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="OK, DRIFTED, INSUFFICIENT or NO_DATA"
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in one sentence"),
        sa.Column(
            "evaluated_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time of the judgement",
        ),
        sa.Column(
            "window_start_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Start of the judged prediction time",
        ),
        sa.Column(
            "window_end_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="End of the judged prediction time, exclusive",
        ),
        sa.Column(
            "evidence",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Metrics, bins, e-value, direction, cause and repair",
        ),
        sa.Column(
            "policy_fingerprint", sa.Text(), nullable=False, comment="Policy it was given under"
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.ForeignKeyConstraint(
            ["policy_fingerprint"],
            ["calmon.policy.fingerprint"],
            name=op.f("fk_evaluation_policy_fingerprint"),
        ),
        sa.PrimaryKeyConstraint("evaluation_id", name=op.f("pk_evaluation")),
        sa.UniqueConstraint(
            "model",
            "version",
            "claim",
            "segment",
            "evaluated_at",
            name=op.f("uq_evaluation_model_version_claim_segment_evaluated_at"),
        ),
        schema="calmon",
        comment="Every verdict with its evidence",
    )
    op.create_table(
        "sealed_pane",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column(
            "pane_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Start of the pane of prediction time",
        ),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="0: as judged, on-time labels only; later: all labels then known",
        ),
        sa.Column(
            "sealed_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time at which it was mature, or was revised",
        ),
        sa.Column(
            "bins",
            sa.ARRAY(sa.SmallInteger()),
            nullable=False,
            comment="Micro-bin numbers, ascending",
        ),
        sa.Column(
            "n_predicted", sa.ARRAY(sa.BigInteger()), nullable=False, comment="Predictions, by bin"
        ),
        sa.Column(
            "n_labelled",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Predictions that have a label, by bin",
        ),
        sa.Column(
            "n_positive",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Labelled predictions whose claim came true, by bin",
        ),
        sa.Column(
            "score_sum",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Sum of the labelled predictions' scores, in billionths, by bin",
        ),
        sa.Column(
            "score_square_sum",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Sum of the labelled predictions' squared scores, in billionths, by bin",
        ),
        sa.Column(
            "score_positive_sum",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Sum of the scores of those that came true, in billionths, by bin",
        ),
        sa.Column(
            "log_loss_sum",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="Sum of log losses in billionths of a nat, scores clipped at 1e-15, by bin",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_sealed_pane_series_id")
        ),
        sa.PrimaryKeyConstraint("series_id", "pane_at", "revision", name=op.f("pk_sealed_pane")),
        schema="calmon",
        comment="Panes as they were judged, and their later revisions",
    )
    op.create_table(
        "tally",
        sa.Column("kind", sa.Text(), nullable=False, comment="What happened to the events"),
        sa.Column("model_id", sa.Integer(), nullable=False, comment="Model"),
        sa.Column(
            "series_id",
            sa.Integer(),
            nullable=False,
            comment="Series, or -1 where only the model is known",
        ),
        sa.Column("n", sa.BigInteger(), nullable=False, comment="Events"),
        sa.ForeignKeyConstraint(
            ["model_id"], ["calmon.model.model_id"], name=op.f("fk_tally_model_id")
        ),
        sa.PrimaryKeyConstraint("kind", "model_id", "series_id", name=op.f("pk_tally")),
        schema="calmon",
        comment="Events that were not a plain prediction or first label",
    )
    op.create_table(
        "touched_pane",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="Series"),
        sa.Column(
            "pane_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Start of the pane of prediction time",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["calmon.series.series_id"], name=op.f("fk_touched_pane_series_id")
        ),
        sa.PrimaryKeyConstraint("series_id", "pane_at", name=op.f("pk_touched_pane")),
        schema="calmon",
        comment="Panes whose counts changed since they were last sealed or revised",
    )
    op.create_table(
        "watch_progress",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False, comment="Model"),
        sa.Column(
            "judged_through_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time up to which its series were judged",
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["calmon.model.model_id"], name=op.f("fk_watch_progress_model_id")
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_watch_progress")),
        schema="calmon",
        comment="How far the watcher has come",
    )
    op.create_table(
        "alert_event",
        sa.Column(
            "alert_event_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number",
        ),
        sa.Column("episode_id", sa.Text(), nullable=False, comment="Episode; one Slack thread"),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="SHA-256 of the series' identity"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="fired or resolved"),
        sa.Column("model", sa.Text(), nullable=False, comment="Model name, as in the events"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="Model version, as in the prediction events",
        ),
        sa.Column(
            "claim",
            sa.Text(),
            nullable=False,
            comment="Kind of confidence: `positive` for a binary score",
        ),
        sa.Column(
            "segment",
            sa.Text(),
            nullable=False,
            comment="`dimension=value`, or empty for all traffic of the version",
        ),
        sa.Column(
            "fired_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time at which the episode began",
        ),
        sa.Column(
            "happened_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Event time of this event",
        ),
        sa.Column(
            "direction",
            sa.Text(),
            nullable=True,
            comment="overconfident, underconfident or improved",
        ),
        sa.Column("cause", sa.Text(), nullable=True, comment="map or mix"),
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False, comment="Verdict behind it"),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calmon.evaluation.evaluation_id"],
            name=op.f("fk_alert_event_evaluation_id"),
        ),
        sa.PrimaryKeyConstraint("alert_event_id", name=op.f("pk_alert_event")),
        sa.UniqueConstraint("episode_id", "kind", name=op.f("uq_alert_event_episode_id_kind")),
        schema="calmon",
        comment="Beginning and end of alert episodes",
    )
    op.create_table(
        "notification",
        sa.Column(
            "notification_id", sa.Text(), nullable=False, comment="Episode, kind, route and target"
        ),
        sa.Column("alert_event_id", sa.BigInteger(), nullable=False, comment="Alert event told"),
        sa.Column("route", sa.Text(), nullable=False, comment="slack or console"),
        sa.Column(
            "target", sa.Text(), nullable=False, comment="Place at the receiver, as a Slack channel"
        ),
        sa.Column("episode_id", sa.Text(), nullable=False, comment="Episode"),
        sa.Column("kind", sa.Text(), nullable=False, comment="fired or resolved"),
        sa.Column(
            "payload",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="What is told: verdict, times and addressee",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.ForeignKeyConstraint(
            ["alert_event_id"],
            ["calmon.alert_event.alert_event_id"],
            name=op.f("fk_notification_alert_event_id"),
        ),
        sa.PrimaryKeyConstraint("notification_id", name=op.f("pk_notification")),
        schema="calmon",
        comment="What is to be told to whom; written with the verdict",
    )
    op.create_table(
        "notification_attempt",
        sa.Column(
            "attempt_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number",
        ),
        sa.Column("notification_id", sa.Text(), nullable=False, comment="Notification"),
        sa.Column(
            "attempted_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When it was tried, wall clock",
        ),
        sa.Column("outcome", sa.Text(), nullable=False, comment="delivered, retry or rejected"),
        sa.Column("detail", sa.Text(), nullable=False, comment="What the receiver said"),
        sa.Column(
            "receipt",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="Where the message stands at the receiver",
        ),
        sa.Column(
            "next_attempt_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Earliest next try",
        ),
        sa.Column(
            "recorded_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When this row was written, by the database's clock",
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["calmon.notification.notification_id"],
            name=op.f("fk_notification_attempt_notification_id"),
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_notification_attempt")),
        schema="calmon",
        comment="Every attempt to deliver, with the receiver's answer",
    )
    op.create_index(
        "ix_notification_attempt_notification_id",
        "notification_attempt",
        ["notification_id"],
        unique=False,
        schema="calmon",
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index(
        "ix_notification_attempt_notification_id",
        table_name="notification_attempt",
        schema="calmon",
    )
    op.drop_table("notification_attempt", schema="calmon")
    op.drop_table("notification", schema="calmon")
    op.drop_table("alert_event", schema="calmon")
    op.drop_table("watch_progress", schema="calmon")
    op.drop_table("touched_pane", schema="calmon")
    op.drop_table("tally", schema="calmon")
    op.drop_table("sealed_pane", schema="calmon")
    op.drop_table("evaluation", schema="calmon")
    op.drop_table("bin_count", schema="calmon")
    op.drop_table("series", schema="calmon")
    op.drop_table("policy", schema="calmon")
    op.drop_table("model", schema="calmon")
    op.drop_table("join_shard", schema="calmon")
    op.drop_index("ix_join_block_shard_block_id", table_name="join_block", schema="calmon")
    op.drop_table("join_block", schema="calmon")
    op.drop_table("ingest_partition", schema="calmon")
    op.drop_table("deployment", schema="calmon")
    op.drop_table("dead_letter", schema="calmon")
    op.drop_table("change_event", schema="calmon")
    op.drop_table("bin_delta", schema="calmon")
    op.drop_index("ix_baseline_series", table_name="baseline", schema="calmon")
    op.drop_table("baseline", schema="calmon")
