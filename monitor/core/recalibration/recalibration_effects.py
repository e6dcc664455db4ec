"""Did it help: which proposal a recalibration applied, and what verdicts said before and after.

Guarantees: a proposal is applied by the first event that names its hash or number; an event that
names none is that of the newest approved proposal on labels from before it. Must never: credit a
map with what another one did, or compare windows that hold labels from both sides of a change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.decision.comparing import mover

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.claims import Series
    from monitor.core.decision.comparing import Difference

APPROVED, REJECTED = "approved", "rejected"
SHORTEST_HASH = 8
"""Fewest hex digits of a hash that name a proposal."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal as recorded. window_end_at: event time; decision: the newest, if there is one."""

    proposal_id: int
    series: Series
    sha256: str
    window_end_at: datetime
    decision: str | None


@dataclass(frozen=True, slots=True)
class Applied:
    """A change event of kind recalibration around the proposals' model; event time."""

    version: str | None
    description: str
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """What one verdict says: its debiased ECE with interval; event times."""

    status: str
    evaluated_at: datetime
    labels: int
    ece: float
    ece_low: float
    ece_high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """Verdicts around an application. ece: after - before; None where one of them is not there."""

    applied_at: datetime
    before: Judged | None
    after: Judged | None
    ece: Difference | None

    @property
    def words(self) -> str:
        """Whether it helped, in one sentence."""
        if self.after is None:
            return "no verdict with labels from after the change yet"
        said = f"ECE {_figure(self.after)} after"
        if self.before is None or self.ece is None:
            return f"{said}; no verdict before it to compare with"
        said = f"ECE {_figure(self.before)} before, {_figure(self.after)} after"
        if self.ece.high < 0:
            return f"it helped: {said}"
        return f"it made things worse: {said}" if self.ece.low > 0 else f"not shown to help: {said}"


def applications(proposals: Sequence[Proposed], changes: Sequence[Applied]) -> dict[int, Applied]:
    """The event that applied each proposal, by number; the first one where several name it.

    An event applies to the whole traffic of a version, so a version's events apply to its segments.
    """
    found: dict[int, Applied] = {}
    for change in sorted(changes, key=lambda each: each.happened_at):
        mine = [p for p in proposals if change.version in {None, p.series.version}]
        named = [p for p in mine if _names(change.description, p)]
        if not named and not _hashes(change.description):
            ready = [
                p for p in mine if p.decision == APPROVED and p.window_end_at <= change.happened_at
            ]
            newest = {p.series: p for p in sorted(ready, key=lambda each: each.proposal_id)}
            named = list(newest.values())
        for proposal in named:
            found.setdefault(proposal.proposal_id, change)
    return found


def effect(applied_at: datetime, before: Judged | None, after: Judged | None) -> Effect:
    """before: newest verdict before the change; after: newest whose window lies wholly after it."""
    apart = None
    if before is not None and after is not None:
        apart = mover(
            "ece_debiased",
            (after.ece, after.ece_low, after.ece_high),
            (before.ece, before.ece_low, before.ece_high),
        )
    return Effect(applied_at, before, after, apart)


def _names(description: str, proposal: Proposed) -> bool:
    by_hash = any(proposal.sha256.startswith(each) for each in _hashes(description))
    return by_hash or re.search(rf"\bproposal {proposal.proposal_id}\b", description) is not None


def _hashes(description: str) -> list[str]:
    return re.findall(rf"\b[0-9a-f]{{{SHORTEST_HASH},64}}\b", description)


def _figure(judged: Judged) -> str:
    return f"{judged.ece:.3f} ({judged.ece_low:.3f} to {judged.ece_high:.3f})"
