"""The history: what was known, judged, decided and told; rows are only ever added.

Guarantees: verdicts, baselines, alert events and their notifications of one tick commit together,
with the mark of how far was judged; a tick that runs again after a crash finds the mark and adds
nothing twice. Must never: change or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.bins import N_BINS, N_SUMS, SUMS, BinCounts
from monitor.core.claims import Series
from monitor.core.episodes import AlertKind, Episode, EpisodeState
from monitor.core.folding import Baseline, Cohort
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Row

    from monitor.core.policies import Policy
    from monitor.core.verdicts import Verdict
    from monitor.store.announcements import Announced, Decision

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Alert:
    """What an episode tells and to whom: (route, target) pairs."""

    kind: AlertKind
    episode: Episode
    routes: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict under its policy, with the alert that follows from it, if any."""

    verdict: Verdict
    policy: Policy
    alert: Alert | None = None


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

    def record(
        self,
        model: str,
        judged_through_at: datetime,
        baselines: Sequence[tuple[Baseline, datetime]] = (),
        judgements: Sequence[Judgement] = (),
        taken: Sequence[Announced] = (),
    ) -> None:
        """Write one model's share of a tick. Baselines come with the time they hold from."""
        with transaction(self._engine) as connection:
            insert_taken(connection, taken)
            for baseline, pinned_at in baselines:
                _insert_baseline(connection, baseline, pinned_at, "calmon")
            for judgement in judgements:
                _insert_judgement(connection, judgement)
            number = select(t.model.c.model_id).where(t.model.c.name == model).scalar_subquery()
            statement = upsert(t.watch_progress).values(
                model_id=number, judged_through_at=judged_through_at
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["model_id"],
                    set_={"judged_through_at": judged_through_at},
                )
            )

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

    def baselines(self, model: str) -> dict[Series, tuple[Baseline, datetime]]:
        """Newest baseline of each series of a model, and the event time it holds from."""
        table = t.baseline
        with transaction(self._engine) as connection:
            rows = connection.execute(
                select(table).where(table.c.model == model).order_by(table.c.baseline_id)
            ).all()
        return {_series(row): (_baseline(row), row.pinned_at) for row in rows}

    def episodes(self, model: str) -> dict[Series, Episode]:
        """Newest episode of each series of a model."""
        with transaction(self._engine) as connection:
            return _episodes(connection, model)

    def waiting(self) -> dict[str, datetime]:
        """Models with announcements that no tick has taken, and the oldest one's event time."""
        with transaction(self._engine) as connection:
            return waiting_models(connection)

    def announced(self, model: str) -> list[Announced]:
        """Every change and decision around a model, oldest first."""
        with transaction(self._engine) as connection:
            return announced(connection, model)

    def decide(self, decision: Decision) -> None:
        """Record what a person decided on baselines; the next tick takes it."""
        with transaction(self._engine) as connection:
            insert_decision(connection, decision)

    def standings(self, model: str | None = None) -> list[Standing]:
        """Newest verdict on every series, by identity."""
        table = t.evaluation
        identity = (table.c.model, table.c.version, table.c.claim, table.c.segment)
        statement = (
            select(table)
            .ext(distinct_on(*identity))
            .order_by(*identity, table.c.evaluated_at.desc())
        )
        if model is not None:
            statement = statement.where(table.c.model == model)
        with transaction(self._engine) as connection:
            rows = connection.execute(statement).all()
            models = {row.model for row in rows}
            episodes = {s: e for name in models for s, e in _episodes(connection, name).items()}
        return [
            Standing(
                _series(row),
                row.status,
                row.reason,
                row.evaluated_at,
                row.evidence,
                episodes.get(_series(row)),
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


def _insert_judgement(connection: Connection, judgement: Judgement) -> None:
    verdict, policy = judgement.verdict, judgement.policy
    connection.execute(
        upsert(t.policy)
        .values(fingerprint=policy.fingerprint, body=policy.as_json())
        .on_conflict_do_nothing()
    )
    evaluation_id = connection.execute(
        insert(t.evaluation)
        .values(
            **_identity(verdict.series),
            status=str(verdict.status),
            reason=verdict.reason,
            evaluated_at=verdict.evaluated_at,
            window_start_at=verdict.window_start_at,
            window_end_at=verdict.window_end_at,
            evidence=verdict.as_json()["evidence"],
            policy_fingerprint=policy.fingerprint,
        )
        .returning(t.evaluation.c.evaluation_id)
    ).scalar_one()
    if judgement.alert is not None:
        _insert_alert(connection, judgement, judgement.alert, evaluation_id)


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
            **_identity(episode.series),
            fired_at=episode.fired_at,
            happened_at=verdict.evaluated_at,
            direction=episode.direction,
            cause=episode.cause,
            evaluation_id=evaluation_id,
        )
        .returning(t.alert_event.c.alert_event_id)
    ).scalar_one()
    notice = AlertNotice(
        alert.kind,
        episode.episode_id,
        verdict,
        episode.fired_at,
        episode.resolved_at,
        str(evaluation_id),
        judgement.policy.runbook_url,
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
            **_identity(baseline.series),
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
    return Baseline(_series(row), row.source, cohorts, restart)


def _identity(series: Series) -> dict[str, str]:
    return {
        "model": series.model,
        "version": series.version,
        "claim": series.claim,
        "segment": series.segment,
    }


def _series(row: Row[tuple[object, ...]]) -> Series:
    return Series(row.model, row.version, row.claim, row.segment)


def _episodes(connection: Connection, model: str) -> dict[Series, Episode]:
    table = t.alert_event
    rows = connection.execute(
        select(table).where(table.c.model == model).order_by(table.c.alert_event_id)
    )
    newest: dict[Series, Episode] = {}
    for row in rows:
        resolved = row.kind == AlertKind.RESOLVED
        newest[_series(row)] = Episode(
            row.episode_id,
            row.fingerprint,
            _series(row),
            EpisodeState.RESOLVED if resolved else EpisodeState.FIRING,
            row.fired_at.astimezone(UTC),
            row.happened_at.astimezone(UTC) if resolved else None,
            Direction(row.direction) if row.direction else None,
            Cause(row.cause) if row.cause else None,
        )
    return newest
