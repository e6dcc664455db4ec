"""Backtest: files in, verdicts and alerts out, by the same code as the daemon and no server.

Guarantees: the same events, policy and label horizon give the daemon's verdicts on the event
clock. Must never: look past a cohort's maturity, or at the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import Series
from monitor.core.delay_advice import LabelAdvice, label_advice
from monitor.core.episodes import AlertKind, Episode
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.fleet import boundaries
from monitor.core.join import JoinIndex
from monitor.core.kinds import salt
from monitor.core.losses import LossCells
from monitor.core.reports import series_report
from monitor.core.restarts import Announcement, change_announced
from monitor.core.series_state import moment
from monitor.core.verdicts import Verdict, rfc3339
from monitor.watch.claimed import NamedSeries, claimed_by
from monitor.watch.cohorts import CohortDelays, cohorts_of, label_claims, members
from monitor.watch.fleet_ledger import FleetLedger
from monitor.watch.following import follow, in_time_order, matures_at, start, take, wake
from monitor.watch.ranged import BEGINNING
from monitor.watch.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.delay_cells import DelayCells
    from monitor.core.events import ChangeEvent
    from monitor.core.fleet import Fleet
    from monitor.core.grouping import Told
    from monitor.core.panes import Cells
    from monitor.core.policies import Policy
    from monitor.core.reports import SeriesReport
    from monitor.core.series_state import Cohort
    from monitor.watch.following import Followed, Judged

    Text = NDArray[np.object_]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: multiples of it spread evenly (Knuth 1973, section 6.4)."""


DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Events:
    """Predictions and labels as columns, each in its order of arrival.

    segments: values by dimension; label NaN retracts; label_model `""` has no prediction.
    numbers: by name, what predictions of other kinds than binary state (`ClaimSet.columns`), NaN
    where one does not; then `score` is not looked at, and the labels are those of `kinds.py`.
    """

    prediction_id: Text
    model: Text
    version: Text
    ts_ms: NDArray[np.int64]
    score: NDArray[np.float64]
    segments: Mapping[str, Text]
    label_id: Text
    label_model: Text
    label_ms: NDArray[np.int64]
    label: NDArray[np.float64]
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything counted from files: cells, the labels' delays, losses, and each index's series."""

    cells: Cells
    delays: DelayCells
    named: dict[int, Series]
    losses: LossCells = field(default_factory=LossCells.empty)


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


def count(events: Events, policy_for: Callable[[str], Policy]) -> Counted:
    """Join and count all events under the policies' panes and horizons.

    Raises ValueError where a model's policy declares other claims than the events make.
    """
    ids = np.concatenate([_keyed(events.model, events.prediction_id),
                          _keyed(events.label_model, events.label_id)])  # fmt: skip
    _, number_of_id = np.unique(ids, return_inverse=True)
    # The table wants keys whose upper bits differ; times an odd number is one to one.
    key = number_of_id.astype(np.uint64) * GOLDEN
    n = len(events.prediction_id)
    claimed = claimed_by(events, policy_for)
    named = NamedSeries(events, policy_for)
    predictions = [
        PredictionColumns(
            key[:n][made.row] ^ np.uint64(salt(made.name)),
            np.zeros(len(made.row), dtype=np.int32),
            named.indices(made),
            events.ts_ms[made.row],
            made.score,
            made.refs,
        )
        for made in claimed.predictions
    ]
    labels = [
        LabelColumns(
            key[n:][row] ^ np.uint64(salt(name)),
            np.zeros(len(row), dtype=np.int32),
            named.models(events.label_model[row]),
            events.label_ms[row],
            events.label[row],
        )
        for name, row in claimed.labels
    ]
    applied = JoinIndex(named.table).apply(
        PredictionColumns.concatenated(predictions), LabelColumns.concatenated(labels)
    )
    return Counted(applied.cells, applied.delays, named.named, applied.losses)


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
    newest_s = _newest_s(events)
    delays = CohortDelays(counted.delays.take(~counted.delays.late), counted.delays)
    paths = []
    for model in sorted({series.model for series in counted.named.values()}):
        policy = policy_for(model)
        named = {i: series for i, series in counted.named.items() if series.model == model}
        said = [
            change_announced(change, policy.restart_on)
            for change in changes
            if change.model == model and change.happened_at.timestamp() <= newest_s
        ]
        for series, cohorts in cohorts_of(counted.cells, named, policy, delays).items():
            mature = [c for c in cohorts if matures_at(c, policy).timestamp() <= newest_s]
            news = in_time_order(mature, said, policy)
            paths.append(_Path(start(series, policy), news, said))
    given = _judged(paths, FleetLedger(fleet), moment(newest_s))
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


def label_advices(
    events: Events, counted: Counted, policy_for: Callable[[str], Policy]
) -> list[LabelAdvice]:
    """What is known of each model version's labels at the newest event."""
    newest_s = _newest_s(events)
    return [
        label_advice(
            model,
            version,
            counted.cells.take(np.isin(counted.cells.series, indices)),
            counted.delays.take(np.isin(counted.delays.series, indices)),
            policy_for(model),
            newest_s,
        )
        for (model, version), indices in sorted(label_claims(counted.named).items())
    ]


def _newest_s(events: Events) -> int:
    return int(max(events.ts_ms.max(initial=0), events.label_ms.max(initial=0))) // 1000


def series_reports(counted: Counted, *, by_version: bool) -> list[SeriesReport]:
    """Report of each model, claim and segment, or of each version of them, with coverage."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for series, indices in members(counted.named).items():
        version = series.version if by_version else ""
        identity = (series.model, version, series.claim, series.segment)
        groups.setdefault(identity, []).extend(indices)
    reports = []
    for (model, version, claim, segment), indices in sorted(groups.items()):
        cells = counted.cells.take(np.isin(counted.cells.series, indices))
        reports.append(
            series_report(
                Series(model, version, claim, segment),
                cells.counts(),
                pooled=not by_version,
                with_coverage=True,
                cohorts=_by_day(cells),
                losses=counted.losses.take(np.isin(counted.losses.series, indices)).total(),
            )
        )
    return reports


def _by_day(cells: Cells) -> list[BinCounts]:
    """All counts of each day of prediction time, late labels included."""
    day = cells.pane_start // DAY_S
    return [cells.take(day == each).counts() for each in np.unique(day)]


@dataclass(slots=True)
class _Path:
    """One series on its way through what is still to come, in time order."""

    followed: Followed
    news: list[Cohort | Announcement]
    said: Sequence[Announcement]
    n_taken: int = 0

    def on_to(self, until: datetime, ledger: FleetLedger) -> list[Judged]:
        """Verdicts of what takes effect up to `until`."""
        given, policy = [], self.followed.state.policy
        changed_at = [s.taken_at for s in self.said if s.concerns(self.followed.state.series)]
        for news in self.news[self.n_taken :]:
            at = news.taken_at if isinstance(news, Announcement) else matures_at(news, policy)
            if at > until:
                break
            self.n_taken += 1
            given += self._woken(at)
            if isinstance(news, Announcement):
                self.followed, judged = take(self.followed, news)
            else:
                under = ledger.under(self.followed, at)
                self.followed, judged = follow(under, news, changed_at)
            given += [judged] if judged is not None else []
        return given + self._woken(until + timedelta(microseconds=1))

    def _woken(self, before: datetime) -> list[Judged]:
        self.followed, given = wake(self.followed, BEGINNING, before)
        return given


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
            for path in paths:
                given += path.on_to(at, ledger)
            closed = ledger.close(at, {p.followed.state.series: p.followed for p in paths})
            given += closed.judged
            for path in paths:
                path.followed = closed.followed.get(path.followed.state.series, path.followed)
    for path in paths:
        given += path.on_to(until, ledger)
    return given


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


def _keyed(model: Text, prediction_id: Text) -> NDArray[np.str_]:
    """One text a (model, id); the length keeps two pairs from reading alike."""
    joined = [f"{len(m)}:{m}{p}" for m, p in zip(model, prediction_id, strict=True)]
    return np.array(joined, dtype=np.str_)
