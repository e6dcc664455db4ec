"""A world whose days are verdicts: judged, decided, recorded and delivered, without any data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from monitor.core.claims import Series
from monitor.core.episode.deciding import decide
from monitor.core.episode.notices import Attempt, AttemptOutcome
from monitor.core.episode.silences import Matcher, Silence
from monitor.core.policies import AlertPolicy, Policy
from monitor.core.verdicts import Status
from monitor.store.alerting import Alert
from monitor.store.history import Brought, HistoryStore
from monitor.store.judgements import Judgement
from monitor.store.outbox import OutboxStore
from monitor.watch.following import Judged
from monitor.watch.telling import tell
from tests.notify import verdict_samples as samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from monitor.core.episode.episodes import Episode
    from monitor.core.episode.grouping import Group

START = datetime(2026, 3, 1, tzinfo=UTC)
OK, DRIFTED, GONE = Status.OK, Status.DRIFTED, Status.NO_DATA
LETTERS = {"o": OK, "D": DRIFTED, "?": Status.INSUFFICIENT, "-": GONE}
ALERTS = AlertPolicy(
    keep_firing_for=timedelta(days=1),
    no_data_after=timedelta(days=2),
    remind_every=timedelta(days=3),
    flapping=timedelta(days=4),
)
PLAIN = AlertPolicy(flapping=timedelta(0))
ALL, DE, FR = (Series("m", "1", segment=s) for s in ("", "country=DE", "country=FR"))


@dataclass
class World:
    """A day is a verdict on each series, and a pass of delivery that succeeds."""

    engine: Engine
    alerts: AlertPolicy = ALERTS
    routes: tuple[tuple[str, str], ...] = (("console", "stdout"),)
    is_up: bool = True
    outbox_sifts: bool = True
    episodes: dict[Series, Episode] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    @property
    def history(self) -> HistoryStore:
        return HistoryStore(self.engine)

    @property
    def outbox(self) -> OutboxStore:
        return OutboxStore(self.engine)

    def day(self, n: float, statuses: Mapping[Series, Status], shift: float = 0.05) -> None:
        """Judge, decide, record and deliver at day n, on both clocks."""
        at = START + timedelta(days=n)
        given = [self._judged(series, status, at, shift) for series, status in statuses.items()]
        told = []
        for model in sorted({series.model for series in statuses}):
            mine = [one for one in given if one.verdict.series.model == model]
            group, news = tell(self.groups.get(model), mine, at, self.alerts, model)
            told += news
            if group is not None:
                self.groups[model] = group
        policy = Policy(alerts=self.alerts)
        judgements = [
            Judgement(one.verdict, policy, one.decision if one.changed else None) for one in given
        ]
        alerts = [Alert(one, self.routes) for one in told]
        self.history.record(Brought(judgements=judgements, alerts=alerts))
        self.deliver(n)

    def deliver(self, n: float) -> None:
        """Sift, and deliver all that is due."""
        at = START + timedelta(days=n)
        if self.outbox_sifts:
            self.outbox.sift(at)
        while self.is_up and (due := self.outbox.pending(at)):
            for one in due:
                done = Attempt(AttemptOutcome.DELIVERED, "delivered", {"ts": one.sequence}, None)
                self.outbox.record_attempt(one.notification_id, at, done)

    def _judged(self, series: Series, status: Status, at: datetime, shift: float) -> Judged:
        found = replace(samples.OK, series=series, status=status, evaluated_at=at)
        verdict = samples.with_evidence(found, shift=shift)
        before = self.episodes.get(series)
        decision = decide(verdict, before, at, self.alerts)
        if decision.episode is not None:
            self.episodes[series] = decision.episode
        return Judged(verdict, decision, changed=decision.episode != before)

    def told(self, model: str) -> list[tuple[str, str]]:
        """Kind and outcome of every notification about a model, in order."""
        return [(kind, outcome) for kind, outcome, _ in self.details(model)]

    def details(self, model: str) -> list[tuple[str, str, str]]:
        rows = self.rows(
            "SELECT n.kind, n.outcome, n.detail FROM audit.notifications n JOIN audit.alerts a "
            f"ON n.group_id = a.group_id AND a.sequence = 1 WHERE a.model = '{model}' "
            "ORDER BY n.sequence, n.attempted_at"
        )
        return [(kind, outcome or "waits", detail or "") for kind, outcome, detail in rows]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]


def silence(*matchers: str, days: float, since: float = 0) -> Silence:
    starts_at = START + timedelta(days=since)
    texts = tuple(Matcher.parse(one) for one in matchers)
    return Silence(texts, "ann", "we know", starts_at, starts_at + timedelta(days=days))
