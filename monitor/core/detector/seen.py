"""Cohorts as detectors see them before they are learned: predictions and their errors.

Guarantees: what is seen of a cohort does not depend, to the bit, on the cohorts beside it. Must
never: look at the outcomes before the prediction is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.detector.calibration_map import Cells, Gaussian, Problem, features
from monitor.core.detector.shock import LevelLikelihood, expanded
from monitor.core.measures.logistic import sigmoid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.detector.arrival import Arrival
    from monitor.core.detector.bets import Bets

WEIGHT_MIN = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Labelled cohorts, one a series, each as the series' detector sees it.

    parts: cells of each cohort, x: their features, (d, its cells), span: their places among the
    cells of all. level_variance: variance of the fitted level, common to the cohort, to be
    integrated with the shock, (series,); shrinkage: what the rest of the map's error does to each
    logit (the moderated output of MacKay 1992, "The evidence framework applied to classification
    networks"), (cells,). arrivals: what the label horizon does to the logits after a bet has moved
    them; its error is common to the cohort too.
    """

    parts: list[Cells]
    x: list[NDArray[np.float64]]
    span: list[slice]
    level_variance: NDArray[np.float64]
    shrinkage: NDArray[np.float64]
    arrivals: Sequence[Arrival]

    @classmethod
    def by(
        cls,
        knots: NDArray[np.float64],
        maps: Sequence[Gaussian],
        counts: Sequence[BinCounts],
        arrivals: Sequence[Arrival],
    ) -> Self:
        """Cohorts' cells as maps with knots (series, knots) predict them; none without labels."""
        cells = Cells.of(counts)
        wide = features(cells.logit, knots, cells.owner).T
        parts, span = cells.by_cohort()
        # In one piece each: BLAS sums a part of a wider array in another order.
        x = [np.ascontiguousarray(wide[:, each]) for each in span]
        covariance = np.linalg.inv(np.array([each.precision for each in maps]))
        p = sigmoid(np.concatenate([m.mean @ own for m, own in zip(maps, x, strict=True)]))
        weight = cells.n * (p * (1 - p) + WEIGHT_MIN)
        pulled = np.array([own @ weight[s] for own, s in zip(x, span, strict=True)])
        centre = pulled / np.add.reduceat(weight, cells.first)[:, None]
        off = [own - middle[:, None] for own, middle in zip(x, centre, strict=True)]
        rest = [(o * (c @ o)).sum(axis=0) for o, c in zip(off, covariance, strict=True)]
        common = np.vecdot(centre, np.matvec(covariance, centre))
        late = np.array([each.se**2 for each in arrivals])
        shrinkage = 1 / np.sqrt(1 + np.pi / 8 * np.concatenate(rest))
        return cls(parts, x, span, common + late, shrinkage, arrivals)

    def levels(
        self, maps: NDArray[np.float64], bets: Bets, sigma: NDArray[np.float64]
    ) -> tuple[LevelLikelihood, NDArray[np.float64]]:
        """Likelihood of each cohort if nothing changed, and under each bet; (series, 1 + bets).

        maps: mean coefficients of each hypothesis, (series, 1 + bets, d). Also the outcomes' pull
        on the coefficients under each bet, (series, bets, d).
        """
        levels, pulls = [], []
        variance = (sigma**2 + self.level_variance).tolist()
        for at, (part, span, arrival) in enumerate(
            zip(self.parts, self.span, self.arrivals, strict=True)
        ):
            x = self.x[at]
            logits = maps[at] @ x
            logits *= self.shrinkage[span]
            logits[1:] = bets.moved(logits[1:], x.T)
            level, p = expanded(arrival.observed(logits), part, variance[at])
            levels.append(level)
            pulls.append(part.positive @ x.T - p[1:] @ (part.n * x).T)
        return LevelLikelihood.beside(levels), np.array(pulls)

    def problem(self, at: int, before: Gaussian, sigma: float) -> Problem:
        """What there is to learn from one cohort."""
        x, arrival, offset = self.x[at].T, self.arrivals[at], None
        if not arrival.is_complete:
            z = x @ before.mean
            offset = arrival.observed(z) - z
        return Problem(self.parts[at], x, before, sigma, offset)
