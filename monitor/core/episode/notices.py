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

from monitor.core.claims import Series
from monitor.core.episode.episodes import AlertKind, EpisodeState, Member, Severity
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.verdicts import as_plain

if TYPE_CHECKING:
    from monitor.core.judging.verdict_json import Json
    from monitor.core.verdicts import Verdict

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=30)
LAST_ATTEMPT = 20
"""Waits double from 5 s to half an hour: 20 attempts span about six hours."""


@dataclass(frozen=True, slots=True)
class RecentChange:
    """The newest change around a model before its drift began, or before the alarm."""

    kind: str
    version: str | None
    description: str
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class Ack:
    """Who took a group of episodes on, why, and when by the wall clock."""

    author: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """One thing to tell about a group of episodes; event times, but for the ack's.

    members: worst first. verdict is that of the first of them, evidence_id names its stored row,
    and episode_id, fired_at and resolved_at are its own. severity: the group's, its worst
    member's. what: why this message comes, in one sentence. recent_change: within a week.
    """

    kind: AlertKind
    group_id: str
    members: tuple[Member, ...]
    severity: Severity
    team: str | None
    what: str
    episode_id: str
    verdict: Verdict
    fired_at: datetime
    resolved_at: datetime | None
    evidence_id: str
    runbook_url: str | None = None
    recent_change: RecentChange | None = None
    ack: Ack | None = None
    url: str | None = None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values, for the outbox row."""
        return as_plain(self)


def notice_from_json(raw: Json) -> AlertNotice:
    """Read back what AlertNotice.as_json wrote; raises ValueError naming what is wrong."""
    try:
        members, change, ack = raw["members"], raw["recent_change"], raw["ack"]
        return AlertNotice(
            kind=AlertKind(str(raw["kind"])),
            group_id=str(raw["group_id"]),
            members=tuple(member_from_json(_object(one, "member")) for one in _listed(members)),
            severity=Severity(str(raw["severity"])),
            team=_text(raw["team"]),
            what=str(raw["what"]),
            episode_id=str(raw["episode_id"]),
            verdict=verdict_from_json(_object(raw["verdict"], "verdict")),
            fired_at=datetime.fromisoformat(str(raw["fired_at"])),
            resolved_at=_moment(raw["resolved_at"]),
            evidence_id=str(raw["evidence_id"]),
            runbook_url=_text(raw["runbook_url"]),
            recent_change=None if change is None else _change(_object(change, "recent_change")),
            ack=None if ack is None else _ack(_object(ack, "ack")),
            url=_text(raw["url"]),
        )
    except KeyError as missing:
        msg = f"a notice must have {missing}"
        raise ValueError(msg) from missing


def member_from_json(raw: Json) -> Member:
    """Read back a member of a group; raises KeyError for what is missing."""
    series, shift = _object(raw["series"], "series"), raw["shift"]
    return Member(
        series=Series(*(str(series[name]) for name in ("model", "version", "claim", "segment"))),
        episode_id=str(raw["episode_id"]),
        state=EpisodeState(str(raw["state"])),
        severity=Severity(str(raw["severity"])),
        fired_at=datetime.fromisoformat(str(raw["fired_at"])),
        resolved_at=_moment(raw["resolved_at"]),
        shift=float(shift) if isinstance(shift, int | float) else None,
    )


def _change(raw: Json) -> RecentChange:
    happened_at = datetime.fromisoformat(str(raw["happened_at"]))
    return RecentChange(
        str(raw["kind"]), _text(raw["version"]), str(raw["description"]), happened_at
    )


def _ack(raw: Json) -> Ack:
    return Ack(str(raw["author"]), str(raw["reason"]), datetime.fromisoformat(str(raw["at"])))


def _object(value: object, name: str) -> Json:
    if not isinstance(value, dict):
        msg = f"a notice's {name} must be an object, not {type(value).__name__}"
        raise ValueError(msg)  # noqa: TRY004  # bad stored data, not a caller's wrong type
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        msg = f"a notice's members must be a list, not {type(value).__name__}"
        raise ValueError(msg)  # noqa: TRY004  # bad stored data, not a caller's wrong type
    return value


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _moment(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))


@dataclass(frozen=True, slots=True)
class Notification:
    """One outbox row that is due: a notice for one route, with what is known of its delivery.

    route names the sender (`slack`, `console`), target the place there (a channel's id).
    sequence orders the notifications of one group and route. created_at is wall-clock time.
    attempts counts those recorded so far. receipt is that of an earlier attempt whose message is
    out; parent_receipt is that of the notification that opened the same group's message on the
    same route, None when that one was never delivered.
    """

    notification_id: str
    group_id: str
    sequence: int
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
    """Stored outcome of one attempt. `rejected` is the end: the notification is dead-lettered.

    suppressed: not sent, by a silence or an ack; superseded: not sent, since a newer one says more.
    """

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    SUPERSEDED = "superseded"


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
