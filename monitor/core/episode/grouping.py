"""Grouping: episodes of one model that fire become one message, for the team that answers for it.

Guarantees: what is told, and the event time of it, are a pure function of the decisions in time
order and the policies, the same for a daemon, a restart of it and a backtest; a group is opened
once, and resolved when all its members are. Must never: look at a clock, an ack or a silence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import AlertKind, EpisodeState, Member, Severity, group_id
from monitor.core.maintenance import maintained_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.episode.episodes import Decision, Episode
    from monitor.core.policies import AlertPolicy

_WORST = (
    EpisodeState.FIRING,
    EpisodeState.NO_DATA,
    EpisodeState.PENDING,
    EpisodeState.RECOVERING,
    EpisodeState.RESOLVED,
)


NAMED = 3
"""Up to so many series are named where something is told of several."""


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes of one model that are told together; event times.

    team: that of the policy when the group was opened. members: worst first, one a series.
    rung_at: when people were last called, by a new member, a member that fired again, a higher
    severity or a reminder. n_told: messages so far.
    """

    group_id: str
    team: str | None
    model: str
    opened_at: datetime
    members: tuple[Member, ...]
    rung_at: datetime
    n_told: int

    @property
    def is_open(self) -> bool:
        """Whether a member is not resolved."""
        return any(member.state is not EpisodeState.RESOLVED for member in self.members)

    @property
    def severity(self) -> Severity:
        """The worst of the members that are not resolved, or of all where all are."""
        mine = [m for m in self.members if m.state is not EpisodeState.RESOLVED] or self.members
        critical = any(member.severity is Severity.CRITICAL for member in mine)
        return Severity.CRITICAL if critical else Severity.WARNING

    @property
    def leading(self) -> Member:
        """The worst member."""
        return self.members[0]


@dataclass(frozen=True, slots=True)
class Told:
    """One message about a group: what kind, when by event time, the group after it, and why."""

    kind: AlertKind
    happened_at: datetime
    group: Group
    reason: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A decision about one series of a model, and its event time."""

    decision: Decision
    at: datetime


def gathered(
    group: Group | None, moments: Iterable[Moment], until: datetime, policy: AlertPolicy, model: str
) -> tuple[Group | None, list[Told]]:
    """What is told of one model's decisions, with the reminders up to `until`.

    group: the model's newest, open or not. moments: in time order; those of one time make one
    message.
    """
    told: list[Told] = []
    for at, same in groupby(moments, key=attrgetter("at")):
        group = _reminded(group, at, policy, told)
        group = _changed(
            group, [moment.decision for moment in same], told, at=at, policy=policy, model=model
        )
    return _reminded(group, until, policy, told), told


def _changed(  # noqa: PLR0913  # what a message depends on
    group: Group | None,
    decisions: Sequence[Decision],
    told: list[Told],
    *,
    at: datetime,
    policy: AlertPolicy,
    model: str,
) -> Group | None:
    telling = [d for d in decisions if d.alert is not None and d.episode is not None]
    if not telling:
        return group
    episodes = [d.episode for d in telling if d.episode is not None]
    before = group if group is not None and _goes_on(group, episodes) else None
    if before is None and not any(episode.is_open for episode in episodes):
        return group
    group = before or Group(group_id(policy.team, model, at), policy.team, model, at, (), at, 0)
    after = _with(group, episodes)
    kind = AlertKind.CHANGED if group.n_told else AlertKind.FIRED
    if not after.is_open:
        kind = AlertKind.RESOLVED
    rings = kind is AlertKind.FIRED or _rings(group, after)
    after = replace(after, rung_at=at if rings else group.rung_at, n_told=group.n_told + 1)
    told.append(Told(kind, at, after, _why(after, telling)))
    return after


def _goes_on(group: Group, episodes: Sequence[Episode]) -> bool:
    """Whether a message belongs to this group: it is open, or one of its own fires again."""
    mine = {member.episode_id for member in group.members}
    return group.is_open or any(episode.episode_id in mine for episode in episodes)


def _with(group: Group, episodes: Sequence[Episode]) -> Group:
    """The group with these episodes in place of the older ones of their series."""
    members = {member.series: member for member in group.members}
    for each in episodes:
        members[each.series] = Member(
            each.series,
            each.episode_id,
            each.state,
            each.severity,
            each.fired_at or each.began_at,
            each.resolved_at,
            each.shift,
        )
    return replace(group, members=tuple(sorted(members.values(), key=_badness)))


def _badness(member: Member) -> tuple[int, bool, float, datetime, str, str]:
    """Sorts the worst first: what fires, critical ones, large effects, old ones."""
    series = member.series
    return (
        _WORST.index(member.state),
        member.severity is not Severity.CRITICAL,
        -(member.shift or 0.0),
        member.fired_at,
        series.version,
        series.segment,
    )


def _rings(before: Group, after: Group) -> bool:
    """Whether people are to be called again: something fires that did not, or more severely."""
    firing = {m.series for m in before.members if m.state is EpisodeState.FIRING}
    now = {m.series for m in after.members if m.state is EpisodeState.FIRING}
    rose = before.severity is Severity.WARNING and after.severity is Severity.CRITICAL
    return bool(now - firing) or rose


def _reminded(
    group: Group | None, until: datetime, policy: AlertPolicy, told: list[Told]
) -> Group | None:
    """The group after the reminders that are due by `until`."""
    every = policy.remind_every
    while every is not None and group is not None and _fires(group):
        due = group.rung_at + every
        due = maintained_until(policy.maintenance, due) or due
        if due > until:
            break
        group = replace(group, rung_at=due, n_told=group.n_told + 1)
        told.append(Told(AlertKind.REMINDED, due, group, "still firing: a reminder"))
    return group


def _fires(group: Group) -> bool:
    return any(member.state is EpisodeState.FIRING for member in group.members)


def _why(group: Group, telling: Sequence[Decision]) -> str:
    """Each reason with the series that it is about, by name where they are few."""
    if len(group.members) == 1 and len(telling) == 1:
        return telling[0].reason
    versions = {member.series.version for member in group.members}
    found: dict[str, list[str]] = {}
    for decision in telling:
        series = decision.episode.series if decision.episode is not None else None
        if series is not None:
            where = series.segment or "all traffic"
            if len(versions) > 1:
                of = f"version {series.version}"
                where = f"{series.segment} of {of}" if series.segment else of
            found.setdefault(decision.reason, []).append(where)
    parts = sorted(found.items(), key=lambda part: -len(part[1]))
    return "; ".join(f"{_named(places)}: {reason}" for reason, places in parts)


def _named(places: Sequence[str]) -> str:
    if len(places) > NAMED:
        return f"{len(places)} series"
    *first, last = places
    return f"{', '.join(first)} and {last}" if first else last
