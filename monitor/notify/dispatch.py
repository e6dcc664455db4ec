"""Dispatch: brings what the outbox holds to its receivers, one recorded attempt at a time.

Guarantees: every notification tried leaves an attempt with its reason, whatever goes wrong;
none is dropped before it is delivered or dead-lettered; one that fails holds up no other, but a
receiver that asked for patience is left alone until that is over. Must never: decide what
to tell, or wait: a later pass tries again when it is time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import (
    Attempt,
    Delivered,
    Notification,
    Outcome,
    Rejected,
    Retry,
    notice_from_json,
    settle,
)
from monitor.pictures import PictureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from monitor.core.episode.notices import AlertNotice
    from monitor.core.verdicts import Verdict


class Outbox(Protocol):
    """Where decisions left their notifications; each method is one transaction."""

    def pending(self, now: datetime) -> Sequence[Notification]:
        """Return what is due, oldest first: not ended, next_attempt_at past.

        Of one group and route only the oldest that has not ended: the others wait for it.
        """
        ...

    def record_attempt(self, notification_id: str, at: datetime, attempt: Attempt) -> None:
        """Add one attempt; attempts are never changed."""
        ...


class Sender(Protocol):
    """One kind of receiver. pictured: whether it takes pictures."""

    pictured: bool

    def send(
        self, notification: Notification, notice: AlertNotice, picture: bytes | None
    ) -> Outcome:
        """Deliver at most once; expected failures are outcomes, not exceptions."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one pass did with one notification."""

    notification: Notification
    attempt: Attempt


def deliver(  # noqa: PLR0913  # what a pass depends on
    outbox: Outbox,
    senders: Mapping[str, Sender],
    now: datetime,
    pictures: Callable[[Verdict], bytes],
    stopped: Callable[[], bool] = bool,
    *,
    rests: dict[tuple[str, str], datetime] | None = None,
) -> list[Delivery]:
    """Try everything that is due at `now`, wall clock, and say what came of it.

    senders are by route; pictures draws a verdict as PNG and may raise PictureError; stopped says
    whether to leave the rest to a later pass. What waited for one that was delivered is tried too.
    rests: until when a (route, target) asked to be left alone, kept by the caller between passes.
    """
    done: list[Delivery] = []
    resting = {} if rests is None else rests
    tried: set[str] = set()
    while True:
        due = [one for one in outbox.pending(now) if one.notification_id not in tried]
        due = [one for one in due if not _rests((one.route, one.target), resting, now)]
        if not due:
            return done
        for notification in due:
            receiver = (notification.route, notification.target)
            if _rests(receiver, resting, now):
                continue
            if stopped():
                return done
            tried.add(notification.notification_id)
            outcome = _attempted(notification, senders, pictures)
            if isinstance(outcome, Retry):
                if outcome.after > timedelta(0):
                    resting[receiver] = now + outcome.after
                # What is out stays out, whatever went wrong with the rest of it this time.
                outcome = replace(outcome, receipt=outcome.receipt or notification.receipt)
            attempt = settle(outcome, notification.attempts + 1, now)
            outbox.record_attempt(notification.notification_id, now, attempt)
            done.append(Delivery(notification, attempt))


def _rests(
    receiver: tuple[str, str], resting: Mapping[tuple[str, str], datetime], now: datetime
) -> bool:
    until = resting.get(receiver)
    return until is not None and now < until


def _attempted(
    notification: Notification,
    senders: Mapping[str, Sender],
    pictures: Callable[[Verdict], bytes],
) -> Outcome:
    sender = senders.get(notification.route)
    if sender is None:
        # Worth another try: a restart with the right settings delivers it.
        return Retry(f"no receiver is configured for route {notification.route!r}")
    try:
        notice = notice_from_json(notification.payload)
    except ValueError as error:
        return Rejected(f"the stored payload cannot be read: {error}")
    try:
        picture, missing = _drawn(notification, notice, pictures) if sender.pictured else (None, "")
        outcome = sender.send(notification, notice, picture)
    except Exception as error:  # noqa: BLE001  # a fault of ours in one must not hold up the rest
        return Retry(f"fault in calmon: {type(error).__name__}: {error}")
    return _noting(missing, outcome)


def _drawn(
    notification: Notification, notice: AlertNotice, pictures: Callable[[Verdict], bytes]
) -> tuple[bytes | None, str]:
    """Picture of a message that opens, or why there is none."""
    opens = notice.kind is AlertKind.FIRED or notification.parent_receipt is None
    if not opens or notice.kind is AlertKind.RESOLVED:
        return None, ""
    try:
        return pictures(notice.verdict), ""
    except PictureError as error:
        return None, f"delivered without its picture: {error}"


def _noting(missing: str, outcome: Outcome) -> Outcome:
    if not missing or not isinstance(outcome, Delivered):
        return outcome
    return replace(outcome, detail="; ".join(filter(None, [outcome.detail, missing])))
