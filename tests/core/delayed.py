"""Seeded streams with delayed labels, for tests of delays, horizons and provisional views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.delays import DAY_S, DelayCounts
from monitor.core.logistic import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIVE_S, NEGATIVE_S = 2 * DAY_S, 7 * DAY_S
"""Mean delays: positives Exp(2 d), negatives Exp(7 d)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Predictions of a calibrated model, and when each label comes; all of shape (n,)."""

    score: NDArray[np.float64]
    outcome: NDArray[np.bool_]
    delay_s: NDArray[np.float64]

    def by(self, age_s: float | NDArray[np.float64]) -> BinCounts:
        """Counts with the labels that have come by an age of the prediction."""
        return BinCounts.from_rows(self.score, self.outcome, self.delay_s <= age_s)

    def delays(self, until_s: int = 90 * DAY_S) -> DelayCounts:
        """Delays of all labels, seen up to until_s."""
        return DelayCounts.from_rows(self.delay_s, self.outcome, until_s)


def rows(rng: np.random.Generator, n: int, slower: float = 1.0) -> Rows:
    """Rows of the calibrated model, negatives' labels slower by a factor."""
    score = sigmoid(rng.normal(-0.5, 1.5, n))
    outcome = rng.random(n) < score
    mean_s = np.where(outcome, POSITIVE_S, NEGATIVE_S * slower)
    return Rows(score, outcome, rng.exponential(mean_s))
