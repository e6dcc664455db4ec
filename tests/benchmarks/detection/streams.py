"""Seeded streams of labelled scores whose true map is known: nulls, changes and wobbles.

Guarantees: a stream is a function of its setting and the generator alone; raw rows and cohorts
are the same labels. Logits of the scores are N(centre, 1.8^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.measures.logistic import sigmoid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Truth = Callable[[Floats], Floats]
    Wobble = Callable[[np.random.Generator, int], Floats]

SPREAD = 1.8
BATCH = 250
DAY_LABELS = 500
DAY_SHOCK = 0.2
AR_PHI = 0.7
SEASON = 0.2


def honest(z: Floats) -> Floats:
    """The map of a calibrated model: logit of P(y = 1) by the score's logit."""
    return z


def wrong(z: Floats) -> Floats:
    """A miscalibrated model, overconfident and low."""
    return 0.3 + 0.7 * z


def wiggly(z: Floats) -> Floats:
    """A map with waves that no straight line follows."""
    return z + 0.3 * np.sin(2 * z)


@dataclass(frozen=True)
class Setting:
    """What a stream is drawn from; `before` holds in the baseline, `after` from its end on."""

    n_baseline: int
    n_after: int
    before: Truth = honest
    after: Truth = honest
    centre_after: float = 0.0
    cohort: int = BATCH
    wobble: Wobble | None = None

    def draw(self, rng: np.random.Generator) -> Stream:
        """One stream."""
        n = self.n_baseline + self.n_after
        z = rng.normal(0, SPREAD, n)
        z[self.n_baseline :] += self.centre_after
        true = np.concatenate([self.before(z[: self.n_baseline]), self.after(z[self.n_baseline :])])
        if self.wobble is not None:
            levels = self.wobble(rng, -(-n // self.cohort))
            true += np.repeat(levels, self.cohort)[:n]
        outcome = rng.random(n) < sigmoid(true)
        return Stream(sigmoid(z), outcome, self.n_baseline, self.cohort)


@dataclass(frozen=True)
class Stream:
    """Labelled rows in order; monitoring begins behind the first n_baseline of them."""

    score: Floats
    outcome: Bools
    n_baseline: int
    cohort: int = BATCH

    @property
    def n_after(self) -> int:
        """Labels that are monitored."""
        return len(self.score) - self.n_baseline

    @cached_property
    def cohorts(self) -> list[BinCounts]:
        """Whole cohorts of all rows, made once; the baseline ends with one of them."""
        return cohorts(self.score, self.outcome, self.cohort)


def cohorts(score: Floats, outcome: Bools, size: int) -> list[BinCounts]:
    """Counts of rows in runs of `size`; a last run that is not full is left out."""
    return [
        BinCounts.from_rows(score[at : at + size], outcome[at : at + size])
        for at in range(0, len(score) - size + 1, size)
    ]


def day_shocks(rng: np.random.Generator, n_days: int) -> Floats:
    """Independent shocks N(0, .2^2)."""
    return rng.normal(0, DAY_SHOCK, n_days)


def ar_shocks(rng: np.random.Generator, n_days: int) -> Floats:
    """Stationary AR(1) shocks: standard deviation .2, correlation .7 from day to day."""
    level = rng.normal(0, DAY_SHOCK)
    levels = []
    for new in rng.normal(0, DAY_SHOCK * np.sqrt(1 - AR_PHI**2), n_days).tolist():
        levels.append(level)
        level = AR_PHI * level + new
    return np.array(levels)


def season(period_days: float) -> Wobble:
    """A sine of .2 logit with this period, and a random phase."""

    def levels(rng: np.random.Generator, n_days: int) -> Floats:
        phase = rng.uniform(0, 2 * np.pi)
        return np.asarray(SEASON * np.sin(2 * np.pi * np.arange(n_days) / period_days + phase))

    return levels


NULLS: dict[str, tuple[Truth, float]] = {
    "calibrated": (honest, 0.0),
    "shifted scores": (honest, 1.0),
    "miscalibrated baseline": (wrong, 0.0),
    "miscalibrated, shifted": (wrong, 1.0),
    "wiggly, shifted": (wiggly, 1.0),
}
"""Map of baseline and stream, and by how many logits the scores move behind the baseline."""

CHANGES: dict[str, Truth] = {
    "T 1.3": lambda z: z / 1.3,
    "T 1.5": lambda z: z / 1.5,
    "T 2": lambda z: z / 2,
    "+.3": lambda z: z + 0.3,
    "+.5": lambda z: z + 0.5,
    "+1": lambda z: z + 1.0,
    "local": lambda z: z - 1.0 * ((z > 1) & (z < 2)),
}
"""The map behind the baseline; in the baseline the model is honest."""
