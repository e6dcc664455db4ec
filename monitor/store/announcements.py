"""Changes and people's decisions on baselines, as they wait and as they were taken.

Guarantees: each is taken once, at an event time that stands in a row, so that whoever folds the
cohorts again takes it at the same place. Must never: change or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import String, cast, insert, literal, null, select, union_all

from monitor.core.judging.restarts import Announcement
from monitor.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class Announced:
    """One announcement with its row's number; `told` has the time it was taken, if it was."""

    change_id: int | None
    decision_id: int | None
    told: Announcement
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decides on baselines of a model; event times, as in `Announcement`."""

    model: str
    kind: str
    version: str | None
    segment: str | None
    reason: str
    author: str
    since_at: datetime | None
    happened_at: datetime


_CHANGES = (
    select(
        t.change_event.c.change_id.label("change_id"),
        null().label("decision_id"),
        t.change_event.c.model,
        t.change_event.c.version,
        cast(null(), String).label("segment"),
        t.change_event.c.kind,
        t.change_event.c.description.label("reason"),
        literal("").label("author"),
        cast(null(), t.change_event.c.happened_at.type).label("since_at"),
        t.change_event.c.happened_at,
        t.change_taken.c.taken_at,
        t.change_taken.c.restarts,
    )
    .select_from(t.change_event)
    .outerjoin(t.change_taken, t.change_taken.c.change_id == t.change_event.c.change_id)
)
_DECISIONS = (
    select(
        null().label("change_id"),
        t.baseline_decision.c.decision_id.label("decision_id"),
        *(
            t.baseline_decision.c[name]
            for name in (
                "model", "version", "segment", "kind", "reason", "author", "since_at",
                "happened_at",
            )
        ),
        t.change_taken.c.taken_at,
        t.change_taken.c.restarts,
    )
    .select_from(t.baseline_decision)
    .outerjoin(t.change_taken, t.change_taken.c.decision_id == t.baseline_decision.c.decision_id)
)  # fmt: skip


def waiting_models(connection: Connection) -> dict[str, datetime]:
    """Models about which something was announced and not yet taken; the oldest one's event time."""
    found: dict[str, datetime] = {}
    for statement in (_CHANGES, _DECISIONS):
        rows = connection.execute(statement.where(t.change_taken.c.taken_at.is_(None))).all()
        for row in rows:
            found[row.model] = min(row.happened_at, found.get(row.model, row.happened_at))
    return found


def announced(connection: Connection, models: Sequence[str]) -> dict[str, list[Announced]]:
    """Everything announced around models, in the order in which it happened."""
    both = union_all(
        _CHANGES.where(t.change_event.c.model.in_(models)),
        _DECISIONS.where(t.baseline_decision.c.model.in_(models)),
    ).order_by("happened_at", "change_id", "decision_id")
    found: dict[str, list[Announced]] = {}
    for row in connection.execute(both):
        found.setdefault(row.model, []).append(_announced(row))
    return found


def insert_taken(connection: Connection, taken: Sequence[Announced]) -> None:
    """Record when announcements were taken, and whether they restarted baselines."""
    for each in taken:
        connection.execute(
            insert(t.change_taken).values(
                change_id=each.change_id,
                decision_id=each.decision_id,
                taken_at=each.told.taken_at,
                restarts=each.told.restarts,
            )
        )


def insert_decision(connection: Connection, decision: Decision) -> None:
    """Record a person's decision; the watcher takes it at its next tick."""
    connection.execute(
        insert(t.baseline_decision).values(
            model=decision.model,
            version=decision.version,
            segment=decision.segment,
            kind=decision.kind,
            reason=decision.reason,
            author=decision.author,
            since_at=decision.since_at,
            happened_at=decision.happened_at,
        )
    )


def _announced(row: Row[tuple[object, ...]]) -> Announced:
    return Announced(
        row.change_id,
        row.decision_id,
        Announcement(
            kind=row.kind,
            happened_at=row.happened_at,
            taken_at=row.taken_at or row.happened_at,
            restarts=bool(row.restarts),
            version=row.version,
            segment=row.segment,
            reason=row.reason,
            author=row.author,
            since_at=row.since_at,
        ),
        row.taken_at is not None,
    )
