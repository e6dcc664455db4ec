"""Recalibrating: which map makes scores honest, fitted on earlier labels, chosen on later ones.

Guarantees: a map is proposed only where the later labels show that it lowers log loss, with room
for having tried several; what is proposed is the very map that was judged, not a refit. Must never:
judge a map on labels it was fitted to, or call useless scores useful because they became honest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from monitor.core.bins import BinCounts
from monitor.core.halves import halves
from monitor.core.held_out import HeldOut, shock_of
from monitor.core.recalibrator_fits import fit_map
from monitor.core.recalibrators import Method
from monitor.core.repairs import MIN_CLASS, MIN_LABELS, enough
from monitor.core.usefulness import usefulness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.held_out import Change
    from monitor.core.recalibrators import CalibrationMap
    from monitor.core.usefulness import Usefulness

ERROR = 0.05
"""Chance that any of the maps that are tried is shown to help by chance."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A family, its map, and what it changes of the held-out log loss; None where none rises."""

    method: Method
    map: CalibrationMap | None
    log_loss: Change | None

    @property
    def helps(self) -> bool:
        """Whether the held-out labels show that it lowers log loss."""
        return self.log_loss is not None and self.log_loss.high < 0


@dataclass(frozen=True, slots=True)
class Side:
    """Labels of one side of the split."""

    cohorts: int
    labels: int
    positive: int

    @classmethod
    def of(cls, cohorts: Sequence[BinCounts]) -> Side:
        """Counted."""
        whole = sum(cohorts, BinCounts.empty())
        return cls(len(cohorts), whole.n_labelled, whole.n_positive)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came of it. best: the tried map of the lowest held-out log loss, helping or not.

    changes: what the best one changes on the held-out labels; level: of their intervals, so that
    those of all tried maps hold together at 95 %. in_time: fitted on earlier and judged on later
    cohorts; otherwise, of a single cohort, on random halves. shock: what the
    intervals allow cohorts to differ by, in logits. use: of the scores, on all labels.
    """

    fitted: Side
    held_out: Side
    in_time: bool
    shock: float
    level: float
    tried: tuple[Tried, ...]
    best: Tried | None
    changes: tuple[Change, ...]
    use: Usefulness

    @property
    def map(self) -> CalibrationMap | None:
        """What is proposed; None where nothing is shown to help."""
        return self.best.map if self.best is not None and self.best.helps else None

    def of(self, metric: str) -> Change:
        """The change of a metric; raises KeyError where it is not known."""
        return {each.metric: each for each in self.changes}[metric]


def propose(cohorts: Sequence[BinCounts], methods: Sequence[Method] = tuple(Method)) -> Proposal:
    """The best of some families for cohorts in time order; raises ValueError for few labels."""
    labelled = [each for each in cohorts if each.n_labelled]
    in_time = len(labelled) > 1
    earlier, later = _split(labelled) if in_time else [[half] for half in halves(labelled, 0)]
    fit = sum(earlier, BinCounts.empty())
    fitted, kept = Side.of(earlier), Side.of(later)
    if not (enough(fit) and enough(sum(later, BinCounts.empty()))):
        msg = (
            f"{fitted.labels} labels to fit ({fitted.positive} of them 1) and {kept.labels} to "
            f"judge by ({kept.positive} of them 1); each side needs {MIN_LABELS}, and "
            f"{MIN_CLASS} of either class"
        )
        raise ValueError(msg)
    level = 1 - ERROR / len(methods)
    held_out = HeldOut.of(later, shock_of(labelled))
    tried = tuple(_tried(method, fit, held_out, level) for method in methods)
    # The simplest of equals, as `methods` has them.
    best = min(
        (each for each in tried if each.log_loss is not None),
        key=lambda each: each.log_loss.after if each.log_loss is not None else 0.0,
        default=None,
    )
    changes = held_out.changes(best.map, level) if best is not None and best.map else ()
    return Proposal(
        fitted=fitted,
        held_out=kept,
        in_time=in_time,
        shock=held_out.sigma,
        level=level,
        tried=tried,
        best=best,
        changes=changes,
        use=usefulness(fit + held_out.counts),
    )


def _tried(method: Method, fit: BinCounts, held_out: HeldOut, level: float) -> Tried:
    found = fit_map(method, fit)
    return Tried(method, found, None if found is None else held_out.log_loss(found, level))


def _split(
    cohorts: Sequence[BinCounts],
) -> tuple[Sequence[BinCounts], Sequence[BinCounts]]:
    """Earlier and later cohorts, as near to half of the labels each as whole cohorts allow."""
    until = list(accumulate(each.n_labelled for each in cohorts))
    cut = min(range(1, len(cohorts)), key=lambda k: abs(2 * until[k - 1] - until[-1]))
    return cohorts[:cut], cohorts[cut:]
