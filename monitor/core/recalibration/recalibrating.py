"""Recalibrating: which map makes scores honest, fitted on earlier labels, chosen on later ones.

Guarantees: a map is proposed only where labels that it was not fitted to show that it lowers log
loss, with room for having tried several. Of cohorts in time what is proposed is the very map that
was judged. A single cohort has no later labels: two random halves are each moved by the map of the
other, both are judged together, and the family that is shown to help is fitted to all labels; of
honest scores that happens to at most 5 % of files, of any size. Must never: judge a map on labels
it was fitted to, or call useless scores useful because they became honest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.measures.halves import halves
from monitor.core.measures.usefulness import usefulness
from monitor.core.recalibration.held_out import CrossFitted, HeldOut, shock_of
from monitor.core.recalibration.recalibrator_fits import fit_map
from monitor.core.recalibration.recalibrators import Method
from monitor.core.recalibration.repairs import MIN_CLASS, MIN_LABELS, enough

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.measures.usefulness import Usefulness
    from monitor.core.recalibration.held_out import Change
    from monitor.core.recalibration.recalibrators import CalibrationMap

ERROR = 0.05
"""Chance that any of the maps that are tried is shown to help by chance."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A family, its map, and what it changes of the held-out log loss; None where none rises.

    judged: what the held-out labels were moved by, where that is not the map itself; log_evidence:
    then the proposal's, which decides instead of the interval.
    """

    method: Method
    map: CalibrationMap | None
    log_loss: Change | None
    judged: CrossFitted | None = None
    log_evidence: float | None = None

    @property
    def helps(self) -> bool:
        """Whether the held-out labels show that it lowers log loss."""
        if self.log_loss is None:
            return False
        if self.log_evidence is None:
            return self.log_loss.high < 0
        return self.log_loss.difference < 0 and self.log_evidence >= -math.log(ERROR)


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
    cohorts; otherwise, of a single cohort, fitted to all labels, and every label judged by the map
    that was fitted to the other random half. shock: what the intervals allow cohorts to differ by,
    in logits. use: of the scores, on all labels. log_evidence: of a single cohort against honest
    scores, natural logarithm; None in time. Intervals are then of 95 % each.
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
    log_evidence: float | None = None

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
    level, log_evidence = 1 - ERROR, None
    whole = sum(labelled, BinCounts.empty())
    if len(labelled) > 1:
        earlier, later = _split(labelled)
        fit, kept = Side.of(earlier), Side.of(later)
        fitted_to = sum(earlier, BinCounts.empty())
        _refuse_few(fitted_to, sum(later, BinCounts.empty()))
        held_out = HeldOut.of(later, shock_of(labelled))
        level = 1 - ERROR / len(methods)
        tried = tuple(_tried(method, fitted_to, held_out, level) for method in methods)
    else:
        one, other = halves(labelled, 0)
        fit = kept = Side.of(labelled)
        _refuse_few(one, other)
        held_out = HeldOut.of([one, other], 0.0)
        tried = tuple(_cross_fitted(method, one, other, held_out, level) for method in methods)
        log_evidence = _log_evidence(tried, one, other)
        tried = tuple(replace(each, log_evidence=log_evidence) for each in tried)
    # The simplest of equals, as `methods` has them.
    best = min(
        (each for each in tried if each.log_loss is not None),
        key=lambda each: each.log_loss.after if each.log_loss is not None else 0.0,
        default=None,
    )
    changes = held_out.changes(best.judged or best.map, level) if best and best.map else ()
    return Proposal(
        fitted=fit,
        held_out=kept,
        in_time=len(labelled) > 1,
        shock=held_out.sigma,
        level=level,
        tried=tried,
        best=best,
        changes=changes,
        use=usefulness(whole),
        log_evidence=log_evidence,
    )


def _refuse_few(fit: BinCounts, kept: BinCounts) -> None:
    """Raises ValueError where a side has too few labels, or too few of a class."""
    if not (enough(fit) and enough(kept)):
        msg = (
            f"{fit.n_labelled} labels to fit ({fit.n_positive} of them 1) and {kept.n_labelled} "
            f"to judge by ({kept.n_positive} of them 1); each side needs {MIN_LABELS}, and "
            f"{MIN_CLASS} of either class"
        )
        raise ValueError(msg)


def _tried(method: Method, fit: BinCounts, held_out: HeldOut, level: float) -> Tried:
    found = fit_map(method, fit)
    return Tried(method, found, None if found is None else held_out.log_loss(found, level))


def _cross_fitted(
    method: Method, one: BinCounts, other: BinCounts, held_out: HeldOut, level: float
) -> Tried:
    """Each half moved by the map of the other; the map that is written is of both."""
    of_one, of_other, of_both = (fit_map(method, each) for each in (one, other, one + other))
    if of_one is None or of_other is None or of_both is None:
        return Tried(method, None, None)
    judged = CrossFitted((of_other, of_one))
    return Tried(method, of_both, held_out.log_loss(judged, level), judged)


def _log_evidence(tried: Sequence[Tried], one: BinCounts, other: BinCounts) -> float:
    """Logarithm of the e-value against honest scores.

    How much likelier a half is under the other half's map than under its scores, the mean of both
    halves and of all families; 1 of a family without a map. Its mean is at most 1 if the scores are
    honest, so it reaches 20 with a chance of 5 % at most (Wasserman, Ramdas and Balakrishnan 2020,
    section 3.1; means of e-values: Vovk and Wang 2021).
    """
    found = []
    for each in tried:
        if each.judged is None:
            found += [0.0, 0.0]
            continue
        for half, map_ in zip((one, other), each.judged.maps, strict=True):
            gain = HeldOut.of([half], 0.0).log_loss(map_, 1 - ERROR).difference
            found.append(-half.n_labelled * gain)
    return float(np.logaddexp.reduce(found) - math.log(len(found)))


def _split(
    cohorts: Sequence[BinCounts],
) -> tuple[Sequence[BinCounts], Sequence[BinCounts]]:
    """Earlier and later cohorts, as near to half of the labels each as whole cohorts allow."""
    until = list(accumulate(each.n_labelled for each in cohorts))
    cut = min(range(1, len(cohorts)), key=lambda k: abs(2 * until[k - 1] - until[-1]))
    return cohorts[:cut], cohorts[cut:]
