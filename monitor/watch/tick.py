"""The tick: fold, seal, judge, decide, record.

Guarantees: one model's verdicts, decisions and notifications are written in one transaction with
the mark of how far it was judged; after a crash the next tick goes on from the mark. What a
restart keeps in memory is folded again from sealed panes. Must never: send anything, or read a
clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import structlog

from monitor.core.delay_cells import DelayCells, delay_pane_s
from monitor.core.folding import IMPORTED
from monitor.core.panes import Cells
from monitor.core.restarts import ACCEPTED, RESET
from monitor.core.verdicts import Status
from monitor.store.history import Alert, Judgement
from monitor.watch.clock import Clock, model_now
from monitor.watch.cohorts import CohortDelays, cohort_start_s, cohorts_of
from monitor.watch.following import (
    Followed,
    Judged,
    check_silence,
    start,
)
from monitor.watch.model_share import ModelShare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.core.claims import Series
    from monitor.core.folding import Cohort
    from monitor.core.policies import Policy
    from monitor.store.announcements import Announced
    from monitor.store.history import HistoryStore, Standing
    from monitor.store.panes import PaneStore

log = structlog.get_logger(__name__)

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What the watcher is told. streams: topics of predictions and labels.

    policy_for gives a model's policy, routes_for the (route, target) pairs of its alerts; stopped
    says whether the process is to end: the tick is then abandoned between two cohorts.
    """

    clock: Clock
    streams: tuple[str, str]
    policy_for: Callable[[str], Policy | None]
    routes_for: Callable[[str], Sequence[tuple[str, str]]]
    stopped: Callable[[], bool] = bool


@dataclass(slots=True)
class _Model:
    """What the watcher remembers of one model between ticks."""

    fed_through_at: datetime = _BEGINNING
    judged_through_at: datetime = _BEGINNING
    followed: dict[Series, Followed] = field(default_factory=dict)


class Watcher:
    """The leader's memory between ticks; it can be lost at any time."""

    def __init__(self, panes: PaneStore, history: HistoryStore, settings: WatchSettings) -> None:
        self._panes = panes
        self._history = history
        self._settings = settings
        self._models: dict[str, _Model] = {}

    def tick(self, now: datetime) -> list[Judged]:
        """Do what is due at wall-clock `now`; returns the verdicts given."""
        now_at = self._times(now)
        while self._panes.fold():
            pass
        self._panes.seal(now_at)
        judged_through = self._history.judged_through()
        waiting = self._history.waiting()
        given: list[Judged] = []
        for model, at in sorted(now_at.items()):
            policy = self._settings.policy_for(model)
            if policy is None:
                continue
            through = judged_through.get(model, _BEGINNING)
            if model in self._models and self._models[model].judged_through_at != through:
                # Another leader judged meanwhile: what is remembered here is out of date.
                del self._models[model]
            try:
                until = max(at, through)
                told = model in waiting and waiting[model] <= until
                given += self._judge(model, policy, until, through, told=told)
            except BaseException:
                # Memory and history may differ now: the next tick folds this model again.
                self._models.pop(model, None)
                raise
        return given

    def _times(self, now: datetime) -> dict[str, datetime]:
        settings, readings = self._settings, self._panes.readings()
        times = {
            name: model_now(settings.clock, readings, settings.streams, seen, now)
            for name, seen in self._panes.models().items()
        }
        return {model: at for model, at in times.items() if at is not None}

    def _judge(
        self,
        model: str,
        policy: Policy,
        now: datetime,
        judged_through: datetime,
        *,
        told: bool,
    ) -> list[Judged]:
        """Judge all that became whole since the last tick, in time order, and record it.

        told: whether something was announced that no tick has taken.
        """
        known = self._models.setdefault(model, _Model(judged_through_at=judged_through))
        through = _cohort_floor(now - policy.label_horizon, policy)
        if through <= known.fed_through_at and not told:
            return self._silent(model, policy, known, now)
        news = self._announced(model, policy, now, judged_through)
        share = ModelShare(policy, judged_through, news, self._settings.stopped)
        baselines = self._history.baselines(model)
        standings = {standing.series: standing for standing in self._history.standings(model)}
        cohorts = self._cohorts(model, policy, known.fed_through_at, through)
        for series in sorted({*cohorts, *(known.followed if share.new else ())}):
            stored, holds_from = baselines.get(series, (None, _BEGINNING))
            followed = known.followed.get(series)
            said = share.new
            if followed is None:
                followed = _resumed(start(series, policy, stored), standings.get(series))
                said = [each for each in share.all if not stored or each.taken_at > holds_from]
            mine = [
                cohort
                for cohort in cohorts.get(series, [])
                if stored is None or stored.source != IMPORTED or _begins(cohort) >= holds_from
            ]
            known.followed[series] = share.over(followed, mine, said)
        share.given.sort(key=lambda judged: judged.verdict.evaluated_at)
        self._record(model, policy, now, share)
        known.fed_through_at = max(through, known.fed_through_at)
        known.judged_through_at = now
        return share.given

    def _announced(
        self, model: str, policy: Policy, now: datetime, judged_through: datetime
    ) -> list[Announced]:
        """What was announced up to now; what is new is taken when it happened, or just after.

        Just after the newest cohort that was judged without it, if it happened before that.
        """
        newest = _cohort_floor(judged_through - policy.label_horizon, policy)
        after_it = newest + policy.label_horizon + timedelta(milliseconds=1)
        found = []
        for each in self._history.announced(model):
            told = each.told
            if not each.is_taken and told.happened_at > now:
                continue
            if not each.is_taken:
                late = told.happened_at < after_it
                told = replace(
                    told,
                    taken_at=after_it if late else told.happened_at,
                    restarts=told.kind in {ACCEPTED, RESET, *policy.restart_on},
                )
            found.append(replace(each, told=told))
        return found

    def _cohorts(
        self, model: str, policy: Policy, after: datetime, through: datetime
    ) -> dict[Series, list[Cohort]]:
        """Whole cohorts of prediction time in [after, through), but what was sealed too late."""
        named = self._panes.series(model)
        sealed = self._panes.sealed(list(named), after, through)
        cohort_s = int(policy.cohort.total_seconds())
        horizon_s = int(policy.label_horizon.total_seconds())
        in_time = [
            sealed.sealed_s[series, pane] <= pane // cohort_s * cohort_s + cohort_s + horizon_s
            for series, pane in zip(
                sealed.cells.series.tolist(), sealed.cells.pane_start.tolist(), strict=True
            )
        ]
        cells = Cells(sealed.cells.key[in_time], sealed.cells.sums[in_time])
        delays = CohortDelays(
            self._delays(list(named), policy, after, through, complete=False),
            self._delays(list(named), policy, after, through, complete=True),
        )
        return cohorts_of(cells, named, policy, delays)

    def _delays(
        self,
        series: Sequence[int],
        policy: Policy,
        after: datetime,
        through: datetime,
        *,
        complete: bool,
    ) -> DelayCells:
        """Delays that go with the cohorts in [after, through), but what was sealed too late."""
        aged = policy.correction_horizon - policy.label_horizon if complete else timedelta()
        pane = timedelta(seconds=delay_pane_s(int(policy.pane.total_seconds())))
        from_at = max(_BEGINNING, after - aged - pane) if after > _BEGINNING else _BEGINNING
        until_at = max(_BEGINNING, through - aged)
        sealed = self._panes.delays.sealed(series, from_at, until_at, complete=complete)
        sealed_s = np.array(
            [
                sealed.sealed_s[key]
                for key in zip(
                    sealed.cells.series.tolist(), sealed.cells.pane_start.tolist(), strict=True
                )
            ],
            dtype=np.int64,
        )
        start = cohort_start_s(sealed.cells.pane_start, policy, complete=complete)
        mature_s = start + int((policy.cohort + policy.label_horizon).total_seconds())
        return sealed.cells.take(sealed_s <= mature_s)

    def _silent(self, model: str, policy: Policy, known: _Model, now: datetime) -> list[Judged]:
        given: list[Judged] = []
        for series, followed in known.followed.items():
            known.followed[series], judged = check_silence(followed, now)
            given += [judged] if judged is not None else []
        if given:
            self._record(model, policy, now, ModelShare(policy, now, given=given))
            known.judged_through_at = now
        return given

    def _record(self, model: str, policy: Policy, now: datetime, share: ModelShare) -> None:
        routes = self._settings.routes_for(model)
        judgements = []
        for judged in share.given:
            decision, alert = judged.decision, None
            if decision.alert is not None and decision.episode is not None:
                alert = Alert(decision.alert, decision.episode, routes)
                log.info(
                    "alert",
                    kind=str(decision.alert),
                    model=model,
                    version=judged.verdict.series.version,
                    segment=judged.verdict.series.segment,
                    at=judged.verdict.evaluated_at.isoformat(),
                    reason=judged.verdict.reason,
                )
            judgements.append(Judgement(judged.verdict, policy, alert))
        taken = [each for each in share.news if not each.is_taken]
        self._history.record(model, now, share.pinned, judgements, taken)


def _resumed(followed: Followed, standing: Standing | None) -> Followed:
    if standing is None:
        return followed
    return replace(
        followed,
        episode=standing.episode,
        judged_at=standing.evaluated_at,
        status=Status(standing.status),
    )


def _cohort_floor(moment: datetime, policy: Policy) -> datetime:
    cohort_s = int(policy.cohort.total_seconds())
    return datetime.fromtimestamp(moment.timestamp() // cohort_s * cohort_s, UTC)


def _begins(cohort: Cohort) -> datetime:
    return datetime.fromtimestamp(cohort.start_s, UTC)
