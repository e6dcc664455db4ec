"""Wobble: what whole cohorts may do in common without any drift, as a mixture of simple models.

Two forms, behind one interface that the detector reads: `IidShock`, each cohort shifted by its own
shock of unknown size; and `HiddenLevel`, a level that lives on from cohort to cohort (an AR(1) of
unknown memory and size with heavy-tailed moves), for series whose baseline shows a memory.

Guarantees: a state is one model, or one model at one level; what is known is a distribution over
states, exact on its grid (forward algorithm of a hidden Markov model: Rabiner 1989). Must never:
choose between the forms; `autocorrelation.py` tests the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from monitor.core.detector.shock import SIGMAS, LevelLikelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Waiting = tuple[NDArray[np.float64], ...]


LEVELS: NDArray[np.float64] = np.linspace(-1.2, 1.2, 61)
"""Grid of the hidden level, in logits."""
PHIS = (0.0, 0.5, 0.8, 0.95, 0.99)
SDS = (0.04, 0.08, 0.16, 0.32, 0.64)
"""Standard deviations of the level in the long run, in logits."""
TAIL_SHARE, TAIL_FACTOR = 0.05, 3.0
"""Share of the level's moves that are wider, and by how much."""
LAG = 14
"""Cohorts after which a cohort tells of the shock's size: else a drift that has begun would pass
for a larger shock before it has shown itself. Two weeks of days."""
CHANCE_MIN = 1e-100
"""Of a state: none is ever ruled out for good."""
TEMPER = 0.7
"""Power of the baseline's evidence on each model: what held there may not hold quite so later."""


class Wobble(Protocol):
    """A form of wobble. Arrays of chances have the shape of its states as their last axes."""

    @property
    def sds(self) -> NDArray[np.float64]:
        """Standard deviation of the wobble in each state's model, logits; shape of the states."""

    def moved(self, chances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chances of the states one cohort later; shape as given."""

    def log_likelihood(
        self, level: LevelLikelihood, variance: float | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Log likelihood of cohorts, (..., hypotheses, states), or to be broadcast to that.

        variance: of the map's fitted level, common to a cohort; one a cohort, (...).
        """

    def carried(
        self, shares: NDArray[np.float64], known: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Chances of the states in which a bet goes on: its own shares, or what is known."""

    def learned(
        self, known: NDArray[np.float64], waiting: Waiting, likelihood: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], Waiting]:
        """Chances after one more cohort, and what is still to be learned."""


@dataclass(frozen=True, slots=True)
class IidShock:
    """Each cohort has a shock N(0, sigma^2) of its own; the states are the sizes SIGMAS."""

    @property
    def sds(self) -> NDArray[np.float64]:
        """Sizes of the shock."""
        return SIGMAS

    def moved(self, chances: NDArray[np.float64]) -> NDArray[np.float64]:
        """A size stays as it is."""
        return chances

    def log_likelihood(
        self, level: LevelLikelihood, variance: float | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The shock and the map's fitted level integrated out."""
        return level.log_marginal(SIGMAS**2 + np.asarray(variance)[..., None])

    def carried(
        self, shares: NDArray[np.float64], known: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What is known: each cohort's shock is drawn anew, its size as well."""
        del shares
        return known

    def learned(
        self, known: NDArray[np.float64], waiting: Waiting, likelihood: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], Waiting]:
        """Learn the cohort of LAG cohorts ago."""
        waiting = (*waiting, likelihood)
        if len(waiting) <= LAG:
            return known, waiting
        return _updated(known, waiting[0]), waiting[1:]


@dataclass(frozen=True, slots=True, eq=False)
class HiddenLevel:
    """A level on the grid LEVELS, by model (memory phi, long-run standard deviation).

    States are (model, level). steps: chances of the moves, (models, from, to).
    """

    sds: NDArray[np.float64]
    steps: NDArray[np.float64]
    resting: NDArray[np.float64]

    @classmethod
    def made(cls) -> Self:
        """All models of PHIS and SDS."""
        models = [(phi, sd) for phi in PHIS for sd in SDS]
        steps = np.array([_steps(phi, sd * np.sqrt(1 - phi**2)) for phi, sd in models])
        resting = np.array([_spread(np.zeros(1), sd)[0] for _, sd in models]) / len(models)
        sds = np.array([[sd] * len(LEVELS) for _, sd in models])
        return cls(sds, steps, resting)

    def moved(self, chances: NDArray[np.float64]) -> NDArray[np.float64]:
        """One step of the chain."""
        rows = np.moveaxis(chances, -2, 0).reshape(len(self.steps), -1, len(LEVELS))
        later = np.matmul(rows, self.steps)
        return np.moveaxis(later.reshape(len(self.steps), *chances.shape[:-2], -1), 0, -2)

    def log_likelihood(
        self, level: LevelLikelihood, variance: float | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """At each level; the map's own level error lives in the level and is not added again."""
        del variance
        return level.at_levels(LEVELS)[..., None, :]

    def carried(
        self, shares: NDArray[np.float64], known: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Its own: where the level was under the bet is not where it was without."""
        del known
        return shares

    def learned(
        self, known: NDArray[np.float64], waiting: Waiting, likelihood: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], Waiting]:
        """At once: the next cohort's level hangs on this one's."""
        return _updated(known, likelihood), waiting

    def known(self, cohorts: Sequence[LevelLikelihood]) -> NDArray[np.float64]:
        """Chances of the states after a baseline's cohorts in time order, models tempered."""
        chances, log_models = self.resting * len(self.steps), np.zeros(len(self.steps))
        for level in cohorts:
            log_likelihood = self.log_likelihood(level, 0.0)[0]
            top = log_likelihood.max()
            chances = self.moved(chances) * np.exp(log_likelihood - top)
            total = chances.sum(axis=1)
            chances, log_models = chances / total[:, None], log_models + top + np.log(total)
        weight = np.exp(TEMPER * (log_models - log_models.max()))
        return np.asarray(chances * (weight / weight.sum())[:, None])


def expected_sd(wobble: Wobble, chances: NDArray[np.float64]) -> float:
    """Mean of the wobble's standard deviation over what is known of it, in logits."""
    return float((chances * wobble.sds).sum())


def _updated(chances: NDArray[np.float64], likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    now = np.maximum(chances * likelihood, CHANCE_MIN)
    return np.asarray(now / now.sum())


def _steps(phi: float, sd: float) -> NDArray[np.float64]:
    """Chances of moving from each level to each: phi times the level, and a heavy-tailed move."""
    return (1 - TAIL_SHARE) * _spread(phi * LEVELS, sd) + TAIL_SHARE * _spread(
        phi * LEVELS, TAIL_FACTOR * sd
    )


def _spread(mean: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """Normal chances on the grid with this mean and variance, (means, levels).

    Below a grid step the mean's two neighbours and the next keep mean and variance; else the
    integral over each point's interval is near enough.
    """
    from scipy.special import ndtr  # noqa: PLC0415  # most commands never need it; it takes long

    width = LEVELS[1] - LEVELS[0]
    inner = (LEVELS[1:] + LEVELS[:-1]) / 2
    if sd >= width:
        below = ndtr((inner - mean[:, None]) / sd)
        return np.diff(below, axis=1, prepend=0.0, append=1.0)
    place = np.clip((mean - LEVELS[0]) / width, 0, len(LEVELS) - 1)
    at = np.clip(np.rint(place).astype(np.int64), 1, len(LEVELS) - 2)
    off = place - at
    variance = np.maximum((sd / width) ** 2, np.abs(off) * (1 - np.abs(off)))
    out = np.zeros((len(mean), len(LEVELS)))
    rows = np.arange(len(mean))
    out[rows, at - 1] = (variance + off**2 - off) / 2
    out[rows, at + 1] = (variance + off**2 + off) / 2
    out[rows, at] = 1 - variance - off**2
    return np.asarray(np.clip(out, 0, 1) / np.clip(out, 0, 1).sum(axis=1, keepdims=True))
