"""Policies: what a team decided about one model, as plain values.

Guarantees: a policy is immutable and has a stable fingerprint, so that history can say under
which policy a verdict was given. Must never: read a file or an environment variable; `config.py`
does that and hands the result in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.core.claims import POSITIVE
from monitor.core.decisions import DecisionPolicy  # noqa: TC001  # annotations are read at run time
from monitor.core.events import ChangeKind
from monitor.core.kinds import BINARY, TOP_LABEL, VERBALIZED, ClaimSet, Kind, confidence_claim

if TYPE_CHECKING:
    from monitor.core.maintenance import Maintenance


MAX_SEGMENT_VALUES = 100
"""Values of a dimension that are watched by themselves, where a policy does not say."""


class Cadence(StrEnum):
    """How often a model is judged."""

    CONTINUOUS = "continuous"
    HOURLY = "hourly"
    DAILY = "daily"
    MONTHLY = "monthly"


class DetectorName(StrEnum):
    """Who looks for a change: the e-process; the band and river's detectors as second opinions."""

    E_PROCESS = "e_process"
    ADWIN = "adwin"
    PAGE_HINKLEY = "page_hinkley"
    KSWIN = "kswin"
    BAND = "band"


class Unlabelled(StrEnum):
    """What a prediction without a label at the label horizon is."""

    MISSING = "missing"
    NEGATIVE = "negative"


class Stakes(StrEnum):
    """How much hangs on a model's answers; high: weak evidence alone may not decide."""

    NORMAL = "normal"
    HIGH = "high"


class WobbleRule(StrEnum):
    """What whole cohorts may do in common without a drift.

    auto: as a test of the baseline finds; independent: each cohort has a shock of its own;
    hidden_level: a level lives on from cohort to cohort.
    """

    AUTO = "auto"
    INDEPENDENT = "independent"
    HIDDEN_LEVEL = "hidden_level"


@dataclass(frozen=True, slots=True)
class FirstLabels:
    """Baseline: the first sealed cohorts of a version, until they hold `labels` labels."""

    labels: int = 1000


@dataclass(frozen=True, slots=True)
class NamedPeriod:
    """Baseline: the cohorts of prediction time in [start_at, end_at), aware UTC."""

    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """When a drift becomes an alert, and when the alert ends; spans of event time.

    pending_for: how long drifted before it fires. keep_firing_for: how long ok before it is
    resolved. no_data_after: how long there may be nothing to judge by before that is told; None:
    never. remind_every: how often what still fires is told again; None: never. critical_at: mean
    shift of probability from which an episode is critical; None: never. flapping: an episode that
    drifts again within it after its end is the same one, and must then be ok for as long before
    it is resolved again. maintenance: windows in which nothing begins.
    """

    pending_for: timedelta = timedelta(0)
    keep_firing_for: timedelta = timedelta(0)
    no_data_after: timedelta | None = None
    remind_every: timedelta | None = None
    critical_at: float | None = 0.1
    flapping: timedelta = timedelta(days=7)
    team: str | None = None
    maintenance: tuple[Maintenance, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain JSON values: spans in seconds, windows in words."""
        found = {key: _plain(getattr(self, key)) for key in self.__dataclass_fields__}
        found["for"] = found.pop("pending_for")
        return found | {"maintenance": [str(window) for window in self.maintenance]}


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides how one model is counted and judged.

    pane: slice of prediction time that is counted, sealed and kept.
    cohort: natural unit of wobble; whole cohorts are fed to the detector; a multiple of `pane`.
    label_horizon: age at which a prediction's label must have come to be judged.
    correction_horizon: age until which late and corrected labels still change the counts.
    unlabelled: `missing` leaves a prediction without a label out; `negative` counts it as a 0.
    window: span of the newest sealed cohorts that metrics are shown for.
    tolerance: smallest change of calibration (mean |shift| of probability) worth an alert.
    sample_rate: share of the predictions that is counted, chosen by a hash of their id.
    detectors: who is asked. The e-process alone raises alarms where it is among them, and the
    others stand beside it in the evidence; without it any of the others raises them.
    wobble: what cohorts may do in common without a drift.
    restart_on: kinds of change events after which a model's baselines are collected anew.
    alarm_at: threshold A of the e-detector, in labels: average run length to a false alarm >= A.
    alerts: what follows from a verdict.
    decision: the cutoff that hangs on the scores, and what its errors cost, if that is told.
    claims: what a prediction states; by default one probability of label 1.
    stakes: how much hangs on the model's answers.
    max_segment_values: values of a dimension that are watched by themselves, the first that are
    seen; the others are pooled as `other`.
    """

    pane: timedelta = timedelta(hours=1)
    cohort: timedelta = timedelta(days=1)
    label_horizon: timedelta = timedelta(days=2)
    correction_horizon: timedelta = timedelta(days=90)
    unlabelled: Unlabelled = Unlabelled.MISSING
    window: timedelta = timedelta(days=7)
    cadence: Cadence = Cadence.CONTINUOUS
    baseline: FirstLabels | NamedPeriod = FirstLabels()
    tolerance: float = 0.02
    min_labels: int = 200
    min_coverage: float = 0.2
    alarm_at: float = 1e6
    detectors: tuple[DetectorName, ...] = (DetectorName.E_PROCESS,)
    wobble: WobbleRule = WobbleRule.AUTO
    restart_on: tuple[ChangeKind, ...] = (ChangeKind.RECALIBRATION,)
    segments: tuple[str, ...] = ()
    sample_rate: float = 1.0
    runbook_url: str | None = None
    slack_channel: str | None = None
    alerts: AlertPolicy = AlertPolicy()
    decision: DecisionPolicy | None = None
    claims: ClaimSet = BINARY
    stakes: Stakes = Stakes.NORMAL
    max_segment_values: int = MAX_SEGMENT_VALUES

    def as_json(self) -> dict[str, object]:
        """Plain JSON values: spans in seconds, times in RFC 3339.

        Keys that are younger than policies in the wild are there only where they are not the
        ordinary ones: so those policies keep their fingerprints.
        """
        found = {key: _plain(value) for key, value in asdict(self).items() if key not in _RARE} | {
            "baseline": {"from": _RULE_NAMES[type(self.baseline)]}
            | {key: _plain(value) for key, value in asdict(self.baseline).items()},
            "alerts": self.alerts.as_json(),
            "decision": None if self.decision is None else self.decision.as_json(),
        }
        if self.claims != BINARY:
            found["claims"] = self.claims.as_json()
        if self.stakes is not Stakes.NORMAL:
            found["stakes"] = str(self.stakes)
        if self.max_segment_values != MAX_SEGMENT_VALUES:
            found["max_segment_values"] = self.max_segment_values
        return found

    def decision_on(self, claim: str) -> DecisionPolicy | None:
        """The decision, if it hangs on the score of this claim; of intervals none does."""
        on = {
            Kind.BINARY: POSITIVE,
            Kind.MULTICLASS: TOP_LABEL,
            Kind.LLM: confidence_claim(gate(self) or ""),
        }
        return self.decision if on.get(self.claims.kind) == claim else None

    @property
    def sample_ppm(self) -> int:
        """The sample rate in parts per million, at least one."""
        return max(1, round(self.sample_rate * 1_000_000))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def gate(policy: Policy) -> str | None:
    """The source of confidence that the policy's cutoff is put on; None without one."""
    if policy.decision is None or not policy.claims.sources:
        return None
    if policy.decision.source is not None:
        return policy.decision.source
    return policy.claims.sources[0] if len(policy.claims.sources) == 1 else None


def weak_alone(policy: Policy) -> bool:
    """Whether a decision hangs on a verbalized confidence alone."""
    decision = policy.decision
    return gate(policy) == VERBALIZED and decision is not None and not decision.corroborated_by


_RARE = ("claims", "stakes", "max_segment_values")
_RULE_NAMES: dict[type, str] = {FirstLabels: "first_labels", NamedPeriod: "period"}


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
