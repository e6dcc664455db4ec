"""The outbox: notifications that wait, and every attempt to deliver them.

Guarantees: a notification is due until an attempt ended it, and those of one group and route are
due one after another in their order; attempts are only ever added. Must never: be written apart
from the verdict it tells of; `alerting.py` does that.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, or_, select

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import Attempt, AttemptOutcome, Notification
from monitor.store import tables as t
from monitor.store.engine import transaction
from monitor.store.sifting import Sifted, sift

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row, Select

    from monitor.core.judging.verdict_json import Json

ENDED = [str(outcome) for outcome in AttemptOutcome if outcome is not AttemptOutcome.RETRY]
"""Outcomes after which a notification is not tried again."""


class OutboxStore:
    """Postgres as the dispatcher sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pending(self, now: datetime) -> list[Notification]:
        """Notifications that are due at wall-clock `now`, oldest first.

        Of one group and route only the oldest that has not ended: the others wait for it. One whose
        message is out, and that only lacks its picture or its thread, holds up no other.
        """
        table, attempts = t.notification, t.notification_attempt
        later = select(attempts.c.notification_id).where(attempts.c.next_attempt_at > now)
        out = select(attempts.c.notification_id).where(attempts.c.receipt.is_not(None))
        with transaction(self._engine) as connection:
            first = (
                select(func.min(table.c.sequence))
                .where(
                    table.c.notification_id.not_in(_ended()), table.c.notification_id.not_in(out)
                )
                .group_by(table.c.group_id, table.c.route, table.c.target)
            )
            rows = connection.execute(
                select(table)
                .where(
                    or_(table.c.sequence.in_(first), table.c.notification_id.in_(out)),
                    table.c.notification_id.not_in(_ended()),
                    table.c.notification_id.not_in(later),
                )
                .order_by(table.c.sequence)
            ).all()
            return [_notification(connection, row) for row in rows]

    def next_due(self) -> datetime | None:
        """Wall-clock time at which the first of the retries is due; None where nothing failed.

        What was never tried is not meant: it is due at once.
        """
        attempts = t.notification_attempt
        newest = (
            select(func.max(attempts.c.next_attempt_at).label("at"))
            .where(attempts.c.notification_id.not_in(_ended()))
            .group_by(attempts.c.notification_id)
            .subquery()
        )
        with transaction(self._engine) as connection:
            at = connection.execute(select(func.min(newest.c.at))).scalar_one()
        return None if at is None else at.astimezone(UTC)

    def newest_notice(self, group_id: str) -> Json | None:
        """What was written last to tell of a group; None where nothing was."""
        table = t.notification
        with transaction(self._engine) as connection:
            found = connection.execute(
                select(table.c.payload)
                .where(table.c.group_id == group_id)
                .order_by(table.c.sequence.desc())
                .limit(1)
            ).scalar_one_or_none()
        return None if found is None else dict(found)

    def sift(self, now: datetime) -> list[Sifted]:
        """End what is not to be sent at wall-clock `now`, by silences, acks and newer news."""
        table, attempts = t.notification, t.notification_attempt
        out = select(attempts.c.notification_id).where(attempts.c.receipt.is_not(None))
        with transaction(self._engine) as connection:
            waiting = connection.execute(
                select(table)
                .where(
                    table.c.notification_id.not_in(_ended()),
                    table.c.notification_id.not_in(out),
                )
                .order_by(table.c.sequence)
            ).all()
            return sift(connection, now, waiting)

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


def _ended() -> Select[tuple[str]]:
    attempts = t.notification_attempt
    return select(attempts.c.notification_id).where(attempts.c.outcome.in_(ENDED))


def _notification(connection: Connection, row: Row[tuple[object, ...]]) -> Notification:
    made = _attempts(connection, row.notification_id)
    return Notification(
        notification_id=row.notification_id,
        group_id=row.group_id,
        sequence=row.sequence,
        kind=AlertKind(row.kind),
        route=row.route,
        target=row.target,
        payload=row.payload,
        created_at=row.recorded_at,
        attempts=len(made),
        receipt=_receipt(made),
        parent_receipt=_parent_receipt(connection, row),
    )


def _parent_receipt(
    connection: Connection, row: Row[tuple[object, ...]]
) -> dict[str, object] | None:
    """Receipt of the newest message before this one that opened the group on its route."""
    table, attempts = t.notification, t.notification_attempt
    return connection.execute(
        select(attempts.c.receipt)
        .join(table, table.c.notification_id == attempts.c.notification_id)
        .where(
            table.c.group_id == row.group_id,
            table.c.route == row.route,
            table.c.target == row.target,
            table.c.kind == AlertKind.FIRED,
            table.c.sequence < row.sequence,
            attempts.c.receipt.is_not(None),
        )
        # By the message, not by the attempt: an old one's picture may come after a newer message.
        .order_by(table.c.sequence.desc(), attempts.c.attempt_id.desc())
        .limit(1)
    ).scalar_one_or_none()


def _attempts(connection: Connection, notification_id: str) -> Sequence[Row[tuple[object, ...]]]:
    table = t.notification_attempt
    return connection.execute(
        select(table).where(table.c.notification_id == notification_id).order_by(table.c.attempt_id)
    ).all()


def _receipt(attempts: Sequence[Row[tuple[object, ...]]]) -> dict[str, object] | None:
    receipts = [row.receipt for row in attempts if row.receipt is not None]
    return receipts[-1] if receipts else None
