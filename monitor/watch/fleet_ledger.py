"""The fleet's ledger: which threshold is in force for whom while event time goes on.

Guarantees: midnights are closed in order and once each; what was recorded of one is taken as it
was recorded, so that a restart and late histories change nothing that was judged. Must never:
write, or look at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import exp, log
from typing import TYPE_CHECKING

from monitor.core.judging.fleet import InForce, boundary, named, settle, under
from monitor.store.thresholds import Naming
from monitor.watch.following import learn_naming, name
from monitor.watch.lockstep import in_lockstep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.core.claims import Series
    from monitor.core.judging.fleet import Fleet, Threshold
    from monitor.core.judging.series_state import SeriesState
    from monitor.watch.following import Followed, Judged

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Closed:
    """What the close of a midnight brought, to be recorded with the verdicts up to it."""

    followed: dict[Series, Followed] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    thresholds: list[Threshold] = field(default_factory=list)
    namings: list[Naming] = field(default_factory=list)


@dataclass(slots=True)
class FleetLedger:
    """Thresholds in force as of the last midnight that was closed.

    known: what is recorded, by midnight; settled_through: midnights up to then are taken from it.
    """

    fleet: Fleet | None
    known: dict[datetime, list[Threshold]] = field(default_factory=dict)
    known_names: dict[datetime, list[Series]] = field(default_factory=dict)
    settled_through: datetime = _BEGINNING
    closed_through: datetime | None = None
    begun_at: datetime | None = None
    in_force: InForce = field(default_factory=dict)

    @classmethod
    def resumed(
        cls,
        fleet: Fleet | None,
        thresholds: Sequence[Threshold],
        namings: Sequence[Naming],
        judged_through: datetime | None,
    ) -> FleetLedger:
        """The ledger before the first cohort, with all that was recorded.

        judged_through: event time up to which some model was judged. A midnight before it is
        settled even if nothing stands of it; one at it or later is settled if something does.
        """
        ledger = cls(fleet)
        for one in thresholds:
            ledger.known.setdefault(one.effective_at, []).append(one)
        for each in namings:
            ledger.known_names.setdefault(each.named_at, []).append(each.series)
        recorded = [*ledger.known, *ledger.known_names]
        settled = [_BEGINNING, *recorded]
        if judged_through is not None:
            settled.append(boundary(judged_through - timedelta(microseconds=1)))
        ledger.settled_through = max(settled)
        ledger.begun_at = min(ledger.known, default=None)
        return ledger

    def under(self, followed: Followed, at: datetime) -> Followed:
        """A series as a cohort that matures at event time `at` finds it."""
        if self.fleet is None or followed.state.series.model in self.fleet.apart:
            return followed
        begun = self.begun_at is not None and self.begun_at < at
        return followed.on(under(followed.state, self._threshold(followed, at), begun=begun))

    def close(self, at: datetime, followed: Mapping[Series, Followed]) -> Closed:
        """Close midnight `at`, up to which every series is followed.

        followed in the result: the series that the fleet's rule named, with their alarm.
        """
        closed = Closed()
        if self.fleet is None or (self.closed_through is not None and at <= self.closed_through):
            return closed
        self.closed_through = at
        if at <= self.settled_through:
            for series in self.known_names.get(at, []):
                if series in followed:
                    closed.followed[series] = learn_naming(followed[series])
            self._take(self.known.get(at, []))
            return closed
        chosen = named(self.fleet, (f.state for f in followed.values()), self.in_force)
        brought = in_lockstep(name(followed[state.series], at) for state in chosen)
        for state, (after, judged) in zip(chosen, brought, strict=True):
            if judged is not None:
                closed.followed[state.series] = after
                closed.judged.append(judged)
                closed.namings.append(Naming(state.series, at, _of_threshold(state)))
        states = [closed.followed.get(s, f).state for s, f in followed.items()]
        closed.thresholds = settle(self.fleet, states, self.in_force, at)
        self._take(closed.thresholds)
        return closed

    def _threshold(self, followed: Followed, at: datetime) -> Threshold | None:
        found = self.in_force.get(followed.state.series)
        return found if found is not None and found.effective_at < at else None

    def _take(self, new: Sequence[Threshold]) -> None:
        for one in new:
            self.in_force[one.series] = one
            if self.begun_at is None:
                self.begun_at = one.effective_at


def _of_threshold(state: SeriesState) -> float:
    log_m = -float("inf") if state.detector is None else state.detector.log_m
    return exp(log_m - log(state.threshold))
