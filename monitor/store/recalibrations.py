"""Recalibrations: what was proposed, what people decided about it, and what came of it.

Guarantees: the same map on the same labels is one proposal, however often it is asked for; rows are
only ever added. Must never: change a proposal, or decide in a person's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.events import ChangeKind
from monitor.core.recalibration.recalibration_effects import (
    Applied,
    Effect,
    Judged,
    Proposed,
    applications,
    effect,
)
from monitor.store import tables as t
from monitor.store.engine import transaction
from monitor.store.identities import identity, series_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

    from monitor.core.claims import Series
    from monitor.core.recalibration.artifact import Recalibrator

JUDGED = ("OK", "DRIFTED")
"""Verdicts that say something of the scores."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The newest decision on a proposal; wall clock."""

    decision: str
    author: str
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A proposal with the file's text, the newest decision, and what came of it where applied."""

    proposal_id: int
    series: Series
    method: str
    sha256: str
    artifact: str
    window_start_at: datetime
    window_end_at: datetime
    evaluation_id: int
    proposed_at: datetime
    decided: Decided | None
    effect: Effect | None


class RecalibrationStore:
    """Postgres as `calmon recalibrate` sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def propose(
        self,
        series: Series,
        artifact: Recalibrator,
        content: str,
        window: tuple[datetime, datetime],
        evaluation_id: int,
    ) -> int:
        """Record a proposal once; returns its number. content: the file's text."""
        row = {
            **identity(series),
            "method": str(artifact.method),
            "sha256": artifact.sha256,
            "artifact": content,
            "window_start_at": window[0],
            "window_end_at": window[1],
            "evaluation_id": evaluation_id,
        }
        table = t.recalibration_proposal
        with transaction(self._engine) as connection:
            connection.execute(
                upsert(table).values(row).on_conflict_do_nothing(index_elements=["sha256"])
            )
            found = select(table.c.proposal_id).where(table.c.sha256 == artifact.sha256)
            return int(connection.execute(found).scalar_one())

    def decide(self, proposal_id: int, decision: str, author: str, reason: str) -> StoredProposal:
        """Record what a person decided; ValueError for no such proposal, or one so decided."""
        with transaction(self._engine) as connection:
            found = [p for p in _stored(connection, None) if p.proposal_id == proposal_id]
            if not found:
                msg = f"there is no proposal {proposal_id}; see `calmon recalibrate list`"
                raise ValueError(msg)
            decided = found[0].decided
            if decided is not None and decided.decision == decision:
                msg = f"proposal {proposal_id} is already {decision}, by {decided.author}"
                raise ValueError(msg)
            connection.execute(
                insert(t.recalibration_decision).values(
                    proposal_id=proposal_id, decision=decision, author=author, reason=reason
                )
            )
            return found[0]

    def proposals(self, model: str | None = None) -> list[StoredProposal]:
        """Proposals of a model, or all, oldest first, with what came of those that were applied."""
        with transaction(self._engine) as connection:
            return _stored(connection, model)


def _stored(connection: Connection, model: str | None) -> list[StoredProposal]:
    table = t.recalibration_proposal
    statement = select(table).order_by(table.c.proposal_id)
    if model is not None:
        statement = statement.where(table.c.model == model)
    rows = connection.execute(statement).all()
    decided = _decisions(connection)
    changes = _changes(connection, {row.model for row in rows})
    applied: dict[int, Applied] = {}
    for name, told in changes.items():
        mine = [_proposed(row, decided) for row in rows if row.model == name]
        applied |= applications(mine, told)
    return [
        StoredProposal(
            row.proposal_id,
            series_of(row),
            row.method,
            row.sha256,
            row.artifact,
            row.window_start_at,
            row.window_end_at,
            row.evaluation_id,
            row.recorded_at,
            decided.get(row.proposal_id),
            _effect(connection, series_of(row), applied.get(row.proposal_id), changes),
        )
        for row in rows
    ]


def _decisions(connection: Connection) -> dict[int, Decided]:
    table = t.recalibration_decision
    newest = (
        select(table)
        .ext(distinct_on(table.c.proposal_id))
        .order_by(table.c.proposal_id, table.c.decision_id.desc())
    )
    return {
        row.proposal_id: Decided(row.decision, row.author, row.reason, row.recorded_at)
        for row in connection.execute(newest)
    }


def _changes(connection: Connection, models: set[str]) -> dict[str, list[Applied]]:
    table = t.change_event
    statement = (
        select(table)
        .where(table.c.model.in_(models), table.c.kind == str(ChangeKind.RECALIBRATION))
        .order_by(table.c.happened_at, table.c.change_id)
    )
    found: dict[str, list[Applied]] = {}
    for row in connection.execute(statement):
        told = Applied(row.version, row.description, row.happened_at)
        found.setdefault(row.model, []).append(told)
    return found


def _proposed(row: Row[tuple[object, ...]], decided: Mapping[int, Decided]) -> Proposed:
    newest = decided.get(row.proposal_id)
    return Proposed(
        row.proposal_id,
        series_of(row),
        row.sha256,
        row.window_end_at,
        None if newest is None else newest.decision,
    )


def _effect(
    connection: Connection,
    series: Series,
    applied: Applied | None,
    changes: Mapping[str, Sequence[Applied]],
) -> Effect | None:
    if applied is None:
        return None
    table, at = t.evaluation, applied.happened_at
    others = [
        each.happened_at
        for each in changes[series.model]
        if each.happened_at > at and each.version in {None, series.version}
    ]
    newest = (
        select(table)
        .where(*(table.c[name] == value for name, value in identity(series).items()))
        .where(table.c.status.in_(JUDGED))
        .order_by(table.c.evaluated_at.desc())
        .limit(1)
    )
    before = connection.execute(newest.where(table.c.window_end_at <= at)).first()
    since = newest.where(table.c.window_start_at >= at)
    if others:
        since = since.where(table.c.window_end_at <= min(others))
    after = connection.execute(since).first()
    return effect(at, _judged(before), _judged(after))


def _judged(row: Row[tuple[object, ...]] | None) -> Judged | None:
    window = None if row is None else row.evidence.get("window")
    if row is None or not window or window.get("ece_debiased") is None:
        return None
    return Judged(
        row.status,
        row.evaluated_at,
        window["n"],
        window["ece_debiased"],
        window["ece_debiased_low"],
        window["ece_debiased_high"],
    )
