"""Thresholds: what every cutoff costs, from the reliability histogram alone.

Guarantees: at an edge of a micro-bin (every multiple of 1/60 is one) costs are those of the raw
rows, exactly; elsewhere `resolution` bounds the distance for the very counts. Intervals are closed
forms, so equal counts give equal bits. Must never: use a random number, or call a cutoff too
costly because the best one was picked by the same labels.

A prediction is acted on if its score is above the cutoff. Costs are means per labelled
prediction, in the policy's unit: c_fp for acting on a 0, c_fn for not acting on a 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import EDGES
from monitor.core.measures.weighted_rates import weighted_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.decisions import DecisionPolicy
    from monitor.core.measures.weighted_rates import Kind

CUTOFFS: NDArray[np.float64] = np.concatenate([[0.0], EDGES])
"""Every cutoff that is looked at: 0 (acts on all), and each micro-bin's upper edge."""
Z_ALL = 2.5
"""Standard errors at which a saving counts as shown, for all cutoffs looked at together: the
largest of the standardized savings over 316 strongly correlated cutoffs. Measured in tests: the
interval of the largest saving holds it in at least 95 % of the samples."""


@dataclass(frozen=True, slots=True)
class CutoffCost:
    """One cutoff's cost per labelled prediction with its 95 % interval.

    resolution: how far the raw rows' cost may lie from `cost`; 0 at an edge of a micro-bin.
    false_positive, false_negative: shares of the labelled predictions.
    """

    cutoff: float
    cost: float
    low: float
    high: float
    resolution: float
    false_positive: float
    false_negative: float


@dataclass(frozen=True, slots=True)
class Saving:
    """What the best cutoff saves against the present one, per labelled prediction; at least 0.

    low and high hold for all cutoffs at once, so picking the best by the same labels costs nothing.
    too_costly: the present cutoff is shown to cost more than (1 + tolerance) times the best;
    is_fine: it is shown not to. Both are false where the labels do not tell, and then about
    labels_needed would, if the costs are what they seem; infinite where they seem to be equal.
    """

    value: float
    low: float
    high: float
    too_costly: bool
    is_fine: bool
    labels_needed: float


@dataclass(frozen=True, slots=True, eq=False)
class CostCurve:
    """Cost of every cutoff of CUTOFFS, per labelled prediction; all arrays of its shape.

    false_positive, false_negative: counts of labelled rows. low, high: 95 % interval of each
    cutoff's cost by itself.
    """

    n: int
    decision: DecisionPolicy
    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    false_positive: NDArray[np.float64]
    false_negative: NDArray[np.float64]
    cost: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, counts: BinCounts, decision: DecisionPolicy) -> Self:
        """The curve of some counts; raises ValueError without labels."""
        n = counts.n_labelled
        if not n:
            msg = "no labels: a cutoff's cost cannot be known"
            raise ValueError(msg)
        positive, negative = counts.positive, counts.labelled - counts.positive
        missed = np.concatenate([[0], np.cumsum(positive)]).astype(np.float64)
        acted = counts.n_labelled - counts.n_positive - np.concatenate([[0], np.cumsum(negative)])
        kinds = (
            (acted, decision.cost_false_positive),
            (missed, decision.cost_false_negative),
        )
        cost, low, high = weighted_rates(kinds, n)
        return cls(
            n, decision, positive, negative, acted.astype(np.float64), missed,
            cost, np.maximum(low, 0.0), high,
        )  # fmt: skip

    def at(self, cutoff: float) -> CutoffCost:
        """One cutoff in [0, 1]; within a micro-bin its rows are taken to lie evenly."""
        false_positive, false_negative, resolution = self._errors(cutoff)
        kinds = (
            (false_positive, self.decision.cost_false_positive),
            (false_negative, self.decision.cost_false_negative),
        )
        cost, low, high = weighted_rates(kinds, self.n)
        return CutoffCost(
            cutoff,
            float(cost),
            max(0.0, float(low)),
            float(high),
            resolution,
            float(false_positive / self.n),
            float(false_negative / self.n),
        )

    def best(self) -> CutoffCost:
        """The cutoff of least cost; among equals the one nearest to the honest scores' best.

        resolution: the least cost over all cutoffs of the raw rows is at most that much less.
        """
        least = np.flatnonzero(self.cost <= self.cost.min() * (1 + 1e-12))
        nearest = np.abs(CUTOFFS[least] - self.decision.calibrated_cutoff).argmin()
        found = self.at(float(CUTOFFS[least[nearest]]))
        # Within a bin, raising the cutoff saves at most its negatives, lowering it its positives.
        per_row = 1 / self.n
        from_below = self.cost[:-1] - self.decision.cost_false_positive * self.negative * per_row
        from_above = self.cost[1:] - self.decision.cost_false_negative * self.positive * per_row
        floor = float(np.maximum(from_below, from_above).min())
        return CutoffCost(
            found.cutoff,
            found.cost,
            found.low,
            found.high,
            max(0.0, found.cost - floor),
            found.false_positive,
            found.false_negative,
        )

    def about_as_good(self) -> tuple[float, float]:
        """Lowest and highest cutoff that the labels do not show to cost more than the best."""
        best = self.best().cutoff
        _, _, high = self._savings(best, 0.0)
        held = CUTOFFS[high >= 0]
        return float(min(held.min(), best)), float(max(held.max(), best))

    def saving(self) -> Saving:
        """What the best cutoff saves against the present one, and whether that is too much."""
        present = self.decision.cutoff
        value, low, high = self._savings(present, 0.0)
        beyond = self._savings(present, self.decision.tolerance)
        too_costly, is_fine = bool(beyond[1].max() > 0), bool(beyond[2].max() <= 0)
        return Saving(
            value=max(0.0, float(value.max())),
            low=max(0.0, float(low.max())),
            high=max(0.0, float(high.max())),
            too_costly=too_costly,
            is_fine=is_fine,
            labels_needed=float(self.n) if too_costly or is_fine else self.n * _times(*beyond),
        )

    def _savings(
        self, present: float, tolerance: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """cost(present) - (1 + tolerance) cost(c) for each c of CUTOFFS, with its ends."""
        acted, missed, _ = self._errors(present)
        c_fp, c_fn = self.decision.cost_false_positive, self.decision.cost_false_negative
        # A higher cutoff spares false positives and misses more; a lower one the other way round.
        higher = present <= CUTOFFS
        fewer = np.where(higher, acted - self.false_positive, missed - self.false_negative)
        more = np.where(higher, self.false_negative - missed, self.false_positive - acted)
        kinds: list[Kind] = [
            (np.maximum(fewer, 0.0), np.where(higher, c_fp, c_fn)),
            (np.maximum(more, 0.0), -(1 + tolerance) * np.where(higher, c_fn, c_fp)),
        ]
        if tolerance:
            kinds += [
                (np.minimum(acted, self.false_positive), -tolerance * c_fp),
                (np.minimum(missed, self.false_negative), -tolerance * c_fn),
            ]
        return weighted_rates(kinds, self.n, Z_ALL)

    def _errors(self, cutoff: float) -> tuple[float, float, float]:
        """False positives, false negatives and the bound on the cost of one cutoff."""
        if cutoff <= 0:
            return float(self.false_positive[0]), 0.0, 0.0
        bin_ = int(np.searchsorted(EDGES, cutoff, side="left"))
        below = (cutoff - CUTOFFS[bin_]) / (EDGES[bin_] - CUTOFFS[bin_])
        positive, negative = float(self.positive[bin_]), float(self.negative[bin_])
        other = max(below, 1 - below) if below < 1 else 0.0
        worst = self.decision.cost_false_positive * negative
        worst += self.decision.cost_false_negative * positive
        return (
            float(self.false_positive[bin_]) - below * negative,
            float(self.false_negative[bin_]) + below * positive,
            other * worst / self.n,
        )


def _times(
    value: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> float:
    """How many times the labels make the values certain: intervals shrink with their root."""
    if value.max() > 0:
        worth = np.flatnonzero(value > 0)
        return float(((value[worth] - low[worth]) / value[worth]).min() ** 2)
    if value.max() == 0:
        return float("inf")
    return float(((high - value) / value).min() ** 2)
