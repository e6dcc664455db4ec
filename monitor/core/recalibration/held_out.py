"""Held-out labels: what a map changes on labels that it was not fitted to, with intervals.

Guarantees: the same labels before and after, so what is hard about a row cancels; what whole days
have in common is in the intervals. Must never: be given the labels of the fit.

Log losses are of scores clipped to [1e-6, 1 - 1e-6], before as after, as the maps do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import (
    FIXED_POINT,
    N_BINS,
    N_SUMS,
    SCORE_MAX,
    SCORE_MIN,
    BinCounts,
    bin_index,
)
from monitor.core.decision.comparing import mover
from monitor.core.detector.calibration_map import Cells, hat_knots, prior
from monitor.core.detector.shock import SIGMAS, sigma_chances
from monitor.core.measures.debiased_ece import debiased_ece
from monitor.core.measures.influences import Rows, of_reliability, of_resolution, parts
from monitor.core.measures.metrics import ranking
from monitor.core.measures.moments import ClassMoments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.core.recalibration.recalibrators import CalibrationMap

SURE = 0.9
"""Quantile of what sigma may be that is taken for it: a few days tell little of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """An estimate before and after a map; difference: after - before, with its interval."""

    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """A map for each cohort that is judged, fitted to labels of the others."""

    maps: tuple[CalibrationMap, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Labels of whole cohorts that share a shock of `sigma` logits each.

    rows: of each cohort its micro-bins' positives, then their negatives; cohort: each row's. Maps
    that are judged on them are one for all cohorts, or `CrossFitted` in their order.
    """

    cohorts: tuple[BinCounts, ...]
    rows: Rows
    cohort: NDArray[np.int64]
    sigma: float

    @classmethod
    def of(cls, cohorts: Sequence[BinCounts], sigma: float) -> Self:
        """Of one cohort with labels or more, in any order."""
        held = [each for each in cohorts if each.n_labelled]
        rows = [Rows.of_counts(each) for each in held]
        return cls(
            tuple(held),
            Rows(*(np.concatenate([getattr(each, name) for each in rows]) for name in _ROWS)),
            np.repeat(np.arange(len(rows)), [len(each.score) for each in rows]),
            sigma,
        )

    def log_loss(self, map_: CalibrationMap | CrossFitted, level: float) -> Change:
        """Mean log loss in nats."""
        move = self._mover(map_)
        before = _mean_log_loss(self._ends(), self.rows.outcome)
        after = _mean_log_loss(tuple(move(e) for e in self._ends()), self.rows.outcome)
        return self._of_means("log_loss", before, after, map_, level)

    def changes(self, map_: CalibrationMap | CrossFitted, level: float) -> tuple[Change, ...]:
        """Log loss, debiased ECE (always 95 %), Brier with reliability and resolution, AUROC."""
        move = self._mover(map_)
        low, high = (move(end) for end in self._ends())
        moved = replace(
            Rows.of(move(self.rows.score), self.rows.outcome > 0),
            weight=self.rows.weight,
            spread=((high - low) / 2) ** 2,
        )
        old, new = parts(self.rows), parts(moved)
        return (
            self.log_loss(map_, level),
            self._ece(map_),
            self._of_means("brier", _square(self.rows), _square(moved), map_, level),
            self._of_influences(
                "reliability",
                (old.reliability, new.reliability),
                of_reliability(moved) - of_reliability(self.rows),
                map_,
                level,
            ),
            self._of_influences(
                "resolution",
                (old.resolution, new.resolution),
                of_resolution(moved) - of_resolution(self.rows),
                map_,
                level,
            ),
            self._auroc(map_, level),
        )

    @property
    def counts(self) -> BinCounts:
        """All of its labels."""
        return sum(self.cohorts, BinCounts.empty())

    def _mover(
        self, map_: CalibrationMap | CrossFitted
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        """What moves scores that have one element a row."""
        if not isinstance(map_, CrossFitted):
            return map_

        def move(score: NDArray[np.float64]) -> NDArray[np.float64]:
            moved = np.empty_like(score)
            for number, each in enumerate(map_.maps):
                mine = self.cohort == number
                moved[mine] = each(score[mine])
            return moved

        return move

    def _ece(self, map_: CalibrationMap | CrossFitted) -> Change:
        if not isinstance(map_, CrossFitted):
            return _ece(self.counts, moved_counts(self.counts, map_))
        moved = [moved_counts(c, m) for c, m in zip(self.cohorts, map_.maps, strict=True)]
        return _ece(self.counts, sum(moved, BinCounts.empty()))

    def _auroc(self, map_: CalibrationMap | CrossFitted, level: float) -> Change:
        """Of cross-fitted maps the mean of the cohorts' own: scores of two maps have no order."""
        if not isinstance(map_, CrossFitted):
            return _auroc(self.counts, map_, level)
        found = [_auroc(c, m, level) for c, m in zip(self.cohorts, map_.maps, strict=True)]
        share = np.array([each.n_labelled for each in self.cohorts]) / self.counts.n_labelled
        before, after, low = (
            np.array([getattr(each, name) for each in found]) for name in ("before", "after", "low")
        )
        apart = after - before
        half = float(np.sqrt(share**2 @ (apart - low) ** 2))
        difference = float(share @ apart)
        return Change(
            "auroc",
            float(share @ before),
            float(share @ after),
            difference,
            difference - half,
            difference + half,
        )

    def _ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores one standard deviation about each row's, as `logistic.nodes` has them."""
        sd = np.sqrt(self.rows.spread)
        return np.clip(self.rows.score - sd, 0, 1), np.clip(self.rows.score + sd, 0, 1)

    def _of_means(
        self,
        metric: str,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        map_: CalibrationMap | CrossFitted,
        level: float,
    ) -> Change:
        means = [float(self.rows.weight @ each / self.rows.n) for each in (before, after)]
        return self._of_influences(metric, (means[0], means[1]), after - before, map_, level)

    def _of_influences(
        self,
        metric: str,
        values: tuple[float, float],
        apart: NDArray[np.float64],
        map_: CalibrationMap | CrossFitted,
        level: float,
    ) -> Change:
        """apart: how much each row adds to the difference, up to a constant."""
        n = self.rows.n
        own = apart - self.rows.weight @ apart / n
        variance = float(self.rows.weight @ own**2) + self.sigma**2 * self._pull(apart, map_)
        half = _normal(level) * math.sqrt(variance) / n
        before, after = values
        difference = after - before
        return Change(metric, before, after, difference, difference - half, difference + half)

    def _pull(self, apart: NDArray[np.float64], map_: CalibrationMap | CrossFitted) -> float:
        """Sum over cohorts of the squares of what a shock of 1 logit adds to the summed difference.

        A shock changes each chance p by p (1 - p), and with it how many rows have what a positive
        adds instead of what a negative does. Chances are those after the map.
        """
        chance = self._mover(map_)(self.rows.score)
        weight = self.rows.weight * chance * (1 - chance)
        sums = np.zeros(int(self.cohort[-1]) + 1)
        for each in range(len(sums)):
            mine = self.cohort == each
            positive, negative = np.split(apart[mine], 2)
            sums[each] = np.add(*np.split(weight[mine], 2)) @ (positive - negative)
        return float(sums @ sums)


def shock_of(cohorts: Sequence[BinCounts]) -> float:
    """Size of the cohorts' shock in logits that is exceeded with a chance of .1; 0 for one cohort.

    Whatever map the scores have, and from the labels alone (`shock.sigma_chances`).
    """
    if len(cohorts) < 2:  # noqa: PLR2004  # one day says nothing of days
        return 0.0
    cells = Cells.of(cohorts)
    knots = hat_knots(cells)
    chances = sigma_chances(cells, knots, prior(len(knots)))
    return float(SIGMAS[np.searchsorted(np.cumsum(chances), SURE)])


_ROWS = ("score", "outcome", "weight", "bin", "spread")


def moved_counts(counts: BinCounts, map_: CalibrationMap) -> BinCounts:
    """Labelled counts after a map: each micro-bin moves as a whole, by its mean score."""
    held = np.flatnonzero(counts.labelled)
    n, positive = counts.labelled[held], counts.positive[held]
    moved = np.clip(map_(counts.mean_scores()[held]), 0.0, 1.0)
    fixed = [
        np.rint(each * FIXED_POINT).astype(np.int64)
        for each in (n * moved, n * moved**2, positive * moved)
    ]
    nats = _log_loss(moved, np.ones(len(n))) * positive
    nats += _log_loss(moved, np.zeros(len(n))) * (n - positive)
    sums = np.zeros((N_BINS, N_SUMS), dtype=np.int64)
    columns = [n, n, positive, *fixed, np.rint(nats * FIXED_POINT).astype(np.int64)]
    np.add.at(sums, bin_index(moved), np.column_stack(columns))
    return BinCounts(sums)


def _ece(before: BinCounts, after: BinCounts) -> Change:
    old, new = debiased_ece(before), debiased_ece(after)
    found = mover("ece_debiased", (new.value, new.low, new.high), (old.value, old.low, old.high))
    return Change(found.metric, old.value, new.value, found.difference, found.low, found.high)


def _auroc(counts: BinCounts, map_: CalibrationMap, level: float) -> Change:
    """DeLong, DeLong and Clarke-Pearson 1988, on micro-bins; a kept order has no error."""
    m = ClassMoments.of(counts)
    orders = m.mean, map_(m.mean)
    before, after = (ranking(order, m) for order in orders)
    variance = 0.0
    for own, other, sign in (
        (m.n_positive, m.n_negative, 1),
        (m.n_negative, m.n_positive, -1),
    ):
        old, new = (_share_beyond(sign * order, other) for order in orders)
        apart = new - old
        n = max(1.0, float(own.sum()))
        variance += float(own @ (apart - own @ apart / n) ** 2) / n**2
    half = _normal(level) * variance**0.5
    return Change(
        "auroc", before, after, after - before, after - before - half, after - before + half
    )


def _share_beyond(order: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the other class's rows below each micro-bin, equal ones by halves."""
    _, place = np.unique(order, return_inverse=True)
    level = np.bincount(place, other)
    return np.asarray(((np.cumsum(level) - level / 2) / max(1.0, float(other.sum())))[place])


def _normal(level: float) -> float:
    from scipy.special import ndtri  # noqa: PLC0415  # most commands never need it; it takes long

    return float(ndtri((1 + level) / 2))


def _square(rows: Rows) -> NDArray[np.float64]:
    return np.asarray((rows.score - rows.outcome) ** 2 + rows.spread)


def _mean_log_loss(
    ends: tuple[NDArray[np.float64], ...], outcome: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.mean([_log_loss(end, outcome) for end in ends], axis=0))


def _log_loss(score: NDArray[np.float64], outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(score, SCORE_MIN, SCORE_MAX)
    return np.asarray(-np.log(np.where(outcome > 0, clipped, 1 - clipped)))
