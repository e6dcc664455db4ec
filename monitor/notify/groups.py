"""Groups: what a message says of several series together, their states and who answers for them.

Guarantees: plain text from the notice alone; a group of one reads like its series. Must never:
escape or mark up; `blocks.py` does that for its receiver.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.core.claims import WHOLE
from monitor.core.episode.episodes import EpisodeState, Severity
from monitor.core.wording import model_name, moment, one_line, series_name, span

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.episode.episodes import Member
    from monitor.core.episode.notices import AlertNotice, RecentChange

NAME_LIMIT = 90
"""Of a header's 150 characters, so that what is said of the series is never cut off."""
_LISTED = 12
_ORDER = (
    EpisodeState.FIRING,
    EpisodeState.NO_DATA,
    EpisodeState.RECOVERING,
    EpisodeState.PENDING,
    EpisodeState.RESOLVED,
)
_LINE_LIMIT = 180


def state_of(notice: AlertNotice) -> EpisodeState:
    """State of the group: what fires makes it fire, then what cannot be judged, then the rest."""
    states = {member.state for member in notice.members}
    return next((state for state in _ORDER if state in states), EpisodeState.FIRING)


def heading(notice: AlertNotice) -> str:
    """The title's first words: what state things are in."""
    match state_of(notice):
        case EpisodeState.NO_DATA:
            return "No labels to judge by"
        case EpisodeState.RECOVERING:
            return "Recovering"
        case EpisodeState.RESOLVED:
            return "Resolved"
        case _ if notice.severity is Severity.CRITICAL:
            return "Critical calibration drift"
        case _:
            return "Calibration drift"


def subject(notice: AlertNotice) -> str:
    """The series, or the model and how many of its series."""
    members = notice.members
    if len(members) <= 1:
        return _short(series_name(notice.verdict.series))
    one_version = len({member.series.version for member in members}) == 1
    series = notice.verdict.series
    name = model_name(series) if one_version else one_line(series.model)
    parts = [member.series.segment for member in members if member.series.segment != WHOLE]
    if one_version and len(set(parts)) == len(parts) and len(members) - len(parts) <= 1:
        plural = "segment" if len(parts) == 1 else "segments"
        overall = "overall and " if len(parts) < len(members) else ""
        return f"{_short(name)} {overall}in {len(parts)} {plural}"
    return f"{_short(name)} in {len(members)} series"


def begin(notice: AlertNotice) -> datetime:
    """When the first of the group's members fired."""
    return min((member.fired_at for member in notice.members), default=notice.fired_at)


def listed(notice: AlertNotice) -> str:
    """A line a series, worst first; empty for a group of one."""
    if len(notice.members) <= 1:
        return ""
    lines = [_line(member) for member in notice.members[:_LISTED]]
    more = len(notice.members) - _LISTED
    return "\n".join(["", *lines, *([f"and {more} more"] if more > 0 else [])])


def _line(member: Member) -> str:
    series = member.series
    where = series_name(series) if series.segment == WHOLE else one_line(series.segment)
    where = f"{_short(where)}, all traffic" if series.segment == WHOLE else _short(where)
    moved = "" if member.shift is None else f": off by {member.shift:.3f}"
    until = f" until {moment(member.resolved_at)}" if member.resolved_at else ""
    state = f"{member.state.replace('_', ' ')}, {member.severity}, since {moment(member.fired_at)}"
    return f"• {where}{moved} ({state}{until})"[:_LINE_LIMIT]


def after_change(change: RecentChange | None, since_at: datetime | None, fired_at: datetime) -> str:
    """How long after the newest change it began, or, where the change is newer, it was noticed."""
    if change is None:
        return ""
    version = f" of version {one_line(change.version)}" if change.version else ""
    about = f" ({one_line(change.description)})" if change.description else ""
    at = f"{one_line(change.kind)}{version}, {moment(change.happened_at)}{about}"
    if since_at is not None and since_at >= change.happened_at:
        return f" It began about {span(since_at - change.happened_at)} after {at}."
    if fired_at >= change.happened_at:
        return f" It was noticed {span(fired_at - change.happened_at)} after {at}."
    return f" Newest change: {at}."


def standing(notice: AlertNotice) -> str:
    """In which state how many series are, and as of when."""
    # The worst one's verdict may be older than what happened to another.
    members = notice.members
    times = [*(m.fired_at for m in members), *(m.resolved_at for m in members if m.resolved_at)]
    as_of = f"as of {moment(max([notice.verdict.evaluated_at, *times]))}"
    if state_of(notice) is EpisodeState.RESOLVED:
        return as_of
    found = Counter(member.state for member in notice.members)
    states = [f"{n} {state.replace('_', ' ')}" for state in _ORDER if (n := found[state])]
    if sum(found.values()) <= 1:
        states = [state_of(notice).replace("_", " ")]
    return f"{as_of}: {', '.join(states)}; {notice.severity}"


def answered_by(notice: AlertNotice) -> str:
    """Who took it on; empty where nobody has."""
    ack = notice.ack
    if ack is None:
        return ""
    return f"{one_line(ack.author)}, {moment(ack.at)}: {one_line(ack.reason)}"


def identity(notice: AlertNotice) -> str:
    """Severity, team and the ids by which it is found again."""
    team = f" · team {one_line(notice.team)}" if notice.team else ""
    return (
        f"{notice.severity}{team} · evidence {one_line(notice.evidence_id)} · "
        f"group {notice.group_id}"
    )


def _short(name: str) -> str:
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 1]}…"
