"""Verdicts as they were given: added in their order, and the newest of each series.

Guarantees: the policy behind a verdict is there before it. Must never: be written outside the
transaction of what follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.store import tables as t
from monitor.store.episodes import insert_episode, newest_episodes
from monitor.store.identities import identity, identity_columns, series_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from monitor.core.claims import Series
    from monitor.core.episodes import Decision, Episode
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
    """Add verdicts in their order: those that change no episode many at a time."""
    policies = {id(j.policy): j.policy for j in judgements}.values()
    fingerprints = {id(policy): policy.fingerprint for policy in policies}
    rows = {
        fingerprints[id(p)]: {"fingerprint": fingerprints[id(p)], "body": p.as_json()}
        for p in policies
    }
    if rows:
        connection.execute(upsert(t.policy).on_conflict_do_nothing(), list(rows.values()))
    waiting: list[Json] = []
    for judgement in judgements:
        row = _evaluation(judgement.verdict, fingerprints[id(judgement.policy)])
        if judgement.decision is None:
            waiting.append(row)
            continue
        if waiting:
            connection.execute(insert(t.evaluation), waiting)
            waiting = []
        evaluation_id = connection.execute(
            insert(t.evaluation).values(row).returning(t.evaluation.c.evaluation_id)
        ).scalar_one()
        at = judgement.verdict.evaluated_at
        insert_episode(connection, judgement.decision, at, evaluation_id)
    if waiting:
        connection.execute(insert(t.evaluation), waiting)


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


def _evaluation(verdict: Verdict, fingerprint: str) -> Json:
    return {
        **identity(verdict.series),
        "status": str(verdict.status),
        "reason": verdict.reason,
        "evaluated_at": verdict.evaluated_at,
        "window_start_at": verdict.window_start_at,
        "window_end_at": verdict.window_end_at,
        "evidence": verdict.as_json()["evidence"],
        "policy_fingerprint": fingerprint,
    }
