"""Following one series: its cohorts in time order become verdicts and decisions.

Guarantees: what is decided, and the event time of it, depend on the cohorts, the policy and the
changes alone; the daemon, a restart of it and a backtest agree. What needs a step or a judgement is
a walk, so that those of many series can be done at once. Must never: look at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.episode.deciding import closed, decide, due_at
from monitor.core.judging.alarms import raised
from monitor.core.judging.evaluation import has_shifted
from monitor.core.judging.folding import begin
from monitor.core.judging.restarts import Announcement, restart_words, restarted
from monitor.core.judging.series_state import Baseline, SeriesState, moment
from monitor.core.policies import Cadence
from monitor.core.verdicts import Status, Verdict
from monitor.watch.lockstep import judged as judgement
from monitor.watch.lockstep import stepped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.claims import Series
    from monitor.core.episode.episodes import Decision, Episode
    from monitor.core.judging.series_state import Cohort
    from monitor.core.policies import Policy
    from monitor.watch.lockstep import Walk

A_MOMENT = timedelta(milliseconds=1)
"""Two verdicts on a series have two times, at least so far apart."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict and what was decided on it; `changed`: the episode is not as it was before."""

    verdict: Verdict
    decision: Decision
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Followed:
    """A series as far as it was followed: its state, newest episode and newest verdict.

    looked_s: end of the predictions after which it was looked whether the series is silent.
    """

    state: SeriesState
    episode: Episode | None = None
    judged_at: datetime | None = None
    status: Status | None = None
    looked_s: int | None = None

    def on(self, state: SeriesState) -> Followed:
        """The same with another state."""
        return self if state is self.state else replace(self, state=state)


def start(series: Series, policy: Policy, baseline: Baseline | None = None) -> Followed:
    """A series before its first cohort, with a stored baseline if there is one."""
    return Followed(begin(series, policy, baseline))


def matures_at(cohort: Cohort, policy: Policy) -> datetime:
    """Event time at which a cohort's labels are as complete as they will be judged."""
    return moment(cohort.end_s) + policy.label_horizon


def holds_from(baseline: Baseline, policy: Policy) -> datetime:
    """Event time at which a collected baseline was whole: announcements up to then are in it."""
    whole_at = baseline.end_at + policy.label_horizon
    return whole_at if baseline.restart is None else max(whole_at, baseline.restart.taken_at)


def in_time_order(
    cohorts: Iterable[Cohort], said: Iterable[Announcement], policy: Policy
) -> list[Cohort | Announcement]:
    """What a series is folded over, by the event time at which each takes effect.

    An announcement of the very time at which a cohort matures comes after it.
    """
    timed: list[tuple[datetime, int, Cohort | Announcement]] = []
    timed += [(matures_at(cohort, policy), 0, cohort) for cohort in cohorts]
    timed += [(each.taken_at, 1, each) for each in said]
    return [each for _, _, each in sorted(timed, key=lambda one: one[:2])]


def learn(followed: Followed, news: Cohort | Announcement) -> Walk[Followed]:
    """Take in what was judged before, as after a restart of the process."""
    if isinstance(news, Announcement):
        return replace(followed, state=restarted(followed.state, news))
    return replace(followed, state=(yield from stepped(followed.state, news)))


def take(followed: Followed, said: Announcement) -> Walk[tuple[Followed, Judged | None]]:
    """Take in an announcement; if it starts the series again, what was open is resolved at once."""
    state = restarted(followed.state, said)
    if state is followed.state or state.restart is None:
        return followed, None
    after = replace(followed, state=state)
    if followed.judged_at is None:
        return after, None
    # Two verdicts on a series have two times.
    at = max(said.taken_at, followed.judged_at + A_MOMENT)
    verdict = yield from judgement(state, at)
    return _decided(
        after, closed(verdict, followed.episode, at, restart_words(state.restart)), verdict
    )


def follow(
    followed: Followed, cohort: Cohort, changed_at: Sequence[datetime] = ()
) -> Walk[tuple[Followed, Judged | None]]:
    """Take in one more cohort, and judge if the cadence, a change or shifted scores ask for it.

    A shift asks once, when it is first seen.
    """
    policy = followed.state.policy
    at = matures_at(cohort, policy)
    after = replace(followed, state=(yield from stepped(followed.state, cohort)))
    if not is_due(policy.cadence, followed.judged_at, at, changed_at) and not (
        has_shifted(after.state) and not has_shifted(followed.state)
    ):
        return after, None
    return (yield from _judged(after, at))


def name(followed: Followed, at: datetime) -> Walk[tuple[Followed, Judged | None]]:
    """Raise an alarm that the fleet's rule asks for at `at`, where the effect is large enough."""
    after = learn_naming(followed)
    if after is followed:
        return followed, None
    # Two verdicts on a series have two times.
    judged_at = followed.judged_at
    when = at if judged_at is None else max(at, judged_at + A_MOMENT)
    return (yield from _judged(after, when))


def learn_naming(followed: Followed) -> Followed:
    """Take in a naming that was judged before."""
    until_s = followed.state.seen_until_s
    return followed if until_s is None else followed.on(raised(followed.state, until_s))


def wake_at(followed: Followed) -> datetime | None:
    """Event time at which a series is to be judged without anything new, or None.

    When it has been silent for a window, or when a delay of its episode is over.
    """
    return min((at for at in (_silent_at(followed), _due_at(followed)) if at), default=None)


def wake(
    followed: Followed, after: datetime, before: datetime
) -> Walk[tuple[Followed, list[Judged]]]:
    """Judge what is due in (after, before) without anything new; up to `after` all was judged."""
    given: list[Judged] = []
    if before <= after:
        return followed, given
    while (at := wake_at(followed)) is not None and at < before:
        until_s, due = followed.state.predicted_until_s, _due_at(followed)
        if at == due:
            # In the past it can be only if the policy's delay was shortened meanwhile.
            followed, judged = yield from _judged(followed, max(at, after + A_MOMENT))
            given.append(judged)
            continue
        if at > after:
            woken, judged = yield from _judged(followed, at)
            if judged.verdict.status is Status.NO_DATA:
                followed = woken
                given.append(judged)
        followed = replace(followed, looked_s=until_s)
    return followed, given


def _silent_at(followed: Followed) -> datetime | None:
    """When a window without a prediction is over, if that was not looked at."""
    judged_at, until_s = followed.judged_at, followed.state.predicted_until_s
    if judged_at is None or until_s is None or followed.status is Status.NO_DATA:
        return None
    if until_s == followed.looked_s:
        return None
    policy = followed.state.policy
    silent_at = moment(until_s) + policy.window + policy.label_horizon + A_MOMENT
    return max(silent_at, judged_at + A_MOMENT)


def _due_at(followed: Followed) -> datetime | None:
    """When a delay of the episode is over, if that was not judged."""
    if followed.judged_at is None:
        return None
    due = due_at(followed.episode, followed.status, followed.state.policy.alerts)
    return due if due is not None and due > followed.judged_at else None


def is_due(
    cadence: Cadence, judged_at: datetime | None, at: datetime, changed_at: Sequence[datetime]
) -> bool:
    """Whether a judgement is due at event time `at`: by cadence, or by a change since the last."""
    if judged_at is None or any(judged_at < change <= at for change in changed_at):
        return True
    match cadence:
        case Cadence.CONTINUOUS:
            return True
        case Cadence.HOURLY:
            return _parts(judged_at, 4) != _parts(at, 4)
        case Cadence.DAILY:
            return _parts(judged_at, 3) != _parts(at, 3)
        case Cadence.MONTHLY:
            return _parts(judged_at, 2) != _parts(at, 2)


def _parts(moment_: datetime, n: int) -> tuple[int, ...]:
    """Year, month, day and hour, the first n of them."""
    return (moment_.year, moment_.month, moment_.day, moment_.hour)[:n]


def _judged(followed: Followed, at: datetime) -> Walk[tuple[Followed, Judged]]:
    verdict = yield from judgement(followed.state, at)
    policy = followed.state.policy.alerts
    return _decided(followed, decide(verdict, followed.episode, at, policy), verdict)


def _decided(followed: Followed, decision: Decision, verdict: Verdict) -> tuple[Followed, Judged]:
    after = replace(
        followed,
        episode=decision.episode,
        judged_at=verdict.evaluated_at,
        status=verdict.status,
    )
    return after, Judged(verdict, decision, changed=decision.episode != followed.episode)
