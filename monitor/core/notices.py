"""Notices: what people are to be told, and what came of telling them, as values for the outbox.

Guarantees: everything a message says is in the notice's payload, so a message can be rendered
from a row written earlier; when to try again is a pure function of the attempts made and of what
the receiver asked for, and comes to an end. Must never: hold a secret, or know how a receiver is
spoken to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.core.episodes import AlertKind
from monitor.core.verdict_json import verdict_from_json
from monitor.core.verdicts import rfc3339

if TYPE_CHECKING:
    from monitor.core.verdict_json import Json
    from monitor.core.verdicts import Verdict

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=30)
LAST_ATTEMPT = 20
"""Waits double from 5 s to half an hour: 20 attempts span about six hours."""


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """One thing to tell about an episode; event times. resolved_at is set when kind is RESOLVED.

    verdict is the one that fired or resolved the episode; evidence_id names its stored row.
    """

    kind: AlertKind
    episode_id: str
    verdict: Verdict
    fired_at: datetime
    resolved_at: datetime | None
    evidence_id: str
    runbook_url: str | None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values, for the outbox row."""
        return {
            "kind": str(self.kind),
            "episode_id": self.episode_id,
            "verdict": self.verdict.as_json(),
            "fired_at": rfc3339(self.fired_at),
            "resolved_at": rfc3339(self.resolved_at) if self.resolved_at else None,
            "evidence_id": self.evidence_id,
            "runbook_url": self.runbook_url,
        }


def notice_from_json(raw: Json) -> AlertNotice:
    """Read back what AlertNotice.as_json wrote; raises ValueError naming what is wrong."""
    try:
        verdict, resolved_at, runbook = raw["verdict"], raw["resolved_at"], raw["runbook_url"]
        if not isinstance(verdict, dict):
            msg = f"a notice's verdict must be an object, not {type(verdict).__name__}"
            raise ValueError(msg)  # noqa: TRY004  # bad stored data, not a caller's wrong type
        return AlertNotice(
            kind=AlertKind(str(raw["kind"])),
            episode_id=str(raw["episode_id"]),
            verdict=verdict_from_json(verdict),
            fired_at=datetime.fromisoformat(str(raw["fired_at"])),
            resolved_at=datetime.fromisoformat(str(resolved_at)) if resolved_at else None,
            evidence_id=str(raw["evidence_id"]),
            runbook_url=str(runbook) if runbook else None,
        )
    except KeyError as missing:
        msg = f"a notice must have {missing}"
        raise ValueError(msg) from missing


@dataclass(frozen=True, slots=True)
class Notification:
    """One outbox row that is due: a notice for one route, with what is known of its delivery.

    route names the sender (`slack`, `console`), target the place there (a channel's id).
    created_at is wall-clock time. attempts counts those recorded so far. receipt is that of an
    earlier attempt whose message is out; parent_receipt is that of the notification that opened
    the same episode on the same route, None when that one was never delivered.
    """

    notification_id: str
    episode_id: str
    kind: AlertKind
    route: str
    target: str
    payload: Json
    created_at: datetime
    attempts: int = 0
    receipt: Json | None = None
    parent_receipt: Json | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has the message. `detail` says what is missing from it, if anything."""

    receipt: Json
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not done, and worth another try, not before `after` (the receiver's Retry-After) is over.

    With a receipt the message itself is out and only its picture is missing.
    """

    why: str
    after: timedelta = timedelta(0)
    receipt: Json | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The receiver will not take it, however often it is tried."""

    why: str


Outcome = Delivered | Retry | Rejected


class AttemptOutcome(StrEnum):
    """Stored outcome of one attempt. `rejected` is the end: the notification is dead-lettered."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is stored of one attempt; next_attempt_at is set when, and only when, it is a retry."""

    outcome: AttemptOutcome
    detail: str
    receipt: Json | None
    next_attempt_at: datetime | None


def backoff(attempt: int) -> timedelta | None:
    """Wait after the attempt of this number (from 1) failed; None after the last."""
    if attempt >= LAST_ATTEMPT:
        return None
    return min(FIRST_WAIT * (1 << (attempt - 1)), LONGEST_WAIT)


def settle(outcome: Outcome, attempt: int, now: datetime) -> Attempt:
    """Decide what to record of the attempt of this number (from 1), made at wall-clock `now`.

    A retry past the limit becomes a rejection with its reason, or, when only the picture is
    missing, a delivery that says so.
    """
    match outcome:
        case Delivered(receipt, detail):
            return Attempt(AttemptOutcome.DELIVERED, detail or "delivered", receipt, None)
        case Rejected(why):
            return Attempt(AttemptOutcome.REJECTED, why, None, None)
        case Retry(why, after, receipt):
            return _settle_retry(why, after, receipt, attempt, now)


def _settle_retry(
    why: str, after: timedelta, receipt: Json | None, attempt: int, now: datetime
) -> Attempt:
    wait = backoff(attempt)
    if receipt is not None and wait is None:
        detail = f"delivered without its picture: {why}"
        return Attempt(AttemptOutcome.DELIVERED, detail, receipt, None)
    if wait is None:
        detail = f"given up after {attempt} attempts; the last one: {why}"
        return Attempt(AttemptOutcome.REJECTED, detail, None, None)
    return Attempt(AttemptOutcome.RETRY, why, receipt, now + max(wait, after))
