"""An outbox in memory that keeps the rules of `Outbox.pending`, and notifications to put in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import AlertNotice, Attempt, AttemptOutcome, Notification
from tests.notify.slack_state import CHANNEL, FIRST_TS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.judging.verdict_json import Json

POSTED_AT = datetime.fromtimestamp(FIRST_TS, UTC)
"""The stub's clock: it posts at and after this moment."""


def notification(
    notice: AlertNotice,
    route: str = "slack",
    target: str = CHANNEL,
    created_at: datetime = POSTED_AT,
    sequence: int | None = None,
) -> Notification:
    """Outbox row of a notice; without a sequence, by the order of the kinds."""
    place = list(AlertKind).index(notice.kind) if sequence is None else sequence
    return Notification(
        notification_id=f"{notice.group_id}:{place}:{route}:{target}",
        group_id=notice.group_id,
        sequence=place,
        kind=notice.kind,
        route=route,
        target=target,
        payload=notice.as_json(),
        created_at=created_at,
    )


@dataclass
class MemoryOutbox:
    """Notifications in order of creation, with their attempts."""

    rows: list[Notification]
    attempts: dict[str, list[tuple[datetime, Attempt]]] = field(default_factory=dict)

    def pending(self, now: datetime) -> list[Notification]:
        """Due at `now`, as the protocol says."""
        return list(self._due(now))

    def _due(self, now: datetime) -> Iterator[Notification]:
        for row in self.rows:
            tried = self._tried(row)
            if tried and (tried[-1].next_attempt_at is None or tried[-1].next_attempt_at > now):
                continue
            parent = self._parent(row)
            if parent is not None and self._receipt(parent) is None and not self._ended(parent):
                continue
            yield replace(
                row,
                attempts=len(tried),
                receipt=self._receipt(row),
                parent_receipt=self._receipt(parent) if parent else None,
            )

    def record_attempt(self, notification_id: str, at: datetime, attempt: Attempt) -> None:
        """Add one attempt."""
        self.attempts.setdefault(notification_id, []).append((at, attempt))

    def outcomes(self, notification_id: str) -> list[tuple[AttemptOutcome, str]]:
        """Outcome and detail of every attempt."""
        return [(one.outcome, one.detail) for _, one in self.attempts.get(notification_id, [])]

    def _tried(self, row: Notification) -> list[Attempt]:
        return [attempt for _, attempt in self.attempts.get(row.notification_id, [])]

    def _parent(self, row: Notification) -> Notification | None:
        if row.kind is AlertKind.FIRED:
            return None
        opened = (
            one
            for one in self.rows
            if one.kind is AlertKind.FIRED
            and (one.group_id, one.route) == (row.group_id, row.route)
        )
        return next(opened, None)

    def _receipt(self, row: Notification) -> Json | None:
        return next((one.receipt for one in reversed(self._tried(row)) if one.receipt), None)

    def _ended(self, row: Notification) -> bool:
        tried = self._tried(row)
        return bool(tried) and tried[-1].outcome is AttemptOutcome.REJECTED
