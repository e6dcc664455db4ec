"""The history: what was known, judged, decided and told; rows are only ever added.

Guarantees: verdicts, baselines, alert events and their notifications of one tick commit together,
with the mark of how far was judged; a tick that runs again after a crash finds the mark and adds
nothing twice. Must never: change or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, TIMESTAMP, Text, bindparam, func, insert, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.bins import N_BINS, N_SUMS, SUMS, BinCounts
from monitor.core.series_state import IMPORTED, Baseline, Cohort
from monitor.core.verdict_json import restart_from_json
from monitor.core.verdicts import as_plain
from monitor.store import tables as t
from monitor.store.alerting import (
    insert_alerts,
    insert_episode,
    newest_episodes,
    newest_groups,
)
from monitor.store.announcements import (
    announced,
    insert_decision,
    insert_taken,
    waiting_models,
)
from monitor.store.engine import transaction
from monitor.store.interactions import (
    Answer,
    StoredSilence,
    answers,
    insert_acknowledgement,
    insert_expiry,
    insert_silence,
    silences,
)
from monitor.store.sifting import tell_after_silence
from monitor.store.thresholds import (
    identity,
    insert_namings,
    insert_thresholds,
    namings,
    series_of,
    thresholds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, Connection, Engine, Row, Table

    from monitor.core.claims import Series
    from monitor.core.episodes import Decision as Decided
    from monitor.core.episodes import Episode
    from monitor.core.fleet import Threshold
    from monitor.core.grouping import Group
    from monitor.core.policies import Policy
    from monitor.core.silences import Acknowledgement, Silence
    from monitor.core.verdicts import Verdict
    from monitor.store.alerting import Alert
    from monitor.store.announcements import Announced, Decision
    from monitor.store.thresholds import Naming

Json = dict[str, object]

_MARK = text(
    """
    INSERT INTO calmon.watch_progress (model_id, judged_through_at)
    SELECT m.model_id, n.at FROM unnest(:model, :at) AS n(name, at) JOIN calmon.model m USING (name)
    ON CONFLICT (model_id) DO UPDATE SET judged_through_at = excluded.judged_through_at
    """
).bindparams(
    bindparam("model", type_=ARRAY(Text)), bindparam("at", type_=ARRAY(TIMESTAMP(timezone=True)))
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict under its policy, with what was decided, if that changed the episode."""

    verdict: Verdict
    policy: Policy
    decision: Decided | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What a slice of event time brought. marks: how far each model was judged.

    Baselines come with the event time they hold from; judgements and alerts are in time order.
    """

    marks: Mapping[str, datetime] = field(default_factory=dict)
    baselines: Sequence[tuple[Baseline, datetime]] = ()
    judgements: Sequence[Judgement] = ()
    taken: Sequence[Announced] = ()
    thresholds: Sequence[Threshold] = ()
    namings: Sequence[Naming] = ()
    alerts: Sequence[Alert] = ()

    @property
    def is_anything(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.marks or self.thresholds or self.namings)


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


class HistoryStore:
    """Postgres as the judge sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, brought: Brought) -> None:
        """Write what a slice of event time brought."""
        with transaction(self._engine) as connection:
            insert_taken(connection, brought.taken)
            for baseline, pinned_at in brought.baselines:
                _insert_baseline(connection, baseline, pinned_at, "calmon")
            _insert_judgements(connection, brought.judgements)
            insert_thresholds(connection, brought.thresholds)
            insert_namings(connection, brought.namings)
            insert_alerts(connection, brought.alerts)
            if brought.marks:
                connection.execute(
                    _MARK, {"model": list(brought.marks), "at": list(brought.marks.values())}
                )

    def fleet(self) -> tuple[list[Threshold], list[Naming]]:
        """Every threshold that a budget gave, and everything that its rule named, oldest first."""
        with transaction(self._engine) as connection:
            return thresholds(connection), namings(connection)

    def judged_through(self) -> dict[str, datetime]:
        """Event time up to which each model's series were judged."""
        with transaction(self._engine) as connection:
            found = connection.execute(
                select(t.model.c.name, t.watch_progress.c.judged_through_at).join(t.watch_progress)
            )
            return {row.name: row[1] for row in found}

    def pin(self, baseline: Baseline, pinned_at: datetime, author: str) -> None:
        """Pin a baseline by hand, as from a validation file."""
        with transaction(self._engine) as connection:
            _insert_baseline(connection, baseline, pinned_at, author)

    def baselines(self, models: Sequence[str]) -> dict[Series, tuple[Baseline, datetime]]:
        """Newest baseline of each series of some models, and the event time it holds from."""
        table = t.baseline
        with transaction(self._engine) as connection:
            rows = connection.execute(
                select(table)
                .ext(distinct_on(*_columns(table)))
                .where(table.c.model.in_(models))
                .order_by(*_columns(table), table.c.baseline_id.desc())
            ).all()
        return {series_of(row): (_baseline(row), row.pinned_at) for row in rows}

    def imported(self) -> dict[Series, datetime]:
        """Series whose newest baseline was imported, and the event time it holds from."""
        table = t.baseline
        newest = (
            select(*_columns(table), table.c.source, table.c.pinned_at)
            .ext(distinct_on(*_columns(table)))
            .order_by(*_columns(table), table.c.baseline_id.desc())
            .subquery()
        )
        with transaction(self._engine) as connection:
            rows = connection.execute(select(newest).where(newest.c.source == IMPORTED))
            return {series_of(row): row.pinned_at for row in rows}

    def episodes(self, model: str) -> dict[Series, Episode]:
        """Newest episode of each series of a model."""
        with transaction(self._engine) as connection:
            return newest_episodes(connection, [model])

    def groups(self) -> dict[str, Group]:
        """Newest group of alert episodes of each model."""
        with transaction(self._engine) as connection:
            return newest_groups(connection)

    def waiting(self) -> dict[str, datetime]:
        """Models with announcements that no tick has taken, and the oldest one's event time."""
        with transaction(self._engine) as connection:
            return waiting_models(connection)

    def announced(self, models: Sequence[str]) -> dict[str, list[Announced]]:
        """Every change and decision around some models, oldest first."""
        with transaction(self._engine) as connection:
            return announced(connection, models)

    def decide(self, decision: Decision) -> None:
        """Record what a person decided on baselines; the next tick takes it."""
        with transaction(self._engine) as connection:
            insert_decision(connection, decision)

    def acknowledge(self, said: Acknowledgement) -> Group:
        """Record that someone takes a group on, and tell those who were told of it.

        Raises ValueError where no open group is meant.
        """
        with transaction(self._engine) as connection:
            return insert_acknowledgement(connection, said)

    def silence(self, said: Silence, now: datetime) -> tuple[int, list[Group]]:
        """Record a silence; returns its number, and the open groups that are silent by it now."""
        with transaction(self._engine) as connection:
            return insert_silence(connection, said, now)

    def expire_silence(
        self, silence_id: int, author: str, reason: str, now: datetime
    ) -> StoredSilence:
        """End a silence at wall-clock `now`, and tell what still goes on.

        Raises ValueError where there is no such silence, or it is over.
        """
        with transaction(self._engine) as connection:
            found = insert_expiry(connection, silence_id, author, reason, now)
            tell_after_silence(connection, now, now)
            return found

    def silences(self, now: datetime | None = None) -> list[StoredSilence]:
        """Silences, oldest first: all, or those that hold at wall-clock `now` or will yet."""
        with transaction(self._engine) as connection:
            found = silences(connection)
        return [one for one in found if now is None or one.will_hold(now)]

    def answers(self, now: datetime) -> dict[str, Answer]:
        """What people answered to each model's newest group, as it holds at `now`, by model."""
        with transaction(self._engine) as connection:
            return answers(connection, now)

    def standings(self, models: Sequence[str] | None = None) -> list[Standing]:
        """Newest verdict on every series, or on those of some models, by identity."""
        table = t.evaluation
        statement = (
            select(table)
            .ext(distinct_on(*_columns(table)))
            .order_by(*_columns(table), table.c.evaluated_at.desc())
        )
        if models is not None:
            statement = statement.where(table.c.model.in_(models))
        with transaction(self._engine) as connection:
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

    def tallies(self) -> list[tuple[str, str, int]]:
        """Tallied events as (model, kind, number)."""
        with transaction(self._engine) as connection:
            found = connection.execute(
                select(t.model.c.name, t.tally.c.kind, func.sum(t.tally.c.n))
                .join(t.model)
                .group_by(t.model.c.name, t.tally.c.kind)
                .order_by(t.model.c.name, t.tally.c.kind)
            )
            return [(name, kind, int(n)) for name, kind, n in found]

    def dead_letters(self) -> int:
        """Number of messages that could not be used, and wait for someone to look at them."""
        waiting = select(func.count()).where(t.dead_letter.c.resolved_at.is_(None))
        with transaction(self._engine) as connection:
            return int(connection.execute(waiting).scalar_one())


def _insert_judgements(connection: Connection, judgements: Sequence[Judgement]) -> None:
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


def _insert_baseline(
    connection: Connection, baseline: Baseline, pinned_at: datetime, author: str
) -> None:
    connection.execute(
        insert(t.baseline).values(
            **identity(baseline.series),
            source=baseline.source,
            start_at=baseline.start_at,
            end_at=baseline.end_at,
            n_labelled=baseline.counts.n_labelled,
            cohorts=[_cohort_json(cohort) for cohort in baseline.cohorts],
            pinned_at=pinned_at,
            author=author,
            restart=None if baseline.restart is None else as_plain(baseline.restart),
        )
    )


def _cohort_json(cohort: Cohort) -> Json:
    bins = np.flatnonzero(cohort.counts.sums.any(axis=1))
    found: Json = {"start_s": cohort.start_s, "end_s": cohort.end_s, "bins": bins.tolist()}
    for i, name in enumerate(SUMS):
        found[name] = cohort.counts.sums[bins, i].tolist()
    return found


def _cohort(stored: Json) -> Cohort:
    sums = np.zeros((N_BINS, N_SUMS), dtype=np.int64)
    sums[np.array(stored["bins"], dtype=np.int64)] = np.array(
        [stored[name] for name in SUMS], dtype=np.int64
    ).T
    return Cohort(int(str(stored["start_s"])), int(str(stored["end_s"])), BinCounts(sums))


def _baseline(row: Row[tuple[object, ...]]) -> Baseline:
    cohorts = tuple(_cohort(c) for c in row.cohorts)
    restart = restart_from_json(row.restart) if row.restart else None
    return Baseline(series_of(row), row.source, cohorts, restart)


def _columns(table: Table) -> tuple[Column[str], ...]:
    """Columns that name a series."""
    return (table.c.model, table.c.version, table.c.claim, table.c.segment)
