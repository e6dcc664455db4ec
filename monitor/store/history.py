"""The history: what was known, judged, decided and told; rows are only ever added.

Guarantees: verdicts, baselines, alert events and their notifications of one tick commit together,
with the mark of how far was judged; a tick that runs again after a crash finds the mark and adds
nothing twice. Must never: change or delete a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, TIMESTAMP, Text, bindparam, func, select, text

from monitor.store import tables as t
from monitor.store.alerting import insert_alerts, newest_groups
from monitor.store.announcements import (
    announced,
    insert_decision,
    insert_taken,
    waiting_models,
)
from monitor.store.baselines import imported_baselines, insert_baseline, newest_baselines
from monitor.store.engine import transaction
from monitor.store.episodes import newest_episodes
from monitor.store.interactions import (
    Answer,
    StoredSilence,
    answers,
    insert_acknowledgement,
    insert_expiry,
    insert_silence,
    silences,
)
from monitor.store.judgements import insert_judgements, newest_standings
from monitor.store.sifting import tell_after_silence
from monitor.store.thresholds import insert_namings, insert_thresholds, namings, thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.core.claims import Series
    from monitor.core.episode.episodes import Episode
    from monitor.core.episode.grouping import Group
    from monitor.core.episode.silences import Acknowledgement, Silence
    from monitor.core.judging.fleet import Threshold
    from monitor.core.judging.series_state import Baseline
    from monitor.store.alerting import Alert
    from monitor.store.announcements import Announced, Decision
    from monitor.store.judgements import Judgement, Standing
    from monitor.store.thresholds import Naming

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


class HistoryStore:
    """Postgres as the judge sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, brought: Brought) -> None:
        """Write what a slice of event time brought."""
        with transaction(self._engine) as connection:
            insert_taken(connection, brought.taken)
            for baseline, pinned_at in brought.baselines:
                insert_baseline(connection, baseline, pinned_at, "calmon")
            insert_judgements(connection, brought.judgements)
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
            insert_baseline(connection, baseline, pinned_at, author)

    def baselines(self, models: Sequence[str]) -> dict[Series, tuple[Baseline, datetime]]:
        """Newest baseline of each series of some models, and the event time it holds from."""
        with transaction(self._engine) as connection:
            return newest_baselines(connection, models)

    def imported(self) -> dict[Series, datetime]:
        """Series whose newest baseline was imported, and the event time it holds from."""
        with transaction(self._engine) as connection:
            return imported_baselines(connection)

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
        with transaction(self._engine) as connection:
            return newest_standings(connection, models)

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
