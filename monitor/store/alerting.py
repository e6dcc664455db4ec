"""Groups of episodes and their notifications, as they are written and read back.

Guarantees: what is read back goes on where it was written; every function works within its
caller's transaction. Must never: change or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from monitor.core.episode.episodes import AlertKind, Severity, fingerprint
from monitor.core.episode.grouping import Group
from monitor.core.episode.notices import Ack, AlertNotice, RecentChange, member_from_json
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.verdicts import as_plain, rfc3339
from monitor.store import tables as t
from monitor.store.identities import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from monitor.core.episode.episodes import Member
    from monitor.core.episode.grouping import Told
    from monitor.core.verdicts import Verdict

    Found = Row[tuple[object, ...]]

RECENT = timedelta(days=7)
"""How long before a drift a change around the model is worth telling with it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told of a group, and to whom: (route, target) pairs.

    Whoever was told of the group before is told the rest of it, whatever the pairs are by now.
    """

    told: Told
    routes: Sequence[tuple[str, str]]
    runbook_url: str | None = None
    public_url: str | None = None


def newest_groups(connection: Connection, models: Sequence[str] | None = None) -> dict[str, Group]:
    """Newest group of each model, or of some."""
    table = t.alert_event
    statement = (
        select(table)
        .ext(distinct_on(table.c.model))
        .order_by(table.c.model, table.c.alert_event_id.desc())
    )
    if models is not None:
        statement = statement.where(table.c.model.in_(models))
    return {row.model: group_of(row) for row in connection.execute(statement)}


def group_of(row: Found) -> Group:
    """The group after an alert event."""
    return Group(
        row.group_id,
        row.team,
        row.model,
        row.opened_at.astimezone(UTC),
        tuple(member_from_json(member) for member in row.members),
        row.rung_at.astimezone(UTC),
        row.sequence,
    )


def insert_alerts(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Record what is told, and a notification for everyone who is to hear it."""
    for alert in alerts:
        told, group = alert.told, alert.told.group
        verdict, evaluation_id = _newest_verdict(connection, group.leading, told.happened_at)
        alert_event_id = _insert_event(connection, alert, verdict, evaluation_id)
        notice = _notice(connection, alert, verdict, evaluation_id)
        before = _told(connection, group.group_id)
        if told.kind is not AlertKind.RESOLVED:
            before |= dict.fromkeys(alert.routes, AlertKind.FIRED) | before
        for (route, target), opening in before.items():
            kind = opening or told.kind
            notification_id = f"{group.group_id}:{group.n_told}:{route}:{target}"
            one = replace(notice, kind=kind)
            insert_notification(connection, one, alert_event_id, (notification_id, route, target))


def insert_notification(
    connection: Connection,
    notice: AlertNotice,
    alert_event_id: int,
    named: tuple[str, str, str],
    prompted_by: str = "alert",
) -> None:
    """Add a notification; named: its id, its route and its target."""
    notification_id, route, target = named
    connection.execute(
        insert(t.notification).values(
            notification_id=notification_id,
            alert_event_id=alert_event_id,
            route=route,
            target=target,
            group_id=notice.group_id,
            kind=str(notice.kind),
            prompted_by=prompted_by,
            payload=notice.as_json(),
        )
    )


def newest_ack(connection: Connection, group: Group) -> Ack | None:
    """Who has taken the group on, if that still holds: no new member, no higher severity."""
    table = t.acknowledgement
    row = connection.execute(
        select(table)
        .where(table.c.group_id == group.group_id)
        .order_by(table.c.acknowledgement_id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or not _holds(row, group):
        return None
    return Ack(row.author, row.reason, row.acknowledged_at.astimezone(UTC))


def _holds(row: Found, group: Group) -> bool:
    if group.severity is Severity.CRITICAL and row.severity != Severity.CRITICAL:
        return False
    return {fingerprint(member.series) for member in group.members} <= set(row.fingerprints)


def _told(connection: Connection, group_id: str) -> dict[tuple[str, str], AlertKind | None]:
    """Whom anything of a group was written to, with no kind of their own."""
    table = t.notification
    rows = connection.execute(
        select(table.c.route, table.c.target)
        .where(table.c.group_id == group_id)
        .group_by(table.c.route, table.c.target)
        .order_by(table.c.route, table.c.target)
    )
    return {(row.route, row.target): None for row in rows}


def _insert_event(
    connection: Connection, alert: Alert, verdict: Verdict, evaluation_id: int
) -> int:
    told, group = alert.told, alert.told.group
    evidence, leading = verdict.evidence, group.leading
    number = connection.execute(
        insert(t.alert_event)
        .values(
            group_id=group.group_id,
            sequence=group.n_told,
            team=group.team,
            severity=str(group.severity),
            members=[as_plain(member) for member in group.members],
            reason=told.reason,
            opened_at=group.opened_at,
            rung_at=group.rung_at,
            episode_id=leading.episode_id,
            fingerprint=fingerprint(leading.series),
            kind=str(told.kind),
            **identity(leading.series),
            fired_at=leading.fired_at,
            happened_at=told.happened_at,
            direction=evidence.direction,
            cause=evidence.cause,
            evaluation_id=evaluation_id,
        )
        .returning(t.alert_event.c.alert_event_id)
    ).scalar_one()
    return int(number)


def _notice(
    connection: Connection, alert: Alert, verdict: Verdict, evaluation_id: int
) -> AlertNotice:
    told, group = alert.told, alert.told.group
    leading = group.leading
    return AlertNotice(
        kind=told.kind,
        group_id=group.group_id,
        members=group.members,
        severity=group.severity,
        team=group.team,
        what=told.reason,
        episode_id=leading.episode_id,
        verdict=verdict,
        fired_at=leading.fired_at,
        resolved_at=leading.resolved_at,
        evidence_id=str(evaluation_id),
        runbook_url=alert.runbook_url,
        recent_change=_recent_change(connection, leading, verdict),
        ack=newest_ack(connection, group),
        url=f"{alert.public_url}/alerts/{group.group_id}" if alert.public_url else None,
    )


def _newest_verdict(connection: Connection, member: Member, at: datetime) -> tuple[Verdict, int]:
    """The series' newest verdict at event time `at`, and its number."""
    table, series = t.evaluation, member.series
    row = connection.execute(
        select(table)
        .where(
            *(table.c[name] == value for name, value in identity(series).items()),
            table.c.evaluated_at <= at,
        )
        .order_by(table.c.evaluated_at.desc())
        .limit(1)
    ).one()
    raw = {
        "series": identity(series),
        "status": row.status,
        "reason": row.reason,
        "evidence": row.evidence,
    }
    times = ("evaluated_at", "window_start_at", "window_end_at")
    raw |= {name: rfc3339(getattr(row, name)) for name in times}
    return verdict_from_json(raw), row.evaluation_id


def _recent_change(connection: Connection, member: Member, verdict: Verdict) -> RecentChange | None:
    """The newest change in the week before the drift began, or else before the alarm."""
    table = t.change_event
    began_at = verdict.evidence.drift_since_at
    for until in (began_at, member.fired_at):
        if until is None:
            continue
        row = connection.execute(
            select(table)
            .where(
                table.c.model == member.series.model,
                or_(table.c.version.is_(None), table.c.version == member.series.version),
                table.c.happened_at <= until,
                table.c.happened_at >= until - RECENT,
            )
            .order_by(table.c.happened_at.desc(), table.c.change_id.desc())
            .limit(1)
        ).one_or_none()
        if row is not None:
            at = row.happened_at.astimezone(UTC)
            return RecentChange(row.kind, row.version, row.description, at)
    return None
