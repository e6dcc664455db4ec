"""The one declaration of the schema; migrations are checked against it.

Guarantees: every table and column says in its comment what it holds and in which unit; these
comments are the auditors' data dictionary. Times ending in `_at` are UTC; sums are in billionths.
Must never: hold a statement; those live in the other modules of this room.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "calmon"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    },
)

_At = TIMESTAMP(timezone=True)


def _recorded() -> Column[object]:
    return Column(
        "recorded_at",
        _At,
        nullable=False,
        server_default=func.clock_timestamp(),
        comment="When this row was written, by the database's clock",
    )


def _text(name: str, comment: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable, comment=comment)


def _at(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, _At, nullable=nullable, comment=comment)


def _big(name: str, comment: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, comment=comment)


def _identity(name: str, comment: str) -> Column[int]:
    return Column(name, BigInteger, Identity(always=True), primary_key=True, comment=comment)


def _json(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, JSONB(none_as_null=True), nullable=nullable, comment=comment)


def _series_identity() -> list[Column[str]]:
    return [
        _text("model", "Model name, as in the events"),
        _text("version", "Model version, as in the prediction events"),
        _text("claim", "Kind of confidence: `positive` for a binary score"),
        _text("segment", "`dimension=value`, or empty for all traffic of the version"),
    ]


_SUM_COMMENTS = {
    "n_predicted": "Predictions",
    "n_labelled": "Predictions that have a label",
    "n_positive": "Labelled predictions whose claim came true",
    "score_sum": "Sum of the labelled predictions' scores, in billionths",
    "score_square_sum": "Sum of the labelled predictions' squared scores, in billionths",
    "score_positive_sum": "Sum of the scores of those that came true, in billionths",
    "log_loss_sum": "Sum of log losses in billionths of a nat, scores clipped at 1e-15",
}

_BUCKET = "Bucket of the delay, from 0; edges are BUCKETS of monitor/core/delays.py, version 1"

deployment = Table(
    "deployment",
    metadata,
    Column("only_row", Boolean, primary_key=True, comment="Always true: the table has one row"),
    _big("hash_seed", "Secret seed of the 64-bit hash that joins labels to predictions"),
    Column("edges_version", Integer, nullable=False, comment="Version of the micro-bin edges"),
    _recorded(),
    comment="Facts fixed once for this database",
)

model = Table(
    "model",
    metadata,
    Column("model_id", Integer, Identity(always=True), primary_key=True, comment="Number"),
    Column("name", Text, nullable=False, unique=True, comment="Model name, as in the events"),
    _recorded(),
    comment="Models seen",
)

series = Table(
    "series",
    metadata,
    Column("series_id", Integer, Identity(always=True), primary_key=True, comment="Number"),
    *_series_identity(),
    Column("pane_s", Integer, nullable=False, comment="Length of its panes, seconds"),
    Column("label_horizon_s", Integer, nullable=False, comment="Age at which panes seal, seconds"),
    Column(
        "correction_horizon_s",
        Integer,
        nullable=False,
        comment="Age until which labels still change counts, seconds",
    ),
    Column(
        "sample_ppm",
        Integer,
        nullable=False,
        server_default="1000000",
        comment="Predictions in a million that are counted, chosen by a hash of their id",
    ),
    Column(
        "unlabelled_negative",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="Whether a prediction without a label counts as a negative",
    ),
    Column("rule", SmallInteger, nullable=False, comment="0: = low, 1: <= low, 2: low to high"),
    Column("low", Double, nullable=False, comment="Lower or only reference of the outcome rule"),
    Column("high", Double, nullable=False, comment="Upper reference of the outcome rule"),
    _recorded(),
    UniqueConstraint(
        "model",
        "version",
        "claim",
        "segment",
        "pane_s",
        "label_horizon_s",
        "correction_horizon_s",
        "sample_ppm",
        "unlabelled_negative",
        "rule",
        "low",
        "high",
        name="uq_series_identity",
    ),
    comment="What is counted; segment here is the combination of all declared dimensions",
)

ingest_partition = Table(
    "ingest_partition",
    metadata,
    _text("topic", "Kafka topic"),
    Column("partition", Integer, nullable=False, comment="Kafka partition"),
    Column(
        "next_offset", BigInteger, comment="First offset not yet counted; null before the first"
    ),
    _big("epoch", "Grows with every change of owner; an older owner's commit is refused"),
    _text("owner", "Worker that holds the partition"),
    _json("watermarks", "Newest event time read, epoch milliseconds by model number"),
    _json("counted", "Newest event time whose counts are flushed, as watermarks"),
    _at("counted_through_at", "Everything published before this is flushed", nullable=True),
    PrimaryKeyConstraint("topic", "partition"),
    comment="How far each partition is counted; moves in the transaction of the counts",
)

ingest_gap = Table(
    "ingest_gap",
    metadata,
    _identity("gap_id", "Number"),
    _text("topic", "Kafka topic"),
    Column("partition", Integer, nullable=False, comment="Kafka partition"),
    _big("from_offset", "First offset not counted"),
    _big("to_offset", "Offset at which counting went on"),
    _text("reason", "retention: deleted before it was counted; recreated: the topic was made anew"),
    _recorded(),
    comment="Messages that were gone before they were counted, as ingest.on_lost_messages allows",
)

join_shard = Table(
    "join_shard",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False, comment="Partition number"),
    _big("flushed_block_id", "Blocks up to this one are in bin_delta or bin_count"),
    _json("evicted", "Rows older than this were forgotten, epoch milliseconds by model number"),
    comment="How much of each shard's blocks has become counts",
)

join_block = Table(
    "join_block",
    metadata,
    _identity("block_id", "Number; grows within a shard"),
    Column("shard", Integer, nullable=False, comment="Partition number"),
    _big("newest_ms", "Newest event time in the block, epoch milliseconds"),
    Column("n_events", Integer, nullable=False, comment="Events in the block"),
    Column(
        "payload",
        LargeBinary,
        nullable=False,
        comment="Packed columns of the events that changed a row",
    ),
    _json("tallies", "Tallies of the batch: [kind, model number, series number, count]"),
    _json(
        "evicted",
        "Set where rows were forgotten: all older than this, epoch milliseconds by model number",
        nullable=True,
    ),
    Index("ix_join_block_shard_block_id", "shard", "block_id"),
    comment="Durable form of the join index: predictions and labels not yet past their horizon",
)

bin_delta = Table(
    "bin_delta",
    metadata,
    _identity("delta_id", "Number"),
    Column("payload", LargeBinary, nullable=False, comment="Packed cells to be added to bin_count"),
    _json("tallies", "Tallies to be added: [kind, model number, series number, count]"),
    _recorded(),
    comment="Counts on their way from the workers to bin_count",
)

bin_count = Table(
    "bin_count",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time"),
    Column(
        "late", Boolean, nullable=False, comment="Changes made by labels past the label horizon"
    ),
    Column("bin", SmallInteger, nullable=False, comment="Micro-bin number, from 0"),
    *(_big(name, comment) for name, comment in _SUM_COMMENTS.items()),
    PrimaryKeyConstraint("series_id", "pane_at", "late", "bin"),
    comment="Reliability bins: add on-time and late rows for what is known now",
)

touched_pane = Table(
    "touched_pane",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time"),
    PrimaryKeyConstraint("series_id", "pane_at"),
    comment="Panes whose counts changed since they were last sealed or revised",
)

delay_count = Table(
    "delay_count",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time; a day, where panes divide a day"),
    Column(
        "late", Boolean, nullable=False, comment="Changes made by labels past the label horizon"
    ),
    Column("outcome", SmallInteger, nullable=False, comment="Outcome of the labels, 0 or 1"),
    Column("bucket", SmallInteger, nullable=False, comment=_BUCKET),
    _big("n", "Labels in force"),
    PrimaryKeyConstraint("series_id", "pane_at", "late", "outcome", "bucket"),
    comment="Labels by their delay: add on-time and late rows for what is known now",
)

loss_count = Table(
    "loss_count",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time"),
    Column(
        "late", Boolean, nullable=False, comment="Changes made by labels past the label horizon"
    ),
    _big("n_below", "Labels below an interval's lower bound"),
    _big("loss_units", "Pinball loss or interval score: sum of whole units of the label"),
    _big("loss_billionths", "The rest of that sum, in billionths of a unit"),
    _big("width_units", "Width of intervals: sum of whole units of the label"),
    _big("width_billionths", "The rest of that sum, in billionths of a unit"),
    PrimaryKeyConstraint("series_id", "pane_at", "late"),
    comment="Losses of quantiles and intervals: add on-time and late rows for what is known now",
)

touched_delay = Table(
    "touched_delay",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time"),
    _at("due_at", "Event time at which its delays are to be sealed next"),
    PrimaryKeyConstraint("series_id", "pane_at"),
    Index("ix_touched_delay_due_at", "due_at"),
    comment="Panes whose delays are not sealed for good",
)

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
    _at("judged_through_at", "Event time up to which its series were judged"),
    comment="How far the watcher has come",
)

tally = Table(
    "tally",
    metadata,
    _text("kind", "What happened to the events"),
    Column("model_id", Integer, ForeignKey(model.c.model_id), nullable=False, comment="Model"),
    Column(
        "series_id", Integer, nullable=False, comment="Series, or -1 where only the model is known"
    ),
    _big("n", "Events"),
    PrimaryKeyConstraint("kind", "model_id", "series_id"),
    comment="Events that were not a plain prediction or first label",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    _text("topic", "Kafka topic"),
    Column("partition", Integer, nullable=False, comment="Kafka partition"),
    Column("offset", BigInteger, nullable=False, comment="Kafka offset"),
    _text("reason", "Short name of what is wrong"),
    _text("detail", "What is wrong and how to mend it"),
    Column("key", LargeBinary, comment="Message key"),
    Column("value", LargeBinary, comment="Message as received, up to 1 MiB"),
    _at("published_at", "Kafka's timestamp of the message", nullable=True),
    _recorded(),
    _at("resolved_at", "When it was replayed or dropped; null while it waits", nullable=True),
    _text(
        "resolution", "replayed (published again) or dropped (key and value emptied)", nullable=True
    ),
    _text("resolved_by", "Who replayed or dropped it", nullable=True),
    _text("resolution_reason", "Why, or where it was published again", nullable=True),
    PrimaryKeyConstraint("topic", "partition", "offset"),
    comment="Messages that could not be used",
)

change_event = Table(
    "change_event",
    metadata,
    _identity("change_id", "Number"),
    _text("topic", "Kafka topic"),
    Column("partition", Integer, nullable=False, comment="Kafka partition"),
    Column("offset", BigInteger, nullable=False, comment="Kafka offset"),
    _text("model", "Model name"),
    _text("version", "Model version, where told", nullable=True),
    _text("kind", "version, data, feature, deploy or recalibration"),
    _text("description", "Free text"),
    _at("happened_at", "When it changed, event time"),
    _recorded(),
    UniqueConstraint("topic", "partition", "offset"),
    comment="Changes around models, as announced on the changes topic",
)

baseline_decision = Table(
    "baseline_decision",
    metadata,
    _identity("decision_id", "Number"),
    _text("model", "Model name, as in the events"),
    _text("version", "Model version; null for all", nullable=True),
    _text(
        "segment", "`dimension=value`, empty for all traffic; null for every series", nullable=True
    ),
    _text("kind", "accepted: drifts that were open are the new normal; reset: given up"),
    _text("reason", "Why, in the person's words"),
    _text("author", "Who decided"),
    _at("since_at", "Since when it is the new normal; null: since each drift began", nullable=True),
    _at("happened_at", "When it was decided, event time"),
    _recorded(),
    comment="What people decided about baselines: drifts accepted, baselines given up",
)

change_taken = Table(
    "change_taken",
    metadata,
    _identity("taken_id", "Number"),
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
    _at("taken_at", "Event time at which it was taken: when it happened, unless it was told late"),
    Column(
        "restarts",
        Boolean,
        nullable=False,
        comment="Whether it began baselines again, by the policy of that time",
    ),
    _recorded(),
    comment="When the watcher took a change or a decision into account; "
    "with it, verdicts can be folded again",
)

policy = Table(
    "policy",
    metadata,
    Column("fingerprint", Text, primary_key=True, comment="SHA-256 of the policy's canonical JSON"),
    _json("body", "The policy; spans in seconds"),
    _recorded(),
    comment="Every policy that a verdict was given under",
)

sealed_pane = Table(
    "sealed_pane",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time"),
    Column(
        "revision",
        Integer,
        nullable=False,
        comment="0: as judged, on-time labels only; later: all labels then known",
    ),
    _at("sealed_at", "Event time at which it was mature, or was revised"),
    Column("bins", ARRAY(SmallInteger), nullable=False, comment="Micro-bin numbers, ascending"),
    *(
        Column(name, ARRAY(BigInteger), nullable=False, comment=f"{comment}, by bin")
        for name, comment in _SUM_COMMENTS.items()
    ),
    _recorded(),
    PrimaryKeyConstraint("series_id", "pane_at", "revision"),
    comment="Panes as they were judged, and their later revisions",
)

sealed_delay = Table(
    "sealed_delay",
    metadata,
    Column("series_id", Integer, ForeignKey(series.c.series_id), nullable=False, comment="Series"),
    _at("pane_at", "Start of the pane of prediction time; a day, where panes divide a day"),
    Column(
        "complete",
        Boolean,
        nullable=False,
        comment="False: labels within the label horizon; true: within the correction horizon",
    ),
    _at("sealed_at", "Event time at which it was mature"),
    Column("outcomes", ARRAY(SmallInteger), nullable=False, comment="Outcomes, 0 or 1"),
    Column("buckets", ARRAY(SmallInteger), nullable=False, comment=_BUCKET),
    Column("n_labels", ARRAY(BigInteger), nullable=False, comment="Labels, by outcome and bucket"),
    _recorded(),
    PrimaryKeyConstraint("series_id", "pane_at", "complete"),
    comment="Delays of labels as they were judged",
)

baseline = Table(
    "baseline",
    metadata,
    _identity("baseline_id", "Number"),
    *_series_identity(),
    _text("source", "Rule or file it was made from"),
    _at("start_at", "Start of its prediction time"),
    _at("end_at", "End of its prediction time, exclusive"),
    _big("n_labelled", "Labelled predictions in it"),
    _json("cohorts", "Its cohorts: start and end in epoch seconds, bins, and a list a sum by bin"),
    _at("pinned_at", "Event time from which it holds"),
    _text("author", "Who pinned it; `calmon` for a rule"),
    _json(
        "restart",
        "What ended the baseline before it: kind, times, reason and author; null for a first one",
        nullable=True,
    ),
    _recorded(),
    Index("ix_baseline_series", "model", "version", "claim", "segment"),
    comment="Pinned baselines; the newest of a series holds",
)

threshold = Table(
    "threshold",
    metadata,
    _identity("threshold_id", "Number"),
    *_series_identity(),
    _at("effective_at", "Event time from which it holds, for cohorts that mature later"),
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
    _text("budget", "The budget in words"),
    _text("rule", "thresholds, or e_d_bh: named together as well"),
    _recorded(),
    UniqueConstraint("model", "version", "claim", "segment", "effective_at"),
    Index("ix_threshold_effective_at", "effective_at"),
    comment="Thresholds that followed from a fleet's false-alarm budget; the newest holds",
)

fleet_naming = Table(
    "fleet_naming",
    metadata,
    _identity("naming_id", "Number"),
    *_series_identity(),
    _at("named_at", "Event time at which it was named"),
    Column("of_threshold", Double, nullable=False, comment="Its evidence over its threshold then"),
    _recorded(),
    UniqueConstraint("model", "version", "claim", "segment", "named_at"),
    comment="Series that e-d-BH named below their own threshold, with others",
)

evaluation = Table(
    "evaluation",
    metadata,
    _identity("evaluation_id", "Number"),
    *_series_identity(),
    _text("status", "OK, DRIFTED, INSUFFICIENT or NO_DATA"),
    _text("reason", "Why, in one sentence"),
    _at("evaluated_at", "Event time of the judgement"),
    _at("window_start_at", "Start of the judged prediction time"),
    _at("window_end_at", "End of the judged prediction time, exclusive"),
    _json("evidence", "Metrics, bins, e-value, direction, cause and repair"),
    Column(
        "policy_fingerprint",
        Text,
        ForeignKey(policy.c.fingerprint),
        nullable=False,
        comment="Policy it was given under",
    ),
    _recorded(),
    UniqueConstraint("model", "version", "claim", "segment", "evaluated_at"),
    comment="Every verdict with its evidence",
)

episode_event = Table(
    "episode_event",
    metadata,
    _identity("episode_event_id", "Number"),
    _text("episode_id", "Episode: one time that a series drifted, or had no data, to its end"),
    _text("fingerprint", "SHA-256 of the series' identity"),
    *_series_identity(),
    _text("state", "pending, firing, recovering, no_data or resolved"),
    _at("began_at", "Event time at which it was first found"),
    _at("since_at", "Event time since when it is so, or since when its delay runs"),
    _at("fired_at", "Event time at which it last began to fire; null before", nullable=True),
    _at("resolved_at", "Event time at which it was over; null before", nullable=True),
    _text("direction", "overconfident, underconfident or improved", nullable=True),
    _text("cause", "map or mix", nullable=True),
    _text("severity", "warning or critical; it never falls"),
    Column("shift", Double, comment="Size of the effect as mean shift of probability"),
    Column("is_drift", Boolean, nullable=False, comment="False: nothing but a lack of data"),
    Column("flaps", Integer, nullable=False, comment="Times it drifted again after it was ok"),
    _at("silent_since_at", "Event time since when there is nothing to judge by", nullable=True),
    _at("happened_at", "Event time of this event"),
    _text("reason", "Why it is so, in one sentence"),
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.evaluation_id),
        nullable=False,
        comment="Verdict behind it",
    ),
    _recorded(),
    Index("ix_episode_event_series", "model", "version", "claim", "segment"),
    comment="Every change of every alert episode; the newest row of a series is its episode",
)

alert_event = Table(
    "alert_event",
    metadata,
    _identity("alert_event_id", "Number"),
    _text("group_id", "Group of episodes of one model; one message at a receiver"),
    Column("sequence", Integer, nullable=False, comment="Number within the group, from 1"),
    _text("team", "Team of the policy when the group was opened", nullable=True),
    _text("severity", "warning or critical: the group's worst member's"),
    _json("members", "Episodes of the group after this event, the worst first"),
    _text("reason", "Why this is told, in one sentence"),
    _at("opened_at", "Event time at which the group was opened"),
    _at("rung_at", "Event time at which people were last called, not only kept informed"),
    _text("episode_id", "Episode of the worst member"),
    _text("fingerprint", "SHA-256 of the worst member's identity"),
    _text("kind", "fired, changed, reminded or resolved"),
    *_series_identity(),
    _at("fired_at", "Event time at which the worst member fired"),
    _at("happened_at", "Event time of this event"),
    _text("direction", "overconfident, underconfident or improved", nullable=True),
    _text("cause", "map or mix", nullable=True),
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.evaluation_id),
        nullable=False,
        comment="Verdict behind it",
    ),
    _recorded(),
    UniqueConstraint("group_id", "sequence"),
    Index("ix_alert_event_model", "model"),
    comment="What was decided to be told about groups of alert episodes",
)

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
    _text("route", "Kind of receiver, as slack or console"),
    _text("target", "Place at the receiver, as a Slack channel"),
    _text("group_id", "Group"),
    _text("kind", "fired, changed, reminded or resolved, as this receiver sees it"),
    _text("prompted_by", "alert, acknowledgement, silence or silence_end"),
    _json("payload", "What is told: verdict, members, times and addressee"),
    _recorded(),
    Index("ix_notification_group_id", "group_id"),
    comment="What is to be told to whom; written with the verdict",
)

silence = Table(
    "silence",
    metadata,
    _identity("silence_id", "Number"),
    _json("matchers", "Conditions that must all be met: label, value, is_regex"),
    _text("author", "Who asked for it"),
    _text("reason", "Why"),
    _at("starts_at", "From when on it holds, wall clock"),
    _at("ends_at", "When it ends by itself, wall clock, exclusive"),
    _recorded(),
    comment="Silences: alerts of which no notification is sent meanwhile",
)

silence_expiry = Table(
    "silence_expiry",
    metadata,
    _identity("expiry_id", "Number"),
    Column(
        "silence_id",
        BigInteger,
        ForeignKey(silence.c.silence_id),
        nullable=False,
        unique=True,
        comment="Silence",
    ),
    _text("author", "Who ended it; `calmon` where its time was over"),
    _text("reason", "Why"),
    _at("expired_at", "When it ended, wall clock"),
    _recorded(),
    comment="Ends of silences",
)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    _identity("acknowledgement_id", "Number"),
    _text("group_id", "Group that was taken on"),
    _text("author", "Who took it on"),
    _text("reason", "Why, or what is done"),
    _at("acknowledged_at", "When, wall clock"),
    _text("severity", "Severity of the group then; it holds until that rises"),
    _json("fingerprints", "Members then, by fingerprint; it holds until another one joins"),
    _recorded(),
    Index("ix_acknowledgement_group_id", "group_id"),
    comment="Who has taken on which group of alerts; the newest of a group counts",
)

recalibration_proposal = Table(
    "recalibration_proposal",
    metadata,
    _identity("proposal_id", "Number"),
    *_series_identity(),
    _text("method", "temperature, platt, beta or isotonic"),
    _text("sha256", "Hash that the artifact holds of its own content"),
    _text("artifact", "The file as it was written: JSON with formula, parameters and provenance"),
    _at("window_start_at", "Start of the prediction time of its labels"),
    _at("window_end_at", "End of the prediction time of its labels, exclusive"),
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.evaluation_id),
        nullable=False,
        comment="Verdict on whose window it was made",
    ),
    _recorded(),
    UniqueConstraint("sha256"),
    Index("ix_recalibration_proposal_model", "model"),
    comment="Maps that were proposed to make scores honest, shown to help on held-out labels",
)

recalibration_decision = Table(
    "recalibration_decision",
    metadata,
    _identity("decision_id", "Number"),
    Column(
        "proposal_id",
        BigInteger,
        ForeignKey(recalibration_proposal.c.proposal_id),
        nullable=False,
        comment="Proposal",
    ),
    _text("decision", "approved or rejected"),
    _text("author", "Who decided"),
    _text("reason", "Why, in the person's words"),
    _recorded(),
    Index("ix_recalibration_decision_proposal_id", "proposal_id"),
    comment="What people decided about proposed maps; the newest of a proposal counts",
)

notification_attempt = Table(
    "notification_attempt",
    metadata,
    _identity("attempt_id", "Number"),
    Column("notification_id", Text, nullable=False, comment="Notification"),
    _at("attempted_at", "When it was tried, wall clock"),
    _text("outcome", "delivered, retry, rejected, suppressed or superseded"),
    _text("detail", "What the receiver said"),
    _json("receipt", "Where the message stands at the receiver", nullable=True),
    _at("next_attempt_at", "Earliest next try", nullable=True),
    _recorded(),
    ForeignKeyConstraint(["notification_id"], ["calmon.notification.notification_id"]),
    Index("ix_notification_attempt_notification_id", "notification_id"),
    comment="Every attempt to deliver, with the receiver's answer",
)

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
