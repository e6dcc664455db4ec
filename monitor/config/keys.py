"""Every key of the configuration file: its type, default, meaning and an example.

Guarantees: these models are the only declaration of the file's keys; docs/configuration.md is
checked against them. An unknown key is refused, and a default is core's own. Must never: compare
keys with each other (`rules.py` does) or read anything but the values handed in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from monitor.config.claim_keys import ClaimKeys
from monitor.config.decision_keys import DecisionKeys
from monitor.config.routing_keys import ReceiverKeys, RoutingKeys, RuleKeys, SlackKeys
from monitor.config.sections import SECTION, Keys, key
from monitor.config.times import parse_span
from monitor.config.values import (
    BudgetWords,
    Channel,
    Dimension,
    ListeningAddress,
    Moment,
    Name,
    PaneSpan,
    PositiveSpan,
    PublicAddress,
    SessionSpan,
    Span,
    TickSpan,
    TopicName,
    WebAddress,
    Weight,
    Window,
    distinct,
    some_detector,
)
from monitor.core.events import ChangeKind  # noqa: TC001  # pydantic reads it at run time
from monitor.core.kinds import BINARY
from monitor.core.policies import (
    AlertPolicy,
    Cadence,
    DetectorName,
    FirstLabels,
    NamedPeriod,
    Policy,
    Stakes,
    Unlabelled,
    WobbleRule,
)
from monitor.core.series_state import MIN_BASELINE_LABELS

MOST_LABELS = 1_000_000_000
DEFAULT = Policy()


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


class FirstLabelsKeys(Keys):
    """Baseline from a version's first labels."""

    rule: Literal["first_labels"] = Field(
        alias="from",
        description="The first whole cohorts of a version that together hold `labels` labels.",
        examples=["first_labels"],
    )
    labels: int = key(
        FirstLabels().labels,
        "Labels that the baseline must hold.",
        example="5000",
        ge=MIN_BASELINE_LABELS,
        le=MOST_LABELS,
    )

    def value(self) -> FirstLabels:
        """The rule as core knows it."""
        return FirstLabels(self.labels)


class PeriodKeys(Keys):
    """Baseline from a named period of prediction time."""

    rule: Literal["period"] = Field(
        alias="from",
        description="The cohorts of prediction time from `start` until before `end`.",
        examples=["period"],
    )
    start: Moment = Field(
        description="Start of the period; a date means its midnight in UTC.",
        examples=["2026-01-01"],
    )
    end: Moment = Field(
        description="End of the period, itself not in it.", examples=["2026-02-01T00:00:00Z"]
    )

    def value(self) -> NamedPeriod:
        """The rule as core knows it."""
        return NamedPeriod(self.start, self.end)


BaselineKeys: TypeAlias = FirstLabelsKeys | PeriodKeys


class AlertKeys(Keys):
    """When a drift becomes an alert and when that ends; a model's keys override one by one."""

    pending_for: Span = Field(
        default=DEFAULT.alerts.pending_for,
        alias="for",
        description="How long a drift must last before it fires. The detector's promise of few "
        "false alarms needs none.",
        examples=["1d"],
    )
    keep_firing_for: Span = key(
        DEFAULT.alerts.keep_firing_for,
        "How long a series must be ok again before its alert is resolved.",
        example="2d",
    )
    no_data_after: Span | None = key(
        DEFAULT.alerts.no_data_after,
        "How long there may be no predictions, or no labels, before that is an alert of its own, "
        "from when the verdict first says so; null: never.",
        example="1d",
    )
    remind_every: PositiveSpan | None = key(
        DEFAULT.alerts.remind_every,
        "How often what still fires is told again; null: never.",
        example="1w",
    )
    critical_at: float | None = key(
        DEFAULT.alerts.critical_at,
        "Size of the effect, as mean shift of probability, from which an alert is critical; null: "
        "never. An improvement is never critical.",
        example="0.2",
        gt=0,
        lt=1,
    )
    flapping: Span = key(
        DEFAULT.alerts.flapping,
        "A series that drifts again within this span after its alert ended continues that alert, "
        "and must then be ok for as long before it is resolved again.",
        example="2w",
    )
    team: Name | None = key(
        DEFAULT.alerts.team,
        "Team that answers for the model's alerts.",
        example="risk",
    )
    maintenance: Annotated[tuple[Window, ...], Field(strict=False)] = key(
        DEFAULT.alerts.maintenance,
        "Windows of event time, in UTC, in which no alert begins and nobody is reminded: once, or "
        "every week.",
        example='["2026-12-24 to 2026-12-27", "sat 22:00 to sun 06:00"]',
    )

    def over(self, alerts: AlertPolicy) -> AlertPolicy:
        """The alerts' part of a policy with the keys that were written here in place of its own."""
        return replace(alerts, **{key: getattr(self, key) for key in self.model_fields_set})


class PolicyKeys(Keys):
    """How one model is counted and judged; a model's keys override those of `defaults`."""

    pane: PaneSpan = key(
        DEFAULT.pane,
        "Slice of prediction time that is counted and kept; at least 1m, a part of a day or days.",
        example="15m",
    )
    cohort: PositiveSpan = key(
        DEFAULT.cohort,
        "Natural unit of wobble, fed to the detector whole; a whole multiple of `pane`.",
        example="1d",
    )
    label_horizon: PositiveSpan = key(
        DEFAULT.label_horizon,
        "Age at which a prediction's label must have come to be judged.",
        example="30d",
    )
    correction_horizon: PositiveSpan = key(
        DEFAULT.correction_horizon,
        "Age until which late and corrected labels still change the counts; "
        "at least `label_horizon`.",
        example="180d",
    )
    unlabelled: Annotated[Unlabelled, Field(strict=False)] = key(
        DEFAULT.unlabelled,
        "What a prediction without a label at `label_horizon` is: left out, or a 0 where positives "
        "alone are reported.",
        example="negative",
    )
    window: PositiveSpan = key(
        DEFAULT.window,
        "Span of the newest cohorts that metrics are shown for; at least `cohort`.",
        example="2w",
    )
    cadence: Annotated[Cadence, Field(strict=False)] = key(
        DEFAULT.cadence, "How often the model is judged.", example="daily"
    )
    baseline: Annotated[BaselineKeys, Field(discriminator="rule")] = key(
        FirstLabelsKeys.model_validate({"from": "first_labels"}),
        "What the window is compared with, for each model version; the block is overridden whole.",
        example="{from: first_labels, labels: 5000}",
    )
    tolerance: float = key(
        DEFAULT.tolerance,
        "Smallest change of calibration worth an alert, as mean shift of probability.",
        example="0.05",
        gt=0,
        lt=1,
    )
    min_labels: int = key(
        DEFAULT.min_labels,
        "Labels that the window must hold for a verdict.",
        example="500",
        ge=50,
        le=MOST_LABELS,
    )
    min_coverage: float = key(
        DEFAULT.min_coverage,
        "Share of predictions that must have a label for a verdict.",
        example="0.5",
        ge=0,
        le=1,
    )
    alarm_at: float = key(
        DEFAULT.alarm_at,
        "The detector's threshold: mean number of labels to a false alarm, at least. With "
        "`fleet.false_alarms` only a model that is to keep its own has one.",
        example="4e6",
        ge=1000,
        le=1e15,
    )
    detectors: Annotated[
        tuple[Annotated[DetectorName, Field(strict=False)], ...],
        Field(strict=False),
        AfterValidator(distinct),
        AfterValidator(some_detector),
    ] = key(
        DEFAULT.detectors,
        "Who looks for changes: `e_process`, `band`, `adwin`, `page_hinkley`, `kswin`. With "
        "`e_process` only it raises alerts, and the others' findings stand beside it.",
        example="[e_process, adwin]",
    )
    wobble: Annotated[WobbleRule, Field(strict=False)] = key(
        DEFAULT.wobble,
        "What whole cohorts may do in common without a drift: wobble each by itself "
        "(`independent`), or follow a level that lives on, as with seasons (`hidden_level`: slower "
        "to find a change of level); `auto` tests the baseline.",
        example="hidden_level",
    )
    restart_on: Annotated[
        tuple[Annotated[ChangeKind, Field(strict=False)], ...],
        Field(strict=False),
        AfterValidator(distinct),
    ] = key(
        DEFAULT.restart_on,
        "Kinds of change events (`version`, `data`, `feature`, `deploy`, `recalibration`) after "
        "which a model's baselines are collected anew.",
        example="[recalibration, data]",
    )
    segments: Annotated[tuple[Dimension, ...], Field(strict=False), AfterValidator(distinct)] = key(
        DEFAULT.segments,
        "Segment fields of the events to watch one by one, beside the whole.",
        example="[country, device]",
    )
    max_segment_values: int = key(
        DEFAULT.max_segment_values,
        "Values of a segment field that are watched one by one, the first that are seen; the "
        "others are pooled as `other`.",
        example="20",
        ge=1,
        le=10_000,
    )
    sample_rate: float = key(
        DEFAULT.sample_rate,
        "Share of the predictions that is counted, chosen by a hash of their id, labels with them.",
        example="0.1",
        ge=1e-6,
        le=1,
    )
    runbook_url: WebAddress | None = key(
        DEFAULT.runbook_url,
        "Address of the runbook that alerts link to.",
        example="https://wiki.example.org/fraud",
    )
    slack_channel: Channel | None = key(
        DEFAULT.slack_channel,
        "Id of the Slack channel of the model's alerts; null means `routing.slack.channel`.",
        example="C0123ABCDEF",
    )
    alerts: Annotated[AlertKeys, SECTION] = AlertKeys()
    decision: DecisionKeys | None = key(
        None,
        "The cutoff that hangs on the scores, and what its errors cost; the block is overridden "
        "whole, and null leaves it out.",
        example="{cutoff: 0.5, cost_false_positive: 1, cost_false_negative: 5}",
    )
    claims: ClaimKeys | None = key(
        None,
        "What a prediction states, if not one probability of label 1: classes, the sources of an "
        "LLM's confidence, quantiles or intervals; the block is overridden whole.",
        example="{sources: [judge]}",
    )
    stakes: Annotated[Stakes, Field(strict=False)] = key(
        DEFAULT.stakes,
        "How much hangs on the model's answers; with `high` a decision on a verbalized confidence "
        "alone is refused.",
        example="high",
    )

    def over(self, policy: Policy) -> Policy:
        """The policy with the keys that were written here in place of its own."""
        written: dict[str, Any] = {key: getattr(self, key) for key in self.model_fields_set}
        if "baseline" in written:
            written["baseline"] = self.baseline.value()
        if "alerts" in written:
            written["alerts"] = self.alerts.over(policy.alerts)
        if self.decision is not None:
            written["decision"] = self.decision.value()
        if "claims" in written:
            written["claims"] = BINARY if self.claims is None else self.claims.value()
        return replace(policy, **written)


class FileKeys(Keys):
    """The top of the file."""

    topics: Annotated[TopicKeys, SECTION] = TopicKeys()
    auto_register: bool = key(
        True,  # noqa: FBT003  # a default's value
        "Whether a model that is not declared is monitored under `defaults`.",
        example="false",
    )
    clock: Literal["wall", "event"] = key(
        "wall",
        "What `now` is: the wall clock, or the newest event time seen (demos, replays of history).",
        example="event",
    )
    tick_every: TickSpan = key(
        parse_span("30s"), "How often the watcher looks for what is due; 1s to 1d.", example="1m"
    )
    ingest: Annotated[IngestKeys, SECTION] = IngestKeys()
    http: Annotated[HttpKeys, SECTION] = HttpKeys()
    routing: Annotated[RoutingKeys, SECTION] = RoutingKeys()
    fleet: Annotated[FleetKeys, SECTION] = FleetKeys()
    defaults: Annotated[PolicyKeys, SECTION] = PolicyKeys()
    models: Annotated[dict[Name, Annotated[PolicyKeys, SECTION]], SECTION] = Field(
        default={},
        description="Declared models by name, each with the policy keys that differ.",
        examples=["{fraud: {label_horizon: 30d}}"],
    )


SECTIONS: dict[tuple[str, ...], type[Keys]] = {
    (): FileKeys,
    ("topics",): TopicKeys,
    ("ingest",): IngestKeys,
    ("http",): HttpKeys,
    ("routing",): RoutingKeys,
    ("routing", "slack"): SlackKeys,
    ("routing", "receivers"): ReceiverKeys,
    ("routing", "rules"): RuleKeys,
    ("fleet",): FleetKeys,
    ("defaults",): PolicyKeys,
    ("defaults", "alerts"): AlertKeys,
    ("defaults", "baseline", "first_labels"): FirstLabelsKeys,
    ("defaults", "baseline", "period"): PeriodKeys,
    ("defaults", "decision"): DecisionKeys,
    ("defaults", "claims"): ClaimKeys,
}
"""Every mapping of the file by its place; models have the keys of `defaults`, and each receiver
and rule those of its kind."""


def key_names(section: type[Keys]) -> tuple[str, ...]:
    """The keys of a section as the file writes them."""
    fields = section.model_fields.items()
    return tuple(field.alias or name for name, field in fields)
