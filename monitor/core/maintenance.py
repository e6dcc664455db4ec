"""Maintenance windows: spans of event time in which no alert begins.

Guarantees: whether a moment lies in a window depends on the moment and the windows alone; weekly
windows are of UTC. Must never: look at a clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.core.verdicts import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = timedelta(days=7)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_HINT = 'write "2026-12-24 to 2026-12-27", or "sat 22:00 to sun 06:00" for every week, in UTC'
_CLOCK = re.compile(r"([a-z]{3}) ([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Maintenance:
    """From start_at until before end_at (aware UTC), once; `weekly`: and every week from then on.

    A weekly one's first times are of the week of 1970-01-05.
    """

    start_at: datetime
    end_at: datetime
    weekly: bool = False

    @classmethod
    def parse(cls, text: str) -> Maintenance:
        """Read `<time> to <time>` or `<day> <hh:mm> to <day> <hh:mm>`; raises ValueError."""
        first, found, last = text.strip().partition(" to ")
        if not found:
            msg = f"{text!r} is no maintenance window; {_HINT}"
            raise ValueError(msg)
        weekly = _CLOCK.fullmatch(first) is not None
        try:
            start_at, end_at = (
                (_of_week if weekly else _moment)(first),
                (_of_week if weekly else _moment)(last),
            )
        except ValueError:
            msg = f"{text!r} is no maintenance window; {_HINT}"
            raise ValueError(msg) from None
        if weekly and end_at <= start_at:
            end_at += _WEEK
        if end_at <= start_at:
            msg = f"the window {text!r} ends before it starts; give a later end"
            raise ValueError(msg)
        return cls(start_at, end_at, weekly)

    def __str__(self) -> str:
        """As `parse` reads it."""
        if not self.weekly:
            return f"{rfc3339(self.start_at)} to {rfc3339(self.end_at)}"
        return " to ".join(
            f"{DAYS[at.weekday()]} {at:%H:%M}" for at in (self.start_at, self.end_at)
        )

    def end_of(self, now: datetime) -> datetime | None:
        """End of the window that holds `now`, or None."""
        past = (now - self.start_at) // _WEEK * _WEEK if self.weekly else timedelta(0)
        return self.end_at + past if self.start_at + past <= now < self.end_at + past else None


def maintained_until(windows: Iterable[Maintenance], now: datetime) -> datetime | None:
    """Event time at which maintenance is over for good; None outside of every window.

    Windows that follow each other without a gap count as one, of a year at most.
    """
    every, until = list(windows), now
    while until - now < timedelta(days=366):
        ends = [end for window in every if (end := window.end_of(until)) is not None]
        if not ends:
            break
        until = max(ends)
    return until if until > now else None


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.strip())
    is_date = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()) is not None
    if found.tzinfo is None and not is_date:
        msg = "no offset"
        raise ValueError(msg)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _of_week(text: str) -> datetime:
    found = _CLOCK.fullmatch(text.strip())
    if found is None or found[1] not in DAYS:
        msg = "no day"
        raise ValueError(msg)
    return _MONDAY + timedelta(
        days=DAYS.index(found[1]), hours=int(found[2]), minutes=int(found[3])
    )
