"""The history: what was known, judged, decided and told; rows are only ever added.

Guarantees: verdicts, baselines, alert events and their notifications of one tick commit together,
with the mark of how far was judged; a tick that runs again after a crash finds the mark and adds
nothing twice. Must never: change or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, TIMESTAMP, Text, bindparam, func, insert, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.bins import N_BINS, N_SUMS, SUMS, BinCounts
from monitor.core.episodes import AlertKind, Episode, EpisodeState, Member, Severity
from monitor.core.folding import IMPORTED, Baseline, Cohort
from monitor.core.notices import AlertNotice
from monitor.core.verdict_json import restart_from_json
from monitor.core.verdicts import Cause, Direction, as_plain
from monitor.store import tables as t
from monitor.store.announcements import (
    announced,
    insert_decision,
    insert_taken,
    waiting_models,
)
from monitor.store.engine import transaction
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

    from sqlalchemy import Column, Connection, Engine, Row, Table

    from monitor.core.claims import Series
    from monitor.core.fleet import Threshold
    from monitor.core.policies import Policy
    from monitor.core.verdicts import Verdict
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
class Alert:
    """What an episode tells, why, and to whom: (route, target) pairs."""

    kind: AlertKind
    episode: Episode
    reason: str
    routes: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict under its policy, with the alert that follows from it, if any."""

    verdict: Verdict
    policy: Policy
    alert: Alert | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What a slice of event time brought. marks: how far each model was judged.

    Baselines come with the event time they hold from; judgements are in time order.
    """

    marks: Mapping[str, datetime] = field(default_factory=dict)
    baselines: Sequence[tuple[Baseline, datetime]] = ()
    judgements: Sequence[Judgement] = ()
    taken: Sequence[Announced] = ()
    thresholds: Sequence[Threshold] = ()
    namings: Sequence[Naming] = ()

    @property
    def is_anything(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.marks or self.thresholds or self.namings)


@dataclass(frozen=True, slots=True)
class Standing:
    """Newest verdict on one series; `evidence` as stored."""

    series: Series
    status: str
    reason: str
    evaluated_at: datetime
    evidence: Json
    episode: Episode | None


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
            return _episodes(connection, [model])

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
            episodes = _episodes(connection, sorted({row.model for row in rows}))
        return [
            Standing(
                series_of(row),
                row.status,
                row.reason,
                row.evaluated_at,
                row.evidence,
                episodes.get(series_of(row)),
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
    """Add verdicts in their order: those without an alert many at a time."""
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
        if judgement.alert is None:
            waiting.append(row)
            continue
        if waiting:
            connection.execute(insert(t.evaluation), waiting)
            waiting = []
        evaluation_id = connection.execute(
            insert(t.evaluation).values(row).returning(t.evaluation.c.evaluation_id)
        ).scalar_one()
        _insert_alert(connection, judgement, judgement.alert, evaluation_id)
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


def _insert_alert(
    connection: Connection, judgement: Judgement, alert: Alert, evaluation_id: int
) -> None:
    episode, verdict = alert.episode, judgement.verdict
    alert_event_id = connection.execute(
        insert(t.alert_event)
        .values(
            episode_id=episode.episode_id,
            fingerprint=episode.fingerprint,
            kind=str(alert.kind),
            **identity(episode.series),
            fired_at=episode.fired_at,
            happened_at=verdict.evaluated_at,
            direction=episode.direction,
            cause=episode.cause,
            evaluation_id=evaluation_id,
        )
        .returning(t.alert_event.c.alert_event_id)
    ).scalar_one()
    member = Member(
        episode.series,
        episode.episode_id,
        episode.state,
        Severity.WARNING,
        episode.fired_at,
        episode.resolved_at,
        verdict.evidence.shift,
    )
    notice = AlertNotice(
        kind=alert.kind,
        group_id=episode.episode_id,
        members=(member,),
        severity=Severity.WARNING,
        team=None,
        what=alert.reason,
        episode_id=episode.episode_id,
        verdict=verdict,
        fired_at=episode.fired_at,
        resolved_at=episode.resolved_at,
        evidence_id=str(evaluation_id),
        runbook_url=judgement.policy.runbook_url,
    )
    for route, target in alert.routes:
        connection.execute(
            insert(t.notification).values(
                notification_id=f"{episode.episode_id}:{alert.kind}:{route}:{target}",
                alert_event_id=alert_event_id,
                route=route,
                target=target,
                episode_id=episode.episode_id,
                kind=str(alert.kind),
                payload=notice.as_json(),
            )
        )


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


def _episodes(connection: Connection, models: Sequence[str]) -> dict[Series, Episode]:
    table = t.alert_event
    rows = connection.execute(
        select(table).where(table.c.model.in_(models)).order_by(table.c.alert_event_id)
    )
    newest: dict[Series, Episode] = {}
    for row in rows:
        resolved = row.kind == AlertKind.RESOLVED
        newest[series_of(row)] = Episode(
            row.episode_id,
            row.fingerprint,
            series_of(row),
            EpisodeState.RESOLVED if resolved else EpisodeState.FIRING,
            row.fired_at.astimezone(UTC),
            row.happened_at.astimezone(UTC) if resolved else None,
            Direction(row.direction) if row.direction else None,
            Cause(row.cause) if row.cause else None,
        )
    return newest
