"""What people answer to alerts: acknowledgements and silences, append-only.

Guarantees: an answer and the message that says so are written in one transaction; a silence that
is ended, by a person or by its time, has a row that says by whom and when. Must never: change an
episode, or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from monitor.core.episode.episodes import AlertKind, EpisodeState, fingerprint
from monitor.core.episode.notices import notice_from_json
from monitor.core.episode.silences import Matcher, Silence
from monitor.core.verdicts import as_plain, rfc3339
from monitor.store import tables as t
from monitor.store.alerting import group_of, insert_notification, newest_ack, newest_groups

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from monitor.core.episode.episodes import Member
    from monitor.core.episode.grouping import Group
    from monitor.core.episode.notices import Ack, AlertNotice
    from monitor.core.episode.silences import Acknowledgement

    Found = Row[tuple[object, ...]]

BY_ITSELF = "calmon"


@dataclass(frozen=True, slots=True)
class StoredSilence:
    """A silence with its number and, where it is over, when and by whom it was ended."""

    silence_id: int
    silence: Silence
    expired_at: datetime | None = None
    expired_by: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it holds at wall-clock `now`."""
        return self.silence.starts_at <= now and self.will_hold(now)

    def will_hold(self, now: datetime) -> bool:
        """Whether it holds at wall-clock `now`, or later."""
        return now < min(self.silence.ends_at, self.expired_at or self.silence.ends_at)


@dataclass(frozen=True, slots=True)
class Answer:
    """What people answered to a group, as it holds now."""

    group: Group
    ack: Ack | None
    silence: StoredSilence | None


def insert_acknowledgement(connection: Connection, said: Acknowledgement) -> Group:
    """Record who takes a group on; raises ValueError where nothing open is meant."""
    group = _meant(connection, said.target)
    connection.execute(
        insert(t.acknowledgement).values(
            group_id=group.group_id,
            author=said.author,
            reason=said.reason,
            acknowledged_at=said.at,
            severity=str(group.severity),
            fingerprints=sorted(fingerprint(member.series) for member in group.members),
        )
    )
    what = f"acknowledged by {said.author}: {said.reason}"
    tell_again(connection, group, "acknowledgement", what, said.at)
    return group


def insert_silence(connection: Connection, said: Silence, now: datetime) -> tuple[int, list[Group]]:
    """Record a silence; returns its number and the open groups that are silent at `now` by it."""
    before = active_silences(connection, now)
    open_groups = _open_groups(connection)
    heard = [group for group in open_groups if silenced_by(group, before, now) is None]
    silence_id = connection.execute(
        insert(t.silence)
        .values(
            matchers=[as_plain(matcher) for matcher in said.matchers],
            author=said.author,
            reason=said.reason,
            starts_at=said.starts_at,
            ends_at=said.ends_at,
        )
        .returning(t.silence.c.silence_id)
    ).scalar_one()
    after = [*before, StoredSilence(silence_id, said)]
    quiet = [group for group in heard if silenced_by(group, after, now) is not None]
    for group in quiet:
        what = f"silenced until {rfc3339(said.ends_at)} by {said.author}: {said.reason}"
        tell_again(connection, group, "silence", what, now)
    return silence_id, quiet


def insert_expiry(
    connection: Connection, silence_id: int, author: str, reason: str, at: datetime
) -> StoredSilence:
    """Record that a silence ends; raises ValueError where there is none, or it is over."""
    found = [one for one in silences(connection) if one.silence_id == silence_id]
    if not found:
        msg = f"there is no silence {silence_id}; see `calmon silence list --all`"
        raise ValueError(msg)
    (one,) = found
    if one.expired_at is not None or one.silence.ends_at <= at:
        msg = f"silence {silence_id} is over since {rfc3339(one.expired_at or one.silence.ends_at)}"
        raise ValueError(msg)
    _insert_expiry(connection, silence_id, author, reason, at)
    return replace(one, expired_at=at, expired_by=author)


def expire_by_time(connection: Connection, now: datetime) -> list[datetime]:
    """Record the ends of silences whose time is over; returns when they were."""
    over = [o for o in silences(connection) if o.expired_at is None and o.silence.ends_at <= now]
    for one in over:
        at = one.silence.ends_at
        _insert_expiry(connection, one.silence_id, BY_ITSELF, "its time was over", at)
    return [one.silence.ends_at for one in over]


def silences(connection: Connection) -> list[StoredSilence]:
    """Every silence there ever was, oldest first."""
    rows = connection.execute(
        select(t.silence, t.silence_expiry.c.expired_at, t.silence_expiry.c.author.label("ended"))
        .outerjoin(t.silence_expiry)
        .order_by(t.silence.c.silence_id)
    )
    return [_silence(row) for row in rows]


def active_silences(connection: Connection, now: datetime) -> list[StoredSilence]:
    """Silences that hold at wall-clock `now`."""
    return [one for one in silences(connection) if one.is_active(now)]


def silenced_by(group: Group, found: list[StoredSilence], now: datetime) -> StoredSilence | None:
    """The silence that covers the group's worst member, where silences cover all that is open.

    Where all its members are resolved, all of them must be covered.
    """
    mine = [m for m in group.members if m.state is not EpisodeState.RESOLVED] or group.members
    covering = [
        next((s for s in found if s.is_active(now) and s.silence.covers(_labels(group, m))), None)
        for m in mine
    ]
    return None if None in covering or not covering else covering[0]


def tell_again(
    connection: Connection, group: Group, prompted_by: str, what: str, now: datetime
) -> None:
    """Write a notification of the group as it is now to everyone who was told of it."""
    event = connection.execute(
        select(t.alert_event)
        .where(t.alert_event.c.group_id == group.group_id)
        .order_by(t.alert_event.c.alert_event_id.desc())
        .limit(1)
    ).one()
    table = t.notification
    told = connection.execute(
        select(table.c.route, table.c.target)
        .where(table.c.group_id == group.group_id)
        .group_by(table.c.route, table.c.target)
        .order_by(table.c.route, table.c.target)
    ).all()
    for row in told:
        tell_one_again(connection, event, (row.route, row.target), prompted_by, what, now)


def tell_one_again(  # noqa: PLR0913, PLR0917  # the parts of one row
    connection: Connection,
    event: Found,
    to: tuple[str, str],
    prompted_by: str,
    what: str,
    now: datetime,
    kind: AlertKind = AlertKind.CHANGED,
) -> None:
    """Write a notification of an alert event, as it is now, to one receiver."""
    route, target = to
    notice = replace(_newest_notice(connection, event, to), kind=kind, what=what)
    notice = replace(notice, ack=newest_ack(connection, group_of(event)))
    at = now.astimezone(UTC).isoformat(timespec="milliseconds")
    name = f"{notice.group_id}:{event.sequence}:{prompted_by}:{at}:{route}:{target}"
    insert_notification(
        connection, notice, event.alert_event_id, (name, route, target), prompted_by
    )


def answers(connection: Connection, now: datetime) -> dict[str, Answer]:
    """What holds at `now` of acks and silences of each model's newest group."""
    active = active_silences(connection, now)
    return {
        model: Answer(group, newest_ack(connection, group), silenced_by(group, active, now))
        for model, group in newest_groups(connection).items()
    }


def _newest_notice(connection: Connection, event: Found, to: tuple[str, str]) -> AlertNotice:
    """What was to be told of this event to this receiver."""
    table = t.notification
    payload = connection.execute(
        select(table.c.payload)
        .where(
            table.c.alert_event_id == event.alert_event_id,
            table.c.route == to[0],
            table.c.target == to[1],
        )
        .order_by(table.c.sequence.desc())
        .limit(1)
    ).scalar_one()
    return notice_from_json(payload)


def _meant(connection: Connection, target: str) -> Group:
    """The open group of this id, or with an open member of this fingerprint."""
    for group in _open_groups(connection):
        members = {fingerprint(m.series) for m in group.members if _is_open(m)}
        if target == group.group_id or target in members:
            return group
    msg = f"no alert {target!r} is open; `calmon status` shows those that are"
    raise ValueError(msg)


def _open_groups(connection: Connection) -> list[Group]:
    return [group for group in newest_groups(connection).values() if group.is_open]


def _is_open(member: Member) -> bool:
    return member.state is not EpisodeState.RESOLVED


def _labels(group: Group, member: Member) -> dict[str, str]:
    series = member.series
    return {
        "model": series.model,
        "version": series.version,
        "claim": series.claim,
        "segment": series.segment,
        "team": group.team or "",
        "severity": str(member.severity),
    }


def _insert_expiry(
    connection: Connection, silence_id: int, author: str, reason: str, at: datetime
) -> None:
    connection.execute(
        insert(t.silence_expiry).values(
            silence_id=silence_id, author=author, reason=reason, expired_at=at
        )
    )


def _silence(row: Found) -> StoredSilence:
    return StoredSilence(
        row.silence_id,
        Silence(
            tuple(Matcher(m["label"], m["value"], m["is_regex"]) for m in row.matchers),
            row.author,
            row.reason,
            row.starts_at.astimezone(UTC),
            row.ends_at.astimezone(UTC),
        ),
        None if row.expired_at is None else row.expired_at.astimezone(UTC),
        row.ended,
    )
