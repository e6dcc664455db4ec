"""One model's share of a tick: its series folded on over cohorts and announcements.

Guarantees: what was judged before is learned, and nothing of it judged again; each baseline that a
series comes to have is handed over once, to be pinned; what a series brings is its own until the
share adds it. Must never: write, or look at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.judging.restarts import Announcement
from monitor.watch.following import follow, holds_from, in_time_order, learn, matures_at, take, wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from monitor.core.judging.series_state import Baseline, Cohort
    from monitor.core.policies import Policy
    from monitor.store.announcements import Announced
    from monitor.watch.following import Followed, Judged
    from monitor.watch.lockstep import Walk


class TickAbandoned(Exception):  # noqa: N818  # what was asked for, not a fault
    """The process is to end; what the tick had not recorded is done by the next one."""


@dataclass(slots=True)
class Walked:
    """One series after its walk: verdicts, and baselines pinned with the times they hold from."""

    followed: Followed
    given: list[Judged] = field(default_factory=list)
    pinned: list[tuple[Baseline, datetime]] = field(default_factory=list)


@dataclass(slots=True)
class ModelShare:
    """One model's share of a tick: what is given and pinned while its series are folded on.

    judged_through: what matured up to then was judged before, and is learned only. under: puts a
    series under the threshold that a cohort finds.
    """

    policy: Policy
    judged_through: datetime
    news: Sequence[Announced] = ()
    stopped: Callable[[], bool] = bool
    under: Callable[[Followed, datetime], Followed] = lambda followed, _: followed
    given: list[Judged] = field(default_factory=list)
    pinned: list[tuple[Baseline, datetime]] = field(default_factory=list)

    @property
    def all(self) -> list[Announcement]:
        """Everything announced."""
        return [each.told for each in self.news]

    @property
    def new(self) -> list[Announcement]:
        """What no tick has taken before."""
        return [each.told for each in self.news if not each.is_taken]

    def over(
        self,
        followed: Followed,
        cohorts: Sequence[Cohort],
        said: Sequence[Announcement],
        until: datetime,
    ) -> Walk[Walked]:
        """One series, folded on to `until` over cohorts and announcements in time order."""
        walked, series = Walked(followed), followed.state.series
        changed_at = [each.taken_at for each in self.all if each.concerns(series)]
        new = set(self.new)
        for news in in_time_order(cohorts, said, self.policy):
            if self.stopped():
                raise TickAbandoned
            at = news.taken_at if isinstance(news, Announcement) else matures_at(news, self.policy)
            yield from self._wake(walked, at)
            if not isinstance(news, Announcement):
                walked.followed = self.under(walked.followed, at)
            before, judged = walked.followed.state.baseline, None
            if isinstance(news, Announcement) and news in new:
                walked.followed, judged = yield from take(walked.followed, news)
            elif isinstance(news, Announcement) or at <= self.judged_through:
                walked.followed = yield from learn(walked.followed, news)
            else:
                walked.followed, judged = yield from follow(walked.followed, news, changed_at)
            walked.given += [judged] if judged is not None else []
            baseline = walked.followed.state.baseline
            if baseline is not None and baseline is not before:
                walked.pinned.append((baseline, holds_from(baseline, self.policy)))
        yield from self._wake(walked, until + timedelta(microseconds=1))
        return walked

    def add(self, walked: Walked) -> None:
        """What one series brought."""
        self.given += walked.given
        self.pinned += walked.pinned

    def _wake(self, walked: Walked, before: datetime) -> Walk[None]:
        walked.followed, judged = yield from wake(walked.followed, self.judged_through, before)
        walked.given += judged
