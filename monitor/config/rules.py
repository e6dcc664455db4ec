"""Rules between the keys of a policy.

Guarantees: each rule looks at one policy and answers with what is wrong and the mend, or None.
Must never: know files or lines; `settings.py` finds the key to blame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.config.times import span_text
from monitor.core.kinds import VERBALIZED, Kind
from monitor.core.policies import NamedPeriod, Stakes, Unlabelled, gate, weak_alone
from monitor.core.verdicts import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.policies import Policy


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule over `keys`; its message reads after `keys[0]: ` or `keys[0] of `."""

    keys: tuple[str, ...]
    fault: Callable[[Policy], str | None]


def _cohort_of_panes(policy: Policy) -> str | None:
    if policy.cohort % policy.pane:
        pane = span_text(policy.pane)
        return (
            f"{span_text(policy.cohort)} is not a whole number of panes of {pane}; "
            f"use a multiple of {pane}"
        )
    return None


def _corrections_after_labels(policy: Policy) -> str | None:
    if policy.correction_horizon < policy.label_horizon:
        horizon = span_text(policy.label_horizon)
        return (
            f"{span_text(policy.correction_horizon)} is shorter than label_horizon {horizon}; "
            f"use {horizon} or more"
        )
    return None


def _window_of_cohorts(policy: Policy) -> str | None:
    if policy.window < policy.cohort:
        cohort = span_text(policy.cohort)
        return (
            f"{span_text(policy.window)} is shorter than a cohort of {cohort}; use {cohort} or more"
        )
    return None


def _period_in_order(policy: Policy) -> str | None:
    period = policy.baseline
    if isinstance(period, NamedPeriod) and period.start_at >= period.end_at:
        return (
            f"end {rfc3339(period.end_at)} is not after start {rfc3339(period.start_at)}; "
            "set end to a later time"
        )
    return None


def _period_of_cohorts(policy: Policy) -> str | None:
    period = policy.baseline
    if not isinstance(period, NamedPeriod) or period.start_at >= period.end_at:
        return None
    length = period.end_at - period.start_at
    if length < policy.cohort:
        return (
            f"the period from {rfc3339(period.start_at)} to {rfc3339(period.end_at)} is shorter "
            f"than a cohort of {span_text(policy.cohort)}; use a longer one"
        )
    return None


def _band_around_cutoff(policy: Policy) -> str | None:
    decision = policy.decision
    if decision is None:
        return None
    low, high = decision.review_from, decision.review_to
    if (low is None) != (high is None):
        return "a review band has two edges; give review_from and review_to, or neither"
    if low is None or high is None:
        return None
    if low >= high or not low <= decision.cutoff <= high:
        return (
            f"the review band from {low:g} to {high:g} does not hold the cutoff "
            f"{decision.cutoff:g}; give review_from below review_to, and the cutoff between"
        )
    return None


def _one_kind(policy: Policy) -> str | None:
    claims = policy.claims
    given = {
        "classes": claims.classes,
        "sources": claims.sources,
        "quantiles or intervals": claims.quantiles or claims.intervals,
    }
    named = [name for name, values in given.items() if values]
    if len(named) > 1:
        return f"{' and '.join(named)} are of different kinds; a model's predictions state one"
    if len(claims.classes) == 1:
        return f"one class, {claims.classes[0]}, is always right; give them all"
    return None


def _labels_that_come(policy: Policy) -> str | None:
    kind = policy.claims.kind
    if policy.unlabelled is Unlabelled.NEGATIVE and kind in {Kind.MULTICLASS, Kind.REGRESSION}:
        return "negative is for labels that are 0 or 1; use missing with classes and numbers"
    return None


def _source_declared(policy: Policy) -> str | None:
    decision, sources = policy.decision, policy.claims.sources
    if decision is None or not sources:
        return None
    for name, source in (
        ("source", decision.source),
        ("corroborated_by", decision.corroborated_by),
    ):
        if source is not None and source not in sources:
            return f"{name} {source} is none of the declared sources {', '.join(sources)}"
    if decision.source is None and len(sources) > 1:
        return f"does not say which confidence the cutoff is put on; give source: {sources[0]}"
    if decision.corroborated_by is not None and decision.corroborated_by == gate(policy):
        return "corroborated_by is the source itself; name another one"
    return None


def _weak_alone(policy: Policy) -> str | None:
    if policy.stakes is Stakes.HIGH and weak_alone(policy):
        return (
            f"the cutoff is put on a {VERBALIZED} confidence alone, which is weak evidence, and "
            "stakes are high; give another source, or corroborated_by"
        )
    return None


RULES = (
    Rule(("cohort", "pane"), _cohort_of_panes),
    Rule(("correction_horizon", "label_horizon"), _corrections_after_labels),
    Rule(("window", "cohort"), _window_of_cohorts),
    Rule(("baseline",), _period_in_order),
    Rule(("baseline", "cohort"), _period_of_cohorts),
    Rule(("decision",), _band_around_cutoff),
    Rule(("claims",), _one_kind),
    Rule(("unlabelled", "claims"), _labels_that_come),
    Rule(("decision", "claims"), _source_declared),
    Rule(("decision", "stakes", "claims"), _weak_alone),
)
