"""When a series is due to be judged next, whether that is overdue, and what asked for it.

Guarantees: by the cadence and the announcements alone, in event time, as the watcher decides it.
Must never: look at a clock; how far the streams are counted is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from monitor.core.policies import Cadence
from monitor.core.verdicts import rfc3339
from monitor.core.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.claims import Series
    from monitor.core.judging.restarts import Announcement
    from monitor.core.policies import Policy


@dataclass(frozen=True, slots=True)
class Due:
    """Event times of one series.

    next_at: maturity of the first cohort after which it is due. overdue_by: by how much more than a
    cohort the streams are counted beyond that; a series without predictions since is not judged,
    and is overdue for that reason. asked_by: the announcement that asks for it before the cadence
    does. triggered_by: the newest announcement that the last judgement answered.
    """

    series: Series
    judged_at: datetime
    next_at: datetime
    overdue_by: timedelta | None
    asked_by: Announcement | None
    triggered_by: Announcement | None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values: times in RFC 3339, spans in seconds."""
        return {
            "model": self.series.model,
            "version": self.series.version,
            "claim": self.series.claim,
            "segment": self.series.segment or None,
            "judged_at": rfc3339(self.judged_at),
            "next_at": rfc3339(self.next_at),
            "overdue_s": None if self.overdue_by is None else self.overdue_by.total_seconds(),
            "asked_by": None if self.asked_by is None else announced_words(self.asked_by),
            "triggered_by": None
            if self.triggered_by is None
            else announced_words(self.triggered_by),
        }


def due(
    series: Series,
    policy: Policy,
    judged_at: datetime,
    counted_at: datetime | None,
    said: Sequence[Announcement],
) -> Due:
    """When a series judged at `judged_at` is due again; counted_at: how far its model is read."""
    mine = [each for each in said if each.concerns(series)]
    open_ = min(
        (each for each in mine if each.taken_at > judged_at),
        key=lambda each: each.taken_at,
        default=None,
    )
    by_cadence = _maturity(judged_at, _boundary(policy.cadence, judged_at), policy.cohort)
    next_at, asked_by = by_cadence, None
    if open_ is not None:
        by_change = _maturity(judged_at, open_.taken_at, policy.cohort)
        if by_change < by_cadence:
            next_at, asked_by = by_change, open_
    late = None if counted_at is None else counted_at - next_at
    answered = [each for each in mine if each.taken_at <= judged_at]
    return Due(
        series,
        judged_at,
        next_at,
        late if late is not None and late > policy.cohort else None,
        asked_by,
        max(answered, key=lambda each: each.taken_at, default=None),
    )


def due_words(found: Due, name: str) -> str | None:
    """One sentence where something asks for attention: overdue, or asked for by a change."""
    if found.overdue_by is None and found.asked_by is None:
        return None
    said = f"{name}: due at {rfc3339(found.next_at)}"
    if found.asked_by is not None:
        said += f", asked for by {announced_words(found.asked_by)}"
    if found.overdue_by is not None:
        days = found.overdue_by / timedelta(days=1)
        said += f", overdue by {days:.1f} days of event time (no predictions, or no watcher)"
    return said


def announced_words(said: Announcement) -> str:
    """`deploy of 2026-03-12T00:00:00Z: new features`."""
    reason = f": {one_line(said.reason)}" if said.reason else ""
    return f"{one_line(said.kind)} of {rfc3339(said.happened_at)}{reason}"


def _maturity(judged_at: datetime, at_least: datetime, cohort: timedelta) -> datetime:
    """Maturity of the first cohort after the judged one that is no earlier than `at_least`."""
    return judged_at + cohort * max(1, ceil((at_least - judged_at) / cohort))


def _boundary(cadence: Cadence, at: datetime) -> datetime:
    """Start of the next hour, day or month; of a continuous cadence at once."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    match cadence:
        case Cadence.CONTINUOUS:
            return at
        case Cadence.HOURLY:
            return hour + timedelta(hours=1)
        case Cadence.DAILY:
            return hour.replace(hour=0) + timedelta(days=1)
        case Cadence.MONTHLY:
            first = hour.replace(hour=0, day=1)
            return (first + timedelta(days=32)).replace(day=1)
