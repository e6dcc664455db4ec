"""Verdicts: what the monitor concluded about one series at one moment, with its evidence.

Guarantees: a verdict holds everything an alert, a page or an auditor needs, as plain values.
Must never: be built without a reason, or carry a number whose unit is not named here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from monitor.core.claims import Series
    from monitor.core.decision.decision_evidence import DecisionEvidence
    from monitor.core.detector.score_shift import ScoreShift
    from monitor.core.detector.selection import Selection
    from monitor.core.measures.estimates import Estimates, Ranking


class Status(StrEnum):
    """State of a series under its policy."""

    OK = "OK"
    DRIFTED = "DRIFTED"
    INSUFFICIENT = "INSUFFICIENT"
    NO_DATA = "NO_DATA"


class Direction(StrEnum):
    """How the scores mislead now; `improved` when they mislead less than in the baseline."""

    OVERCONFIDENT = "overconfident"
    UNDERCONFIDENT = "underconfident"
    IMPROVED = "improved"


class Cause(StrEnum):
    """Why ECE moved: the map P(Y=1 | score) changed, or traffic moved along the same map."""

    MAP = "map"
    MIX = "mix"


@dataclass(frozen=True, slots=True)
class BinEstimate:
    """One bin of a reliability diagram; probabilities, with a 95 % Wilson interval."""

    lower: float
    upper: float
    n: int
    mean_score: float
    observed: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """Estimates from the labelled rows of one span; NaN where the rows do not decide one.

    gap = mean score - base rate; positive means the scores promise too much.
    slope and intercept are of the logistic regression of the outcome on the score's logit,
    with standard errors; ece_debiased has a 95 % interval.
    """

    n: int
    ece_10: float
    ece_15: float
    ece_20: float
    mce_15: float
    ece_debiased: float
    ece_debiased_low: float
    ece_debiased_high: float
    brier: float
    brier_reliability: float
    brier_resolution: float
    brier_uncertainty: float
    log_loss: float
    auroc: float
    mean_score: float
    base_rate: float
    gap: float
    slope: float
    slope_se: float
    intercept: float
    intercept_se: float


@dataclass(frozen=True, slots=True)
class Repair:
    """A recalibration fitted on one half of the cohorts and scored on the other half.

    method is `temperature` or `platt`; repaired logit = slope * logit(score) + intercept
    (temperature T is slope = 1 / T, intercept = 0). ECE (15 bins) and AUROC are of the held-out
    half; a positive slope leaves the ranking untouched.
    """

    method: str
    slope: float
    intercept: float
    n_fitted: int
    n_held_out: int
    ece_before: float
    ece_after: float
    auroc_before: float
    auroc_after: float


@dataclass(frozen=True, slots=True)
class Restart:
    """Why a series was given a new baseline, and when; all times are event times.

    kind: that of a change event, `accepted` or `reset`; since_at: only cohorts that begin later
    are of the new baseline; taken_at: when the fold took it; author is empty for a change event.
    """

    kind: str
    happened_at: datetime
    since_at: datetime
    taken_at: datetime
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a second opinion has found since the baseline, or since the last recovery.

    findings: cohorts in which it took the residuals for changed; drifted_at: start of the newest
    of them; labels_fed: after its sampling. It promises no rate of false alarms.
    """

    name: str
    findings: int
    labels_fed: int
    drifted_at: datetime | None


class Correction(StrEnum):
    """How the comparison with the baseline allows for labels that come after the label horizon."""

    SAME_HORIZON = "same_horizon"  # the baseline's labels were sealed at the same horizon
    NONE = "none"  # an imported baseline, and all labels come in time
    OFFSET = "offset"  # log(F1(H) / F0(H)) is added to an imported baseline's map
    SCALED = "scaled"  # an imported baseline's map is multiplied by F1(H)
    UNKNOWN = "unknown"  # an imported baseline, and it is not known how many labels come in time


@dataclass(frozen=True, slots=True)
class DelayEvidence:
    """What is known of the labels' delays; None where the labels do not decide it.

    unlabelled: the policy's word. on_time_positive, on_time_negative: F1(H), F0(H), the shares of
    each class's labels that come within the label horizon; offset: what that adds to the logit of
    on-time outcomes, with standard error. gap_all_labels: the window's gap, each label counted one
    over its class's share. status, p_value (None where no permutation was needed), move,
    offset_change and reason are the watch over delays, in words of its own.
    """

    unlabelled: str
    correction: Correction | None
    on_time_positive: float | None
    on_time_negative: float | None
    offset: float | None
    offset_se: float | None
    gap_all_labels: float | None
    status: str | None
    p_value: float | None
    move: float | None
    offset_change: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class WrongBin:
    """A bin of the window whose promise its labels exclude, all bins' tests accounted for.

    misplaced: labels' worth of error, n |mean score - observed|; p_value: after Holm's correction
    over all bins that hold labels.
    """

    lower: float
    upper: float
    direction: Direction
    misplaced: float
    p_value: float


@dataclass(frozen=True, slots=True)
class WobbleFound:
    """What whole cohorts are taken to do in common without a drift, and what the baseline shows.

    form: `independent` or `hidden_level`; memory: a `Memory` of `autocorrelation.py` with the
    test's p_value and the estimated autocorrelations of the shocks; NaN where not decided.
    """

    form: str
    memory: str
    p_value: float
    lag_1: float
    weekly: float
    reason: str


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """A series' part of a false-alarm budget, and what its threshold follows from.

    budget: in words; rule: `thresholds` or `e_d_bh`; series: how many share the budget;
    labels_per_month: what the series was expected to send; false_alarms_per_month: its part;
    since_at: event time from which it is so.
    """

    budget: str
    rule: str
    series: int
    labels_per_month: float
    false_alarms_per_month: float
    since_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a verdict says what it says.

    e_value: the e-detector's statistic M, in labels; it alarms at alarm_at.
    labels_seen: labels fed to the detector since the baseline; drift_since_at: start of the
    cohort where the change most likely began; sigma: shock from cohort to cohort, in logits.
    shift: mean |observed - expected under the baseline's map| over the window's scores, debiased,
    with a 95 % interval; gap_shift: observed rate minus the rate expected under that map.
    direction: of a drift; else where the labels show that the window's scores mislead.
    map_part + mix_part = window ECE - baseline ECE (statistics of section "map or mix").
    sample_rate: share of the traffic that all counts here are of.
    budget: what alarm_at follows from, where a fleet shares a budget; alarm_at is infinite while a
    series waits for its part.
    restart: what the present baseline, or the one being collected, was started again by.
    raised_by: detector that raised the alarm that holds; opinions: of the second opinions asked.
    score_shift: all scores of the window's predictions against the baseline's, labelled or not;
    selection: labelled against unlabelled ones of the window. Both None where there is too little.
    ranking: whether the window's scores tell outcomes apart; estimates: its calibration error by
    other definitions, for a drift alone; wrong_bins: the largest error first, and worst_bins are
    the first three of them. wobble: what sigma is the size of. decision: what the policy's cutoff
    costs in the window against the best one, where the policy has one and labels are enough.
    """

    e_value: float | None
    alarm_at: float
    labels_seen: int
    drift_since_at: datetime | None
    sigma: float | None
    coverage: float
    direction: Direction | None
    cause: Cause | None
    shift: float | None
    shift_low: float | None
    shift_high: float | None
    gap_shift: float | None
    map_part: float | None
    mix_part: float | None
    baseline: Metrics | None
    window: Metrics | None
    bins: tuple[BinEstimate, ...]
    baseline_bins: tuple[BinEstimate, ...]
    worst_bins: tuple[BinEstimate, ...]
    repair: Repair | None
    sample_rate: float = 1.0
    restart: Restart | None = None
    raised_by: str | None = None
    opinions: tuple[Opinion, ...] = ()
    score_shift: ScoreShift | None = None
    selection: Selection | None = None
    ranking: Ranking | None = None
    estimates: Estimates | None = None
    wrong_bins: tuple[WrongBin, ...] = ()
    delays: DelayEvidence | None = None
    wobble: WobbleFound | None = None
    budget: BudgetShare | None = None
    decision: DecisionEvidence | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement; evaluated_at is event time, window is [window_start_at, window_end_at)."""

    series: Series
    status: Status
    reason: str
    evaluated_at: datetime
    window_start_at: datetime
    window_end_at: datetime
    evidence: Evidence

    def as_json(self) -> dict[str, object]:
        """Plain JSON values; times in RFC 3339, NaN and infinities as null."""
        return as_plain(self)


def as_plain(value: DataclassInstance) -> dict[str, object]:
    """Fields of a dataclass as plain JSON values, as in `Verdict.as_json`."""
    found: dict[str, object] = {}
    for name in _names(type(value)):
        item = getattr(value, name)
        # Most values by far are plain floats and ints: a call for each would cost most of the time.
        kind = type(item)
        if kind is float:
            found[name] = item if -inf < item < inf else None
        elif item is None or kind in _AS_THEY_ARE:
            found[name] = item
        else:
            found[name] = _plain(item)
    return found


@cache
def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _plain(value: object) -> object:  # noqa: PLR0911  # a kind of value each
    kind = type(value)
    if kind is float:
        return value if abs(value) < inf else None  # type: ignore[arg-type]  # it is a float
    if value is None or kind in _AS_THEY_ARE:
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return as_plain(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, float) and not abs(value) < inf:
        return None
    return str(value) if isinstance(value, StrEnum) else value


_AS_THEY_ARE = frozenset({int, str, bool})


def rfc3339(moment: datetime) -> str:
    """UTC time as RFC 3339 with a Z, milliseconds only where there are any."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")
