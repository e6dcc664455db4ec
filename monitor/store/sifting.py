"""Sifting: what of the outbox is not to be sent, by a silence, an ack, or newer news.

Guarantees: whatever is not sent leaves an attempt that says why; what a silence held back is told
when it is over and something still fires; the end of what was told is always told, since the
message would be false without it. Must never: alter an episode, or send anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import exists, insert, or_, select

from monitor.core.episode.episodes import AlertKind, EpisodeState
from monitor.core.episode.notices import AttemptOutcome
from monitor.core.verdicts import rfc3339
from monitor.store import tables as t
from monitor.store.alerting import group_of, newest_ack, newest_groups
from monitor.store.interactions import (
    active_silences,
    expire_by_time,
    silenced_by,
    silences,
    tell_one_again,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from monitor.core.episode.grouping import Group
    from monitor.store.interactions import StoredSilence

    Found = Row[tuple[object, ...]]

A_MOMENT = timedelta(microseconds=1)
_OLD_NEWS = {
    AlertKind.CHANGED: {AlertKind.CHANGED, AlertKind.REMINDED, AlertKind.RESOLVED},
    AlertKind.REMINDED: {AlertKind.REMINDED, AlertKind.RESOLVED},
}
"""By which later kinds a kind is superseded while it waits."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """A notification that is not sent, and why."""

    notification_id: str
    route: str
    outcome: AttemptOutcome
    detail: str


def sift(connection: Connection, now: datetime, waiting: Sequence[Found]) -> list[Sifted]:
    """End what is not to be sent at wall-clock `now`.

    waiting: notifications that have not ended and of which nothing is out, in their order.
    """
    ended_at = expire_by_time(connection, now)
    active = active_silences(connection, now)
    done: list[Sifted] = []
    for _, rows in groupby(sorted(waiting, key=_place), key=_place):
        done += _sift_one(connection, list(rows), active, now)
    for one in done:
        connection.execute(
            insert(t.notification_attempt).values(
                notification_id=one.notification_id,
                attempted_at=now,
                outcome=str(one.outcome),
                detail=one.detail,
            )
        )
    for at in ended_at:
        tell_after_silence(connection, at, now)
    return done


def tell_after_silence(connection: Connection, ended_at: datetime, now: datetime) -> None:
    """Tell what still goes on of groups that are not silent any more since `ended_at`."""
    found = silences(connection)
    before = ended_at - A_MOMENT
    for group in newest_groups(connection).values():
        was = silenced_by(group, found, before)
        if not group.is_open or was is None or silenced_by(group, found, now) is not None:
            continue
        event = _newest_event(connection, group)
        what = f"the silence of {was.silence.author} is over, and it still goes on"
        for place in _quiet_places(connection, group):
            kind = _kind_again(connection, group, place)
            tell_one_again(connection, event, place, "silence_end", what, now, kind)


def _sift_one(
    connection: Connection, rows: list[Found], active: list[StoredSilence], now: datetime
) -> list[Sifted]:
    """What of one group's notifications on one route is not to be sent."""
    events = {row.alert_event_id: _event(connection, row.alert_event_id) for row in rows}
    opened = _was_opened(connection, rows[0])
    done: list[Sifted] = []
    left: list[Found] = []
    headless: list[Found] = []
    for row in rows:
        group = group_of(events[row.alert_event_id])
        why = _held_back(connection, row, group, active, now, opened=opened)
        if why is not None:
            done.append(Sifted(row.notification_id, row.route, AttemptOutcome.SUPPRESSED, why))
            continue
        opened = opened or row.kind == AlertKind.FIRED
        (left if opened else headless).append(row)
    done += _opened_late(connection, headless, events, now)
    for n, row in enumerate(left):
        newer = next((m for m in left[n + 1 :] if _supersedes(m, row)), None)
        if newer is not None:
            detail = f"superseded by {newer.notification_id}"
            done.append(Sifted(row.notification_id, row.route, AttemptOutcome.SUPERSEDED, detail))
    return done


def _opened_late(
    connection: Connection, headless: list[Found], events: dict[int, Found], now: datetime
) -> list[Sifted]:
    """Tell the newest of what has no beginning on its route as one, if it still goes on."""
    if not headless:
        return []
    newest = headless[-1]
    event, detail = events[newest.alert_event_id], "its beginning was not told here"
    if group_of(event).is_open:
        place = (newest.route, newest.target)
        tell_one_again(connection, event, place, "silence_end", event.reason, now, AlertKind.FIRED)
        detail = "told as a beginning instead: that was not told here"
    return [
        Sifted(row.notification_id, row.route, AttemptOutcome.SUPPRESSED, detail)
        for row in headless
    ]


def _held_back(  # noqa: PLR0913  # what it depends on
    connection: Connection,
    row: Found,
    group: Group,
    active: list[StoredSilence],
    now: datetime,
    *,
    opened: bool,
) -> str | None:
    """Why a silence or an ack keeps a notification back, or None."""
    # A beginning that was tried may be out, whatever the receiver said.
    may_be_out = row.kind == AlertKind.FIRED and _was_tried(connection, row)
    is_end = row.kind == AlertKind.RESOLVED and opened
    if not is_end and not may_be_out and row.prompted_by != "silence":
        one = silenced_by(group, active, now)
        if one is not None:
            said = one.silence
            return (
                f"silence {one.silence_id} by {said.author} until {rfc3339(said.ends_at)}: "
                f"{said.reason}"
            )
    if row.kind == AlertKind.REMINDED and (ack := newest_ack(connection, group)) is not None:
        return f"acknowledged by {ack.author} at {rfc3339(ack.at)}: {ack.reason}"
    return None


def _supersedes(newer: Found, older: Found) -> bool:
    return AlertKind(newer.kind) in _OLD_NEWS.get(AlertKind(older.kind), set())


def _was_tried(connection: Connection, row: Found) -> bool:
    table = t.notification_attempt
    found = select(table.c.attempt_id).where(table.c.notification_id == row.notification_id)
    return connection.execute(found.limit(1)).one_or_none() is not None


def _was_opened(connection: Connection, first: Found) -> bool:
    """Whether a beginning before this notification was told on its route, or given up there."""
    table, attempts = t.notification, t.notification_attempt
    suppressed = exists().where(
        attempts.c.notification_id == table.c.notification_id,
        attempts.c.outcome == AttemptOutcome.SUPPRESSED,
    )
    return (
        connection.execute(
            select(table.c.notification_id)
            .where(
                table.c.group_id == first.group_id,
                table.c.route == first.route,
                table.c.target == first.target,
                table.c.kind == AlertKind.FIRED,
                table.c.sequence < first.sequence,
                ~suppressed,
            )
            .limit(1)
        ).one_or_none()
        is not None
    )


def _quiet_places(connection: Connection, group: Group) -> list[tuple[str, str]]:
    """Routes and targets on which nothing of the group waits to be sent.

    A message that is out, and lacks no more than its picture or thread, tells nothing new.
    """
    table, attempts = t.notification, t.notification_attempt
    ended = exists().where(
        attempts.c.notification_id == table.c.notification_id,
        or_(attempts.c.outcome != AttemptOutcome.RETRY, attempts.c.receipt.is_not(None)),
    )
    rows = connection.execute(
        select(table.c.route, table.c.target, (~ended).label("waits")).where(
            table.c.group_id == group.group_id
        )
    ).all()
    waits = {(row.route, row.target) for row in rows if row.waits}
    return sorted({(row.route, row.target) for row in rows} - waits)


def _kind_again(connection: Connection, group: Group, place: tuple[str, str]) -> AlertKind:
    """How a group is told after a silence: as a beginning where none was told."""
    table = t.notification
    newest = connection.execute(
        select(table)
        .where(
            table.c.group_id == group.group_id,
            table.c.route == place[0],
            table.c.target == place[1],
        )
        .order_by(table.c.sequence.desc())
        .limit(1)
    ).one()
    suppressed = connection.execute(
        select(t.notification_attempt.c.attempt_id)
        .where(
            t.notification_attempt.c.notification_id == newest.notification_id,
            t.notification_attempt.c.outcome == AttemptOutcome.SUPPRESSED,
        )
        .limit(1)
    ).one_or_none()
    own = newest.kind == AlertKind.FIRED and suppressed is None
    if not own and not _was_opened(connection, newest):
        return AlertKind.FIRED
    fires = any(member.state is EpisodeState.FIRING for member in group.members)
    return AlertKind.REMINDED if fires else AlertKind.CHANGED


def _newest_event(connection: Connection, group: Group) -> Found:
    table = t.alert_event
    return connection.execute(
        select(table)
        .where(table.c.group_id == group.group_id)
        .order_by(table.c.alert_event_id.desc())
        .limit(1)
    ).one()


def _event(connection: Connection, alert_event_id: int) -> Found:
    table = t.alert_event
    return connection.execute(select(table).where(table.c.alert_event_id == alert_event_id)).one()


def _place(row: Found) -> tuple[str, str, str]:
    return (row.group_id, row.route, row.target)
