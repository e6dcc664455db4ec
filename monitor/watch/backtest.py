"""Backtest: files in, verdicts and alerts out, by the same code as the daemon and no server.

Guarantees: the same events, policy and label horizon give the daemon's verdicts on the event
clock. Must never: look past a cohort's maturity, or at the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import AlertKind, Episode
from monitor.core.judging.fleet import boundaries
from monitor.core.judging.restarts import Announcement, change_announced
from monitor.core.judging.series_state import moment
from monitor.core.verdicts import Verdict, rfc3339
from monitor.watch.cohorts import CohortDelays, cohorts_of
from monitor.watch.counting import Counted, Events, count, newest_s
from monitor.watch.fleet_ledger import FleetLedger
from monitor.watch.following import follow, in_time_order, matures_at, start, take, wake
from monitor.watch.lockstep import in_lockstep
from monitor.watch.ranged import BEGINNING
from monitor.watch.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from monitor.core.episode.grouping import Told
    from monitor.core.events import ChangeEvent
    from monitor.core.judging.fleet import Fleet
    from monitor.core.judging.series_state import Cohort
    from monitor.core.policies import Policy
    from monitor.watch.following import Followed, Judged
    from monitor.watch.lockstep import Walk


@dataclass(frozen=True, slots=True)
class BacktestAlert:
    """One episode: the verdict that fired it, and the one and the reason that ended it, if any."""

    episode: Episode
    verdict: Verdict
    ended: Verdict | None = None
    resolved_by: str | None = None

    @property
    def fired_at(self) -> datetime:
        """Event time at which it was first told."""
        return self.verdict.evaluated_at

    def as_json(self) -> dict[str, object]:
        """The alert as `backtest --json` prints it."""
        series, shown = self.episode.series, self.verdict.as_json()
        resolved_at = self.episode.resolved_at
        return {
            "model": series.model,
            "version": series.version,
            "claim": series.claim,
            "segment": series.segment or None,
            "fired_at": rfc3339(self.fired_at),
            "resolved_at": rfc3339(resolved_at) if resolved_at else None,
            "resolved_by": self.resolved_by,
            "direction": self.episode.direction,
            "cause": self.episode.cause,
            "reason": self.verdict.reason,
            "evidence": shown["evidence"],
        }


def backtest(
    events: Events,
    policy_for: Callable[[str], Policy],
    changes: Sequence[ChangeEvent] = (),
    fleet: Fleet | None = None,
) -> tuple[Counted, list[Judged], list[BacktestAlert]]:
    """Counts, every verdict in time order, and the alert episodes of a stretch of events.

    changes: what was announced around the models, each taken as told when it happened. fleet: the
    false-alarm budget that the series share, if there is one.
    """
    counted = count(events, policy_for)
    until_s = newest_s(events)
    delays = CohortDelays(counted.delays.take(~counted.delays.late), counted.delays)
    paths = []
    for model in sorted({series.model for series in counted.named.values()}):
        policy = policy_for(model)
        named = {i: series for i, series in counted.named.items() if series.model == model}
        said = [
            change_announced(change, policy.restart_on)
            for change in changes
            if change.model == model and change.happened_at.timestamp() <= until_s
        ]
        for series, cohorts in cohorts_of(counted.cells, named, policy, delays).items():
            mature = [c for c in cohorts if matures_at(c, policy).timestamp() <= until_s]
            news = in_time_order(mature, said, policy)
            paths.append(_Path(start(series, policy), news, said))
    given = _judged(paths, FleetLedger(fleet), moment(until_s))
    given.sort(key=lambda judged: (judged.verdict.evaluated_at, judged.verdict.series))
    return counted, given, _alerts(given)


def messages(
    given: Sequence[Judged], policy_for: Callable[[str], Policy], until: datetime
) -> list[Told]:
    """What would have been told of these verdicts, up to event time `until`, in time order."""
    told: list[Told] = []
    for model in sorted({judged.verdict.series.model for judged in given}):
        mine = [judged for judged in given if judged.verdict.series.model == model]
        told += tell(None, mine, until, policy_for(model).alerts, model)[1]
    return sorted(told, key=lambda one: one.happened_at)


@dataclass(slots=True)
class _Path:
    """One series on its way through what is still to come, in time order."""

    followed: Followed
    news: list[Cohort | Announcement]
    said: Sequence[Announcement]
    n_taken: int = 0

    def on_to(self, until: datetime, ledger: FleetLedger) -> Walk[list[Judged]]:
        """Verdicts of what takes effect up to `until`."""
        given, policy = [], self.followed.state.policy
        changed_at = [s.taken_at for s in self.said if s.concerns(self.followed.state.series)]
        for news in self.news[self.n_taken :]:
            at = news.taken_at if isinstance(news, Announcement) else matures_at(news, policy)
            if at > until:
                break
            self.n_taken += 1
            given += yield from self._wake(at)
            if isinstance(news, Announcement):
                self.followed, judged = yield from take(self.followed, news)
            else:
                under = ledger.under(self.followed, at)
                self.followed, judged = yield from follow(under, news, changed_at)
            given += [judged] if judged is not None else []
        given += yield from self._wake(until + timedelta(microseconds=1))
        return given

    def _wake(self, before: datetime) -> Walk[list[Judged]]:
        self.followed, given = yield from wake(self.followed, BEGINNING, before)
        return given


def _on_to(paths: Sequence[_Path], until: datetime, ledger: FleetLedger) -> list[Judged]:
    """Verdicts of what takes effect up to `until`, path by path."""
    return [
        judged for given in in_lockstep(p.on_to(until, ledger) for p in paths) for judged in given
    ]


def _judged(paths: Sequence[_Path], ledger: FleetLedger, until: datetime) -> list[Judged]:
    """Every verdict; series that share a budget go from midnight to midnight together."""
    given: list[Judged] = []
    if ledger.fleet is not None:
        first_at = [
            matures_at(path.news[0], path.followed.state.policy)
            for path in paths
            if path.news and not isinstance(path.news[0], Announcement)
        ]
        for at in boundaries(min(first_at, default=until) - timedelta(seconds=1), until):
            given += _on_to(paths, at, ledger)
            closed = ledger.close(at, {p.followed.state.series: p.followed for p in paths})
            given += closed.judged
            for path in paths:
                path.followed = closed.followed.get(path.followed.state.series, path.followed)
    return given + _on_to(paths, until, ledger)


def _alerts(given: list[Judged]) -> list[BacktestAlert]:
    fired: dict[str, BacktestAlert] = {}
    for judged in given:
        episode = judged.decision.episode
        if episode is None:
            continue
        if judged.decision.alert is AlertKind.FIRED:
            fired[episode.episode_id] = BacktestAlert(episode, judged.verdict)
        elif judged.decision.alert is not None:
            verdict = fired[episode.episode_id].verdict
            ended = judged if judged.decision.alert is AlertKind.RESOLVED else None
            fired[episode.episode_id] = BacktestAlert(
                episode,
                verdict,
                None if ended is None else ended.verdict,
                None if ended is None else ended.decision.reason,
            )
    return list(fired.values())
