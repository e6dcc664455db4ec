"""Alert episodes of single series, as they are written and read back.

Guarantees: what is read back goes on where it was written; every function works within its
caller's transaction. Must never: change or delete a row.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from monitor.core.episode.episodes import Episode, EpisodeState, Severity
from monitor.core.verdicts import Cause, Direction
from monitor.store import tables as t
from monitor.store.identities import identity, identity_columns, series_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from monitor.core.claims import Series
    from monitor.core.episode.episodes import Decision

    Found = Row[tuple[object, ...]]


def insert_episode(
    connection: Connection, decision: Decision, happened_at: datetime, evaluation_id: int
) -> None:
    """Record an episode as it is after a verdict that changed it."""
    episode = decision.episode
    if episode is None:  # pragma: no cover  # nothing changes into no episode
        raise AssertionError
    connection.execute(
        insert(t.episode_event).values(
            episode_id=episode.episode_id,
            fingerprint=episode.fingerprint,
            **identity(episode.series),
            state=str(episode.state),
            began_at=episode.began_at,
            since_at=episode.since_at,
            fired_at=episode.fired_at,
            resolved_at=episode.resolved_at,
            direction=episode.direction,
            cause=episode.cause,
            severity=str(episode.severity),
            shift=episode.shift,
            is_drift=episode.is_drift,
            flaps=episode.flaps,
            silent_since_at=episode.silent_since_at,
            happened_at=happened_at,
            reason=decision.reason,
            evaluation_id=evaluation_id,
        )
    )


def newest_episodes(connection: Connection, models: Sequence[str]) -> dict[Series, Episode]:
    """Newest episode of each series of some models."""
    table = t.episode_event
    key = identity_columns(table)
    rows = connection.execute(
        select(table)
        .ext(distinct_on(*key))
        .where(table.c.model.in_(models))
        .order_by(*key, table.c.episode_event_id.desc())
    )
    return {series_of(row): _episode(row) for row in rows}


def _episode(row: Found) -> Episode:
    def moment(name: str) -> datetime | None:
        found = getattr(row, name)
        return None if found is None else found.astimezone(UTC)

    return Episode(
        episode_id=row.episode_id,
        fingerprint=row.fingerprint,
        series=series_of(row),
        state=EpisodeState(row.state),
        began_at=row.began_at.astimezone(UTC),
        since_at=row.since_at.astimezone(UTC),
        fired_at=moment("fired_at"),
        resolved_at=moment("resolved_at"),
        direction=Direction(row.direction) if row.direction else None,
        cause=Cause(row.cause) if row.cause else None,
        severity=Severity(row.severity),
        shift=row.shift,
        is_drift=row.is_drift,
        flaps=row.flaps,
        silent_since_at=moment("silent_since_at"),
    )
