"""What stands at receivers that must be told again and again, such as Alertmanager.

Guarantees: of each group and receiver that was told, the newest that was delivered, until its end
was delivered or given up. Must never: write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import AttemptOutcome, Notification
from monitor.store import tables as t
from monitor.store.engine import transaction

if TYPE_CHECKING:
    from sqlalchemy import Engine

_OVER = [str(outcome) for outcome in AttemptOutcome if outcome is not AttemptOutcome.RETRY]


def standing(engine: Engine, route: str) -> list[Notification]:
    """Notifications on a route that still hold, oldest first."""
    told, attempt = t.notification, t.notification_attempt
    of_route = select(told).join(attempt, attempt.c.notification_id == told.c.notification_id)
    of_route = of_route.where(told.c.route == route)
    ended = of_route.where(told.c.kind == AlertKind.RESOLVED, attempt.c.outcome.in_(_OVER))
    delivered = of_route.where(attempt.c.outcome == str(AttemptOutcome.DELIVERED))
    with transaction(engine) as connection:
        over = {(row.group_id, row.target) for row in connection.execute(ended)}
        rows = connection.execute(delivered.order_by(told.c.sequence)).all()
    # The newest of each: later rows take the place of earlier ones.
    newest = {(row.group_id, row.target): row for row in rows}
    return [
        Notification(
            notification_id=row.notification_id,
            group_id=row.group_id,
            sequence=row.sequence,
            kind=AlertKind(row.kind),
            route=row.route,
            target=row.target,
            payload=row.payload,
            created_at=row.recorded_at,
        )
        for key, row in newest.items()
        if key not in over
    ]
