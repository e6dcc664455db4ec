"""The tick: fold, seal, judge, decide, record.

Guarantees: event time is gone through in slices that end at midnights, all models together, so
that what models share depends on event time alone; all that a slice brings is written in one
transaction with the marks of how far was judged, and only then remembered, so that after a crash
the next tick goes on from the marks. What a restart keeps in memory is folded again from sealed
panes. A tick reads no more than a day of cohorts at a time, and ends after `cohorts_a_tick` of
them. Must never: send anything, or read a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from monitor.core.judging.fleet import boundaries, boundary
from monitor.store.alerting import Alert
from monitor.store.history import Brought
from monitor.store.judgements import Judgement
from monitor.watch.clock import Clock, fleet_now, model_now
from monitor.watch.fleet_ledger import Closed, FleetLedger
from monitor.watch.slice import Folding, Known, cohort_floor
from monitor.watch.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from monitor.core.claims import Series
    from monitor.core.episode.episodes import Severity
    from monitor.core.episode.grouping import Group
    from monitor.core.judging.fleet import Fleet
    from monitor.core.policies import Policy
    from monitor.store.history import HistoryStore
    from monitor.store.panes import PaneStore
    from monitor.watch.following import Followed, Judged
    from monitor.watch.slice import Slice

log = structlog.get_logger(__name__)

COHORTS_A_TICK = 5000


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What the watcher is told. streams: topics of predictions and labels.

    policy_for gives a model's policy, routes_for the (route, target) pairs of the alerts of a
    model, a team and a severity; stopped says whether the process is to end: the tick is then
    abandoned between two cohorts. fleet: the false-alarm budget that the series share, if there is
    one; the models then share a clock too. public_url: what alerts' links to evidence begin with.
    """

    clock: Clock
    streams: tuple[str, str]
    policy_for: Callable[[str], Policy | None]
    routes_for: Callable[[str, str | None, Severity], Sequence[tuple[str, str]]]
    stopped: Callable[[], bool] = bool
    fleet: Fleet | None = None
    cohorts_a_tick: int = COHORTS_A_TICK
    public_url: str | None = None


class Watcher:
    """The leader's memory between ticks; it can be lost at any time.

    is_behind: the last tick ended before all was judged, so that the next is due at once.
    """

    def __init__(self, panes: PaneStore, history: HistoryStore, settings: WatchSettings) -> None:
        self._panes = panes
        self._history = history
        self._settings = settings
        self._known: dict[str, Known] = {}
        self._named: dict[int, Series] = {}
        self._ledger = FleetLedger(None)
        self._groups: dict[str, Group] = {}
        self.is_behind = False

    def tick(self, now: datetime) -> list[Judged]:
        """Do what is due at wall-clock `now`; returns the verdicts given."""
        now_at = self._times(now)
        while self._panes.fold():
            pass
        self._panes.seal(now_at)
        due = self._due(now_at)
        self.is_behind = False
        given: list[Judged] = []
        cohorts = 0
        for until in self._slices(due):
            done, brought = self._judge(due, until)
            given += brought
            cohorts += done.n_cohorts
            if cohorts >= self._settings.cohorts_a_tick and until < max(due.values()):
                self.is_behind = True
                break
        return given

    def _times(self, now: datetime) -> dict[str, datetime]:
        settings, readings = self._settings, self._panes.readings()
        models = self._panes.models()
        if settings.fleet is not None and models:
            began_at = min(seen.seen_at for seen in models.values())
            at = fleet_now(settings.clock, readings, settings.streams, began_at, now)
            return {} if at is None else dict.fromkeys(models, at)
        times = {
            name: model_now(settings.clock, readings, settings.streams, seen, now)
            for name, seen in models.items()
        }
        return {model: at for model, at in times.items() if at is not None}

    def _due(self, now_at: dict[str, datetime]) -> dict[str, datetime]:
        """How far each model with sealed panes is to be judged; memory is brought up to date."""
        judged = self._history.judged_through()
        if any(known.judged_through_at != judged.get(m) for m, known in self._known.items()):
            # Another leader judged meanwhile: what is remembered here is out of date.
            self._known = {}
        if not self._known:
            self._open_ledger(judged)
            self._groups = self._history.groups()
        policies = {m: p for m in sorted(now_at) if (p := self._settings.policy_for(m)) is not None}
        new = {m: p for m, p in policies.items() if m not in self._known}
        oldest = self._panes.oldest(list(new)) if new else {}
        for model, from_at in oldest.items():
            fed_through_at = cohort_floor(from_at, new[model])
            self._known[model] = Known(new[model], fed_through_at, judged.get(model))
        self._named |= self._panes.all_series(after=max(self._named, default=-1))
        for index, series in self._named.items():
            if series.model in self._known:
                self._known[series.model].named[index] = series
        return {m: max(now_at[m], judged.get(m, now_at[m])) for m in policies if m in self._known}

    def _open_ledger(self, judged: dict[str, datetime]) -> None:
        self._ledger = FleetLedger(None)
        if (fleet := self._settings.fleet) is not None:
            newest = max(judged.values(), default=None)
            self._ledger = FleetLedger.resumed(fleet, *self._history.fleet(), newest)

    def _slices(self, due: dict[str, datetime]) -> list[datetime]:
        """Event times at which slices end: every midnight, and how far is to be judged."""
        if not due:
            return []
        until = max(due.values())
        after = min(self._known[model].next_at for model in due) - timedelta(seconds=1)
        if self._ledger.closed_through is not None:
            after = min(after, self._ledger.closed_through)
        return sorted({*boundaries(after, until), until})

    def _judge(self, due: dict[str, datetime], until: datetime) -> tuple[Slice, list[Judged]]:
        """Judge all that became whole by `until`, close its midnight, and record both."""
        ends = {model: min(until, at) for model, at in due.items()}
        ledger = self._ledger
        folding = Folding(self._panes, self._history, ledger.under, self._settings.stopped)
        done = folding.slice(self._known, ends)
        closed = Closed()
        try:
            if until == boundary(until):
                closed = ledger.close(until, self._everyone() | done.followed)
            given = done.given + closed.judged
            marks = {
                model: max(ends[model], self._mark(model) or ends[model]) for model in done.shares
            }
            groups, alerts = self._alerts(given, ends)
            # A reminder comes without a verdict; its time is marked too.
            for model in {alert.told.group.model for alert in alerts}:
                marks[model] = max(ends[model], self._mark(model) or ends[model])
            self._record(
                Brought(
                    marks,
                    done.pinned,
                    self._judgements(given),
                    done.taken,
                    closed.thresholds,
                    closed.namings,
                    alerts,
                )
            )
        except BaseException:
            # Memory and history may differ now: the next tick folds everything again.
            self._known = {}
            raise
        self._groups |= groups
        for alert in alerts:
            _say(alert)
        for model, at in marks.items():
            if model in done.fed_through_at:
                self._known[model].fed_through_at = done.fed_through_at[model]
            self._known[model].judged_through_at = at
            self._known[model].folded_through_at = ends[model]
        for series, followed in (done.followed | closed.followed).items():
            self._known[series.model].followed[series] = followed
        return done, given

    def _everyone(self) -> dict[Series, Followed]:
        return {s: f for known in self._known.values() for s, f in known.followed.items()}

    def _mark(self, model: str) -> datetime | None:
        return self._known[model].judged_through_at

    def _record(self, brought: Brought) -> None:
        if brought.is_anything:
            self._history.record(brought)

    def _judgements(self, given: Sequence[Judged]) -> list[Judgement]:
        return [
            Judgement(
                judged.verdict,
                self._known[judged.verdict.series.model].policy,
                judged.decision if judged.changed else None,
            )
            for judged in given
        ]

    def _alerts(
        self, given: Sequence[Judged], ends: dict[str, datetime]
    ) -> tuple[dict[str, Group], list[Alert]]:
        """Messages about each model's group, and the groups after them."""
        mine: dict[str, list[Judged]] = {}
        for judged in given:
            mine.setdefault(judged.verdict.series.model, []).append(judged)
        groups: dict[str, Group] = {}
        alerts: list[Alert] = []
        for model, end in ends.items():
            policy, group = self._known[model].policy, self._groups.get(model)
            if model not in mine and group is None:
                continue
            after, told = tell(group, mine.get(model, ()), end, policy.alerts, model)
            if after is not None:
                groups[model] = after
            for each in told:
                routes = self._settings.routes_for(model, each.group.team, each.group.severity)
                alerts.append(Alert(each, routes, policy.runbook_url, self._settings.public_url))
        return groups, sorted(alerts, key=lambda one: one.told.happened_at)


def _say(alert: Alert) -> None:
    told = alert.told
    log.info(
        "alert",
        kind=str(told.kind),
        model=told.group.model,
        group=told.group.group_id,
        team=told.group.team,
        severity=str(told.group.severity),
        series=len(told.group.members),
        at=told.happened_at.isoformat(),
        reason=told.reason,
    )
