"""Verdicts as they were given: added in their order, and the newest of each series.

Guarantees: the policy behind a verdict is there before it. Must never: be written outside the
transaction of what follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from monitor.store import tables as t
from monitor.store.episodes import insert_episode, newest_episodes
from monitor.store.evaluations import insert_evaluations, insert_policies
from monitor.store.identities import identity_columns, series_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from monitor.core.claims import Series
    from monitor.core.episode.episodes import Decision, Episode
    from monitor.core.policies import Policy
    from monitor.core.verdicts import Verdict

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict under its policy, with what was decided, if that changed the episode."""

    verdict: Verdict
    policy: Policy
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Newest verdict on one series; `evidence` as stored; window: judged prediction time.

    evaluation_id: its row.
    """

    series: Series
    status: str
    reason: str
    evaluated_at: datetime
    evidence: Json
    episode: Episode | None
    window: tuple[datetime, datetime] | None = None
    evaluation_id: int | None = None


def insert_judgements(connection: Connection, judgements: Sequence[Judgement]) -> None:
    """Add verdicts in their order, and the episodes that they changed."""
    insert_policies(connection, {id(j.policy): j.policy for j in judgements}.values())
    numbers = insert_evaluations(connection, [(j.verdict, j.policy) for j in judgements])
    for judgement, evaluation_id in zip(judgements, numbers, strict=True):
        if judgement.decision is not None:
            at = judgement.verdict.evaluated_at
            insert_episode(connection, judgement.decision, at, evaluation_id)


def newest_standings(connection: Connection, models: Sequence[str] | None = None) -> list[Standing]:
    """Newest verdict on every series, or on those of some models, by identity."""
    table = t.evaluation
    statement = (
        select(table)
        .ext(distinct_on(*identity_columns(table)))
        .order_by(*identity_columns(table), table.c.evaluated_at.desc())
    )
    if models is not None:
        statement = statement.where(table.c.model.in_(models))
    rows = connection.execute(statement).all()
    episodes = newest_episodes(connection, sorted({row.model for row in rows}))
    return [
        Standing(
            series_of(row),
            row.status,
            row.reason,
            row.evaluated_at,
            row.evidence,
            episodes.get(series_of(row)),
            (row.window_start_at, row.window_end_at),
            row.evaluation_id,
        )
        for row in rows
    ]
