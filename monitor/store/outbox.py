"""The outbox: notifications that wait, and every attempt to deliver them.

Guarantees: a notification is due until an attempt delivered or rejected it; attempts are only
ever added. Must never: be written apart from the verdict it tells of; `history.py` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from monitor.core.episodes import AlertKind
from monitor.core.notices import Attempt, AttemptOutcome, Notification
from monitor.store import tables as t
from monitor.store.engine import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

_ENDED = (AttemptOutcome.DELIVERED, AttemptOutcome.REJECTED)


class OutboxStore:
    """Postgres as the dispatcher sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pending(self, now: datetime) -> list[Notification]:
        """Notifications that are due at wall-clock `now`, oldest first.

        The end of an episode waits until its beginning was delivered or given up on that route.
        """
        table, attempts = t.notification, t.notification_attempt
        ended = select(attempts.c.notification_id).where(attempts.c.outcome.in_(_ENDED))
        later = select(attempts.c.notification_id).where(attempts.c.next_attempt_at > now)
        with transaction(self._engine) as connection:
            rows = connection.execute(
                select(table)
                .where(
                    table.c.notification_id.not_in(ended),
                    table.c.notification_id.not_in(later),
                )
                .order_by(table.c.alert_event_id, table.c.notification_id)
            ).all()
            due = [_notification(connection, row) for row in rows]
            opened = set(connection.execute(ended).scalars())
        return [n for n in due if _opening(n) == n.notification_id or _is_open(n, opened)]

    def record_attempt(self, notification_id: str, at: datetime, attempt: Attempt) -> None:
        """Add one attempt and what came of it."""
        with transaction(self._engine) as connection:
            connection.execute(
                insert(t.notification_attempt).values(
                    notification_id=notification_id,
                    attempted_at=at,
                    outcome=str(attempt.outcome),
                    detail=attempt.detail,
                    receipt=attempt.receipt,
                    next_attempt_at=attempt.next_attempt_at,
                )
            )


def _notification(connection: Connection, row: Row[tuple[object, ...]]) -> Notification:
    made = _attempts(connection, row.notification_id)
    opened = _opening(row)
    parent = [] if opened == row.notification_id else _attempts(connection, opened)
    return Notification(
        row.notification_id,
        row.episode_id,
        row.alert_event_id,
        AlertKind(row.kind),
        row.route,
        row.target,
        row.payload,
        row.recorded_at,
        len(made),
        _receipt(made),
        _receipt(parent),
    )


def _opening(one: Notification | Row[tuple[object, ...]]) -> str:
    """Id of the notification that opened the same episode on the same route."""
    group = one.group_id if isinstance(one, Notification) else one.episode_id
    return f"{group}:{AlertKind.FIRED}:{one.route}:{one.target}"


def _is_open(notification: Notification, ended: set[str]) -> bool:
    return notification.parent_receipt is not None or _opening(notification) in ended


def _attempts(connection: Connection, notification_id: str) -> Sequence[Row[tuple[object, ...]]]:
    table = t.notification_attempt
    return connection.execute(
        select(table).where(table.c.notification_id == notification_id).order_by(table.c.attempt_id)
    ).all()


def _receipt(attempts: Sequence[Row[tuple[object, ...]]]) -> dict[str, object] | None:
    receipts = [row.receipt for row in attempts if row.receipt is not None]
    return receipts[-1] if receipts else None
