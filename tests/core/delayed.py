"""Seeded streams with delayed labels, for tests of delays, horizons and provisional views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.delays import DAY_S, DelayCounts
from monitor.core.judging.series_state import IMPORTED, Baseline, Cohort
from monitor.core.measures.logistic import logit, sigmoid

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


def rows(rng: np.random.Generator, n: int, slower: float = 1.0, shifted: float = 0.0) -> Rows:
    """Rows of the calibrated model, negatives' labels slower by a factor.

    shifted: logits by which the model is wrong.
    """
    score = sigmoid(rng.normal(-0.5, 1.5, n))
    outcome = rng.random(n) < sigmoid(logit(score) + shifted)
    mean_s = np.where(outcome, POSITIVE_S, NEGATIVE_S * slower)
    return Rows(score, outcome, rng.exponential(mean_s))


SERIES = Series("delayed", "1")


@dataclass(frozen=True, slots=True)
class Stream:
    """Days of a model with delayed labels, as the fold sees them.

    per_day: predictions a day; horizon_d: label horizon (at 7, F0 is .63); correction_d:
    correction horizon; negative: unlabelled rows count as negatives. From `change_day` on the
    negatives' labels are slower by a factor, or the model is wrong by `shifted` logits.
    """

    per_day: int = 800
    horizon_d: int = 7
    correction_d: int = 45
    negative: bool = False
    change_day: int = 1_000_000
    slower: float = 1.0
    shifted: float = 0.0

    def cohorts(self, rng: np.random.Generator, days: int) -> list[Cohort]:
        """Day cohorts, each with its on-time delays and those that have become complete with it."""
        horizon_s, correction_s = self.horizon_d * DAY_S, self.correction_d * DAY_S
        drawn = [self._day(rng, day) for day in range(days)]
        found = []
        for day, mine in enumerate(drawn):
            # Day k is complete at k + 1 + correction_d, and cohort `day` judged at day + 1 + H.
            aged = day - (self.correction_d - self.horizon_d)
            complete = None if aged < 0 else _within(drawn[aged], correction_s)
            on_time = _within(mine, horizon_s)
            found.append(
                Cohort(day * DAY_S, (day + 1) * DAY_S, self._counts(mine), on_time, complete)
            )
        return found

    def baseline(self, rng: np.random.Generator, days: int = 10) -> Baseline:
        """An imported baseline: complete labels of days before the stream."""
        whole = tuple(
            Cohort(
                (day - days) * DAY_S, (day - days + 1) * DAY_S, rows(rng, self.per_day).by(np.inf)
            )
            for day in range(-days, 0)
        )
        return Baseline(SERIES, IMPORTED, whole)

    def _day(self, rng: np.random.Generator, day: int) -> Rows:
        if day < self.change_day:
            return rows(rng, self.per_day)
        return rows(rng, self.per_day, self.slower, self.shifted)

    def _counts(self, found: Rows) -> BinCounts:
        on_time = found.delay_s <= self.horizon_d * DAY_S
        if self.negative:
            return BinCounts.from_rows(found.score, found.outcome & on_time)
        return BinCounts.from_rows(found.score, found.outcome, on_time)


def _within(found: Rows, age_s: int) -> DelayCounts:
    """Delays of the labels that have come by an age."""
    seen = found.delay_s <= age_s
    return DelayCounts.from_rows(found.delay_s[seen], found.outcome[seen], age_s)
