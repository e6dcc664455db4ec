"""The keys of a model's policy, of `defaults` and of `models`.

Guarantees: a default is core's own. Must never: compare keys with each other; `rules.py` does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from monitor.config.alert_keys import AlertKeys
from monitor.config.baseline_keys import MOST_LABELS, BaselineKeys, FirstLabelsKeys
from monitor.config.claim_keys import ClaimKeys, some_claim
from monitor.config.decision_keys import DecisionKeys
from monitor.config.sections import SECTION, Keys, key
from monitor.config.values import (
    Channel,
    Dimension,
    Distinct,
    PaneSpan,
    PositiveSpan,
    WebAddress,
    some_detector,
)
from monitor.core.events import ChangeKind
from monitor.core.kinds import BINARY
from monitor.core.policies import Cadence, DetectorName, Policy, Stakes, Unlabelled, WobbleRule

DEFAULT = Policy()


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
        Distinct[Annotated[DetectorName, Field(strict=False)]], AfterValidator(some_detector)
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
    restart_on: Distinct[Annotated[ChangeKind, Field(strict=False)]] = key(
        DEFAULT.restart_on,
        "Kinds of change events (`version`, `data`, `feature`, `deploy`, `recalibration`) after "
        "which a model's baselines are collected anew.",
        example="[recalibration, data]",
    )
    segments: Distinct[Dimension] = key(
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
    claims: Annotated[ClaimKeys | None, AfterValidator(some_claim)] = key(
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
