"""A slice of event time: every model's series folded on to its end together, from a few queries.

Guarantees: what is remembered stays as it was until the caller has recorded the slice; the number
of queries does not grow with models or series. Must never: write, or look at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.core.judging.restarts import ACCEPTED, RESET
from monitor.core.verdicts import Status
from monitor.watch.cohorts import cohorts_of
from monitor.watch.following import start, wake_at
from monitor.watch.lockstep import in_lockstep
from monitor.watch.model_share import ModelShare
from monitor.watch.ranged import BEGINNING, Ranged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from monitor.core.claims import Series
    from monitor.core.judging.restarts import Announcement
    from monitor.core.judging.series_state import Baseline, Cohort
    from monitor.core.policies import Policy
    from monitor.store.announcements import Announced
    from monitor.store.history import HistoryStore
    from monitor.store.judgements import Standing
    from monitor.store.panes import PaneStore
    from monitor.watch.following import Followed, Judged
    from monitor.watch.lockstep import Walk
    from monitor.watch.model_share import Walked


@dataclass(slots=True)
class Known:
    """What the watcher remembers of one model between ticks.

    fed_through_at: end of the cohorts of prediction time that were fed; folded_through_at: event
    time up to which they and announcements were taken.
    """

    policy: Policy
    fed_through_at: datetime
    judged_through_at: datetime | None
    folded_through_at: datetime = BEGINNING
    named: dict[int, Series] = field(default_factory=dict)
    followed: dict[Series, Followed] = field(default_factory=dict)

    @property
    def next_at(self) -> datetime:
        """Event time at which the next cohort is mature."""
        return self.fed_through_at + self.policy.cohort + self.policy.label_horizon

    def woken(self, end: datetime) -> list[Series]:
        """Series that are to be judged by `end` without anything new."""
        if end <= (self.judged_through_at or BEGINNING):
            return []
        return [s for s, f in self.followed.items() if (at := wake_at(f)) and at <= end]


@dataclass(slots=True)
class Slice:
    """What a slice brings: shares of the models that have any, and series as they are now."""

    shares: dict[str, ModelShare] = field(default_factory=dict)
    followed: dict[Series, Followed] = field(default_factory=dict)
    fed_through_at: dict[str, datetime] = field(default_factory=dict)
    n_cohorts: int = 0

    @property
    def given(self) -> list[Judged]:
        """Every verdict, in time order."""
        given = [judged for share in self.shares.values() for judged in share.given]
        return sorted(given, key=lambda judged: judged.verdict.evaluated_at)

    @property
    def pinned(self) -> list[tuple[Baseline, datetime]]:
        """Baselines that came to be, with the times they hold from."""
        return [pinned for share in self.shares.values() for pinned in share.pinned]

    @property
    def taken(self) -> list[Announced]:
        """Announcements that no slice had taken."""
        return [n for share in self.shares.values() for n in share.news if not n.is_taken]


@dataclass(frozen=True, slots=True)
class Folding:
    """Where slices are read from, and how: `under` puts a series under its threshold."""

    panes: PaneStore
    history: HistoryStore
    under: Callable[[Followed, datetime], Followed]
    stopped: Callable[[], bool]

    def slice(self, known: Mapping[str, Known], ends: Mapping[str, datetime]) -> Slice:
        """Fold every model on to its end."""
        waiting = self.history.waiting()
        through = {
            model: max(known[model].fed_through_at, whole_through(end, known[model].policy))
            for model, end in ends.items()
        }
        woken = {model: known[model].woken(end) for model, end in ends.items()}
        active = [
            model
            for model, end in ends.items()
            if through[model] > known[model].fed_through_at
            or (model in waiting and waiting[model] <= end)
            or woken[model]
        ]
        done = Slice()
        if not active:
            return done
        cohorts = self._cohorts({m: known[m] for m in active}, through)
        done.n_cohorts = sum(len(found) for found in cohorts.values())
        stored = self._stored(known, cohorts)
        announced = self.history.announced(active)
        mine: dict[str, list[Series]] = {model: [] for model in active}
        for series in cohorts:
            mine[series.model].append(series)
        shares: list[ModelShare] = []  # of each walk
        walks: list[Walk[Walked]] = []
        for model in active:
            one, end = known[model], ends[model]
            share = ModelShare(
                one.policy,
                one.judged_through_at or BEGINNING,
                _news(announced.get(model, []), one, end),
                self.stopped,
                self.under,
            )
            again = [
                n.told for n in share.news if n.is_taken and n.told.taken_at > one.folded_through_at
            ]
            said = [*share.new, *again]
            concerned = {*mine[model], *(one.followed if said else woken[model])}
            for series in sorted(concerned):
                shares.append(share)
                walks.append(
                    stored.over(
                        share,
                        one.followed.get(series),
                        series,
                        cohorts=cohorts.get(series, []),
                        said=said,
                        until=end,
                    )
                )
            done.shares[model] = share
            done.fed_through_at[model] = through[model]
        for share, walked in zip(shares, in_lockstep(walks), strict=True):
            share.add(walked)
            done.followed[walked.followed.state.series] = walked.followed
        return done

    def _cohorts(
        self, active: Mapping[str, Known], through: Mapping[str, datetime]
    ) -> dict[Series, list[Cohort]]:
        """Whole cohorts that were not fed yet, but what was sealed too late.

        Models that are counted alike and were fed as far are asked for together.
        """
        alike: dict[tuple[object, ...], list[str]] = {}
        for model, one in active.items():
            policy = one.policy
            spans = (policy.pane, policy.cohort, policy.label_horizon, policy.correction_horizon)
            alike.setdefault((*spans, one.fed_through_at, through[model]), []).append(model)
        found: dict[Series, list[Cohort]] = {}
        for models in alike.values():
            first, until_at = active[models[0]], through[models[0]]
            named = {i: series for model in models for i, series in active[model].named.items()}
            ranged = Ranged(first.policy, first.fed_through_at, until_at)
            cells = self.panes.sealed(ranged.spans(named))
            found |= cohorts_of(cells, named, first.policy, ranged.delays(self.panes, named))
        return found

    def _stored(self, known: Mapping[str, Known], cohorts: Iterable[Series]) -> _Stored:
        """What history holds of series that are not remembered."""
        new = sorted({s.model for s in cohorts if s not in known[s.model].followed})
        return _Stored(
            self.history.imported(),
            self.history.baselines(new) if new else {},
            {standing.series: standing for standing in self.history.standings(new)} if new else {},
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    """imported: event times from which imported baselines hold, where these are the newest."""

    imported: Mapping[Series, datetime]
    baselines: Mapping[Series, tuple[Baseline, datetime]]
    standings: Mapping[Series, Standing]

    def over(  # noqa: PLR0913  # a series, and what it is folded over
        self,
        share: ModelShare,
        followed: Followed | None,
        series: Series,
        *,
        cohorts: Sequence[Cohort],
        said: Sequence[Announcement],
        until: datetime,
    ) -> Walk[Walked]:
        """One series folded on over `said`; if it is not remembered, from its stored baseline."""
        if followed is None:
            baseline, holds_from = self.baselines.get(series, (None, BEGINNING))
            followed = _resumed(start(series, share.policy, baseline), self.standings.get(series))
            said = [each for each in share.all if not baseline or each.taken_at > holds_from]
        from_s = self.imported.get(series, BEGINNING).timestamp()
        return share.over(followed, [c for c in cohorts if c.start_s >= from_s], said, until)


def whole_through(at: datetime, policy: Policy) -> datetime:
    """End of the newest cohort that is mature at event time `at`."""
    return cohort_floor(at - policy.label_horizon, policy)


def cohort_floor(moment: datetime, policy: Policy) -> datetime:
    """Start of the cohort that holds a moment."""
    cohort_s = int(policy.cohort.total_seconds())
    return datetime.fromtimestamp(moment.timestamp() // cohort_s * cohort_s, UTC)


def _news(announced: Sequence[Announced], known: Known, end: datetime) -> list[Announced]:
    """What was announced up to `end`; what is new is taken when it happened, or just after.

    Just after the newest cohort that was judged without it, if it happened before that.
    """
    policy = known.policy
    newest = whole_through(known.judged_through_at or BEGINNING, policy)
    after_it = newest + policy.label_horizon + timedelta(milliseconds=1)
    found = []
    for each in announced:
        told = each.told
        if not each.is_taken:
            told = replace(
                told,
                taken_at=max(after_it, told.happened_at),
                restarts=told.kind in {ACCEPTED, RESET, *policy.restart_on},
            )
        if told.taken_at <= end:
            found.append(replace(each, told=told))
    return found


def _resumed(followed: Followed, standing: Standing | None) -> Followed:
    if standing is None:
        return followed
    return replace(
        followed,
        episode=standing.episode,
        judged_at=standing.evaluated_at,
        status=Status(standing.status),
    )
