"""Health: whether a process is worth keeping (`livez`), and does its work (`readyz`).

Guarantees: pure decisions over facts and a time; every no says why, every reason at once. Must
never: call a process dead for something that a restart would not mend, as a database that is away
or partitions that other workers hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

COMMIT_WITHIN = timedelta(minutes=1)
"""A worker at the end of its topics flushes every few seconds, and a flush is a commit."""
TICKS_WITHIN = 10
"""A tick is late after so many lengths of the tick."""
STUCK_AFTER = timedelta(minutes=10)
GRACE = timedelta(minutes=30)
"""Longest start: what is pending or due may be much after a long stop."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a process. `ingests`, `watches`: the halves that its role runs.

    ..._alive_at: last sign of life, also of a half that waits or stands by; None before the first.
    """

    ingests: bool
    watches: bool
    started_at: datetime
    assigned_partitions: int
    database_reachable: bool
    last_commit_at: datetime | None
    last_tick_at: datetime | None
    ingest_alive_at: datetime | None
    watch_alive_at: datetime | None
    tick_every: timedelta


@dataclass(frozen=True, slots=True)
class Health:
    """An answer; `reasons` is empty when it is yes."""

    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.reasons


def livez(facts: Facts, now: datetime) -> Health:
    """Whether the halves of the process move; a no asks for a restart.

    A worker without partitions waits for another one to leave, and is not asked for more.
    """
    within = max(STUCK_AFTER, TICKS_WITHIN * facts.tick_every)
    works = facts.ingests and facts.assigned_partitions > 0
    halves = [
        ("worker", works, facts.ingest_alive_at, STUCK_AFTER),
        ("watcher", facts.watches, facts.watch_alive_at, within),
    ]
    reasons: list[str] = []
    for name, runs, alive_at, limit in halves:
        if not runs:
            continue
        if alive_at is None:
            if now - facts.started_at > GRACE:
                reasons.append(f"the {name} gave no sign of life since the start")
        elif now - alive_at > limit:
            reasons.append(f"the {name} gave no sign of life for {_seconds(now - alive_at)}")
    return Health(tuple(reasons))


def readyz(facts: Facts, now: datetime) -> Health:
    """Whether the process does its work now; a no is for people, and for rolling updates."""
    reasons: list[str | None] = []
    if not facts.database_reachable:
        reasons.append("the database is not reachable")
    if facts.ingests:
        if facts.assigned_partitions == 0:
            reasons.append("no partition is assigned")
        never = "nothing was committed yet"
        reasons.append(_overdue("commit", facts.last_commit_at, now, COMMIT_WITHIN, never))
    if facts.watches:
        limit = TICKS_WITHIN * facts.tick_every
        reasons.append(_overdue("tick", facts.last_tick_at, now, limit, "no tick has ended yet"))
    return Health(tuple(reason for reason in reasons if reason is not None))


def _overdue(
    what: str, at: datetime | None, now: datetime, within: timedelta, never: str
) -> str | None:
    if at is None:
        return never
    if now - at > within:
        return f"the last {what} was {_seconds(now - at)} ago, over {_seconds(within)}"
    return None


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
