"""Fleets: who takes part in one false-alarm budget, and each series' threshold from when on.

Guarantees: thresholds are a pure function of what every series has shown up to an event time, set
at midnight UTC of event time and in force for cohorts that mature later, so that a tick's timing
and the order of models change nothing; what the series in force may spend never exceeds the
budget. Must never: let evidence from before a series entered count, or look at a clock.

Why the sum holds (`under`, and `_fed` in `folding.py`, keep to it): with A the threshold in
force, F = M / A obeys F <- L (F + min(n, e) / A) for a cohort of n labels, e of them expected. A
is set before the cohort is seen, and a new threshold leaves F as it is, so F less the sum of
min(n, e) / A is a supermartingale while nothing changes. An alarm needs F >= 1 and every detector
starts again at F = 0: false alarms are, on average, at most that sum, and min(n, e) / A adds up to
at most the series' part of the budget a month, whatever the traffic (Shin, Ramdas and Rinaldo,
arXiv 2203.03532, with weights 1 / A set in advance).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import inf, log
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.judging.budget import (
    LOWEST_ALARM_AT,
    SILENT,
    Budget,
    Thresholds,
    e_d_bh,
    thresholds,
)
from monitor.core.judging.evidence import cleared, scaled
from monitor.core.judging.traffic import labels_a_month
from monitor.core.verdicts import BudgetShare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from monitor.core.claims import Series
    from monitor.core.judging.series_state import SeriesState

RESERVE = 0.1
"""Share of the budget that an allotment keeps for series that join before the next one."""


class FleetRule(StrEnum):
    """What names a series: its own threshold, or e-d-BH over all of them as well."""

    THRESHOLDS = "thresholds"
    E_D_BH = "e_d_bh"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a team decided about false pages. weights: by model, against 1 for the others.

    apart: models with a threshold of their own, which take no part; theirs come on top.
    """

    budget: Budget
    rule: FleetRule = FleetRule.THRESHOLDS
    weights: Mapping[str, float] = field(default_factory=dict)
    apart: Collection[str] = frozenset()

    def weight(self, series: Series) -> float:
        """What a series' part is, against the others'."""
        return self.weights.get(series.model, 1.0)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Threshold of one series from an event time on; alarm_at None: it takes no part any more."""

    series: Series
    effective_at: datetime
    alarm_at: float | None
    weight: float
    share: BudgetShare


InForce = dict["Series", Threshold]


def boundary(at: datetime) -> datetime:
    """Newest midnight UTC that is not after `at`."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def boundaries(after: datetime, until: datetime) -> list[datetime]:
    """Midnights UTC in (after, until]."""
    first = boundary(after) + timedelta(days=1)
    return [first + timedelta(days=day) for day in range(max(0, (until - first).days + 1))]


def under(state: SeriesState, threshold: Threshold | None, *, begun: bool) -> SeriesState:
    """The state with the threshold in force; the same one where nothing is new.

    begun: whether the fleet has any threshold yet; before, the policy's own `alarm_at` holds.
    Evidence keeps its share of the threshold, M / A, so that a lower threshold does not count for
    labels that were weighed by a higher one. A series that enters starts at no evidence; one
    without a threshold waits: its map learns, and it raises no alarm. An alarm that holds keeps
    its threshold.
    """
    if not begun:
        return state
    alarm_at = inf if threshold is None or threshold.alarm_at is None else threshold.alarm_at
    share = None if threshold is None or alarm_at == inf else threshold.share
    if state.alarm_at == alarm_at and state.share == share:
        return state
    before = state.threshold
    detector = state.detector
    if state.alarm is not None and alarm_at == inf:
        return state
    if detector is not None and alarm_at != inf:
        enters = state.share is None and state.alarm is None
        by = log(alarm_at) - log(before)
        detector = cleared(detector) if enters else scaled(detector, by)
    alarm = state.alarm
    if alarm is not None:
        alarm = replace(alarm, log_m=alarm.log_m + log(alarm_at) - log(before))
    return replace(state, alarm_at=alarm_at, share=share, detector=detector, alarm=alarm)


def settle(
    fleet: Fleet, states: Iterable[SeriesState], in_force: Mapping[Series, Threshold], at: datetime
) -> list[Threshold]:
    """Thresholds that are new at midnight `at`, from cohorts that matured up to then.

    Everything is allotted anew on the first of a month, when the budget, its rule, a weight or
    who takes part was changed, and when the reserve does not suffice for a series that joins;
    otherwise a series that joins takes from the reserve at the level of the others. A series joins
    once it has a baseline, and leaves at an allotment before which it sent no label for a month.
    """
    known = {s.series: s for s in states if s.series.model not in fleet.apart}
    members = {s: one for s, one in in_force.items() if one.alarm_at is not None}
    expected = {s: labels_a_month(state, at) for s, state in known.items()}
    joining = sorted(
        series
        for series, state in known.items()
        if series not in members and state.detector is not None and expected[series] > SILENT
    )
    if not members and not joining:
        return []
    changed = at.day == 1 or any(
        series not in known or _is_stale(fleet, one) for series, one in members.items()
    )
    if not changed:
        joined = _from_reserve(fleet, members, {s: expected[s] for s in joining}, at)
        if joined is not None:
            return joined
    taking = {s: expected.get(s, 0.0) for s in (*members, *joining)}
    return _allotted(fleet, taking, members, at)


def named(
    fleet: Fleet, states: Iterable[SeriesState], in_force: Mapping[Series, Threshold]
) -> list[SeriesState]:
    """Series that e-d-BH names at a midnight below their own threshold; none by thresholds alone.

    The share M / A of every series that takes part is its e-value.
    """
    if fleet.rule is not FleetRule.E_D_BH:
        return []
    found = {_key(s.series): s for s in states if s.series in in_force and s.share is not None}
    log_e = {
        name: state.detector.log_m - log(state.threshold)
        for name, state in found.items()
        if state.detector is not None and state.alarm is None
    }
    chosen = e_d_bh(log_e, Thresholds(dict.fromkeys(log_e, 1.0), 0.0))
    return [found[name] for name in sorted(chosen) if log_e[name] < 0]


def _is_stale(fleet: Fleet, one: Threshold) -> bool:
    """Whether it was set under another budget, rule, weight or membership."""
    said = (one.share.budget, one.share.rule, one.weight)
    now = (fleet.budget.words, str(fleet.rule), fleet.weight(one.series))
    return said != now or one.series.model in fleet.apart


def _from_reserve(
    fleet: Fleet,
    members: Mapping[Series, Threshold],
    joining: Mapping[Series, float],
    at: datetime,
) -> list[Threshold] | None:
    """Thresholds of those that join, at the others' level; None where the budget lacks it."""
    if not joining:
        return []
    if not members:
        return None
    level = max(one.share.false_alarms_per_month / one.weight for one in members.values())
    left = fleet.budget.per_month - sum(
        one.share.false_alarms_per_month for one in members.values()
    )
    parts = {
        series: min(labels / LOWEST_ALARM_AT, level * fleet.weight(series))
        for series, labels in joining.items()
    }
    if sum(parts.values()) > left:
        return None
    size = len(members) + len(joining)
    return [
        _threshold(fleet, series, at, (labels, labels / parts[series] * (1 + 1e-12)), size)
        for series, labels in joining.items()
    ]


def _allotted(
    fleet: Fleet, taking: Mapping[Series, float], members: Mapping[Series, Threshold], at: datetime
) -> list[Threshold]:
    kept = Budget(fleet.budget.per_month * (1 - RESERVE))
    names = {_key(series): series for series in taking}
    found = thresholds(
        kept,
        {name: taking[series] for name, series in names.items()},
        {name: fleet.weight(series) for name, series in names.items()},
    ).alarm_at
    size = int(np.isfinite(list(found.values())).sum())
    new = [
        _threshold(fleet, names[name], at, (taking[names[name]], alarm_at), size)
        for name, alarm_at in sorted(found.items())
    ]
    return [one for one in new if one.alarm_at is not None or one.series in members]


def _threshold(
    fleet: Fleet, series: Series, at: datetime, given: tuple[float, float], size: int
) -> Threshold:
    """One series' threshold; given: labels a month expected, and alarm_at for them."""
    labels, alarm_at = given
    sends = alarm_at < inf
    share = BudgetShare(
        budget=fleet.budget.words,
        rule=str(fleet.rule),
        series=size,
        labels_per_month=labels,
        false_alarms_per_month=labels / alarm_at if sends else 0.0,
        since_at=at,
    )
    return Threshold(series, at, alarm_at if sends else None, fleet.weight(series), share)


def _key(series: Series) -> str:
    """Names that sort as the series do and are different for different ones."""
    return f"{series.model}\x00{series.version}\x00{series.claim}\x00{series.segment}"
