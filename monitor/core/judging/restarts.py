"""Restarts: detector, map and baseline of a series begin again together, and why.

Guarantees: a restart is a pure function of the state and of what was announced, so that a
backtest, the daemon and a restarted daemon agree; a baseline after a restart holds whole cohorts
from after the change alone. Must never: keep evidence, a map or an alarm from before the restart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import SeriesState, moment
from monitor.core.verdicts import Restart, rfc3339
from monitor.core.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from monitor.core.claims import Series
    from monitor.core.events import ChangeEvent

ACCEPTED = "accepted"
"""A person took a drift that was found as the new normal."""
RESET = "reset"
"""A person gave a baseline up, whatever was found."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A change around a model, or a person's decision on its baseline; event times.

    kind: of a change event, ACCEPTED or RESET. taken_at: when the fold takes it, which is
    happened_at unless cohorts were judged without it meanwhile. restarts: whether the policy of
    that time made it start the baselines again; otherwise it asks for a judgement only. version
    and segment are None where all are meant. since_at: for ACCEPTED alone, where a person says
    when the change began; None means each series' own estimate.
    """

    kind: str
    happened_at: datetime
    taken_at: datetime
    restarts: bool
    version: str | None = None
    segment: str | None = None
    reason: str = ""
    author: str = ""
    since_at: datetime | None = None

    def concerns(self, series: Series) -> bool:
        """Whether a series of the model is meant."""
        return self.version in {None, series.version} and self.segment in {None, series.segment}


def change_announced(change: ChangeEvent, restart_on: Collection[str]) -> Announcement:
    """A change event as it is taken when it is told in time."""
    return Announcement(
        kind=str(change.kind),
        happened_at=change.happened_at,
        taken_at=change.happened_at,
        restarts=change.kind in restart_on,
        version=change.version,
        reason=change.description,
    )


def restarted(state: SeriesState, said: Announcement) -> SeriesState:
    """The state after an announcement; the same one where it starts nothing again.

    ACCEPTED concerns only a series whose alarm holds, and its new baseline begins where the change
    most likely began; other restarts begin with the first cohort after the change. Cohorts of the
    window from then on are folded again, so that no label waits twice.
    """
    if not said.restarts or not said.concerns(state.series):
        return state
    since_at = said.happened_at
    if said.kind == ACCEPTED:
        if state.alarm is None:
            return state
        since_at = said.since_at or moment(state.alarm.since_s)
    if _is_told_again(state.restart, said):
        return state
    why = Restart(said.kind, said.happened_at, since_at, said.taken_at, said.reason, said.author)
    fresh = replace(
        begin(state.series, state.policy), restart=why, alarm_at=state.alarm_at, share=state.share
    )
    known = state.collecting if state.baseline is None else state.window
    for cohort in known:
        if cohort.start_s >= since_at.timestamp():
            fresh = step(fresh, cohort)
    # How late labels come is the stream's, whatever it is compared with.
    return replace(
        fresh,
        seen_until_s=state.seen_until_s,
        predicted_until_s=state.predicted_until_s,
        delays=state.delays,
        first_s=state.first_s,
        traffic=state.traffic,
    )


def _is_told_again(restart: Restart | None, said: Announcement) -> bool:
    """Whether this is what the series began again by, as when an event is sent twice."""
    if restart is None:
        return False
    mine = (restart.kind, restart.happened_at, restart.reason, restart.author)
    return mine == (said.kind, said.happened_at, said.reason, said.author)


def restart_words(restart: Restart) -> str:
    """Why a baseline began again, without a full stop: `recalibration of 2026-03-12T00:00:00Z`."""
    at = rfc3339(restart.happened_at)
    what = {
        ACCEPTED: f"change accepted as the new normal at {at}",
        RESET: f"baseline reset at {at}",
    }.get(restart.kind, f"{one_line(restart.kind)} of {at}")
    by = f" by {one_line(restart.author)}" if restart.author else ""
    return f"{what}{by}" + (f": {one_line(restart.reason)}" if restart.reason else "")
