"""The calibration map: P(outcome = 1 | score) as a Bayesian logistic regression on counts.

Guarantees: fits and updates read counts alone, in a fixed order, so the same cohorts give the same
map; steps are damped, so no fit diverges on scores next to 0 and 1, one class or constant scores.
Must never: treat two cohorts as one (each has its own shock), or be fed a cohort before it was
scored. The posterior is a Laplace approximation: statements drawn from it are averages over the
prior, not distribution-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.measures.logistic import logit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

N_HATS = 8
PRIOR_SDS = (1.0, 0.5, 0.6)
"""Prior standard deviations of the intercept, the slope and each hat; prior means are 0, 1, 0."""
SIGMA_MIN = 1e-6
KNOT_GAP = 1e-3
NEWTON_STEPS = 50
NEWTON_DONE = 1e-8
SHORTEST_STEP = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The labelled micro-bins of some cohorts, cohort after cohort; all arrays of shape (cells,).

    logit is of the micro-bin's mean score, clipped to [1e-6, 1 - 1e-6]; `first` holds the index of
    each cohort's first cell, shape (cohorts,), cohorts without labels left out; `owner` is each
    cell's cohort.
    """

    logit: NDArray[np.float64]
    n: NDArray[np.float64]
    positive: NDArray[np.float64]
    first: NDArray[np.int64]
    owner: NDArray[np.int64]

    @classmethod
    def of(cls, cohorts: Sequence[BinCounts]) -> Self:
        """Cells of cohorts in the order given."""
        held = [counts.held[1][:, 1:4] for counts in cohorts]
        sizes = np.array([len(rows) for rows in held if len(rows)], dtype=np.int64)
        if not len(sizes):
            empty, none = np.empty(0), np.empty(0, dtype=np.int64)
            return cls(empty, empty, empty, none, none)
        labelled, positive, score_sum = np.concatenate(held).T
        return cls(
            logit(score_sum / (labelled * float(FIXED_POINT))),
            labelled.astype(np.float64),
            positive.astype(np.float64),
            sizes.cumsum() - sizes,
            np.arange(len(sizes), dtype=np.int64).repeat(sizes),
        )

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logits at or below which the given shares of the labels lie; ties are merged."""
        if not len(self.n):
            return np.empty(0)
        order = np.argsort(self.logit, kind="stable")
        cumulative = np.cumsum(self.n[order])
        at = np.searchsorted(cumulative, shares * cumulative[-1], side="left")
        found = self.logit[order][np.minimum(at, len(order) - 1)]
        kept = np.concatenate([[True], np.diff(found) > KNOT_GAP])
        return np.asarray(found[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A normal distribution over the map's coefficients: mean (d,), precision (d, d)."""

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A posterior, and the log of its evidence up to a constant of the data."""

    posterior: Gaussian
    log_evidence: float


def hat_knots(cells: Cells) -> NDArray[np.float64]:
    """Up to 8 knots at equal-mass quantiles of the logits; none when all scores are tied."""
    knots = cells.quantiles((np.arange(N_HATS) + 0.5) / N_HATS)
    return knots if len(knots) > 1 else knots[:0]


def features(z: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns 1, logit z, and a hat a knot (flat beyond the outer ones), (n, 2 + knots).

    Knots rise, and are none or two or more.
    """
    found = np.zeros((len(z), 2 + len(knots)))
    found[:, 0], found[:, 1] = 1.0, z
    if not len(knots):
        return found
    below = knots.searchsorted(z, side="right") - 1
    at = np.minimum(np.maximum(below, 0), len(knots) - 2)
    # Share of the way to the next knot; np.interp on each hat gives the same to the bit.
    share = (1.0 / (knots[1:] - knots[:-1]))[at] * (z - knots[at])
    share[below < 0] = 0.0
    share[below > at] = 1.0
    row = np.arange(len(z))
    found[row, 2 + at] = 1.0 - share
    found[row, 3 + at] = share
    return found


def prior(n_knots: int) -> Gaussian:
    """Prior of the coefficients: the score is honest, give or take PRIOR_SDS."""
    level, slope, hat = PRIOR_SDS
    mean = np.zeros(2 + n_knots)
    mean[1] = 1.0
    sds = np.array([level, slope, *[hat] * n_knots])
    return Gaussian(mean, np.diag(sds**-2.0))


def fit(
    cells: Cells,
    knots: NDArray[np.float64],
    before: Gaussian,
    sigma: float,
    offset: NDArray[np.float64] | None = None,
) -> Fit:
    """Posterior after `cells`, each cohort shifted by its own shock N(0, sigma^2) in logits.

    Damped Newton steps on coefficients and shocks together; the shocks are then integrated out by
    the Schur complement: Laplace's approximation of a logistic mixed model (Breslow and Clayton
    1993), with the coefficients integrated in the evidence too. offset: known parts of the cells'
    logits that are not the map's, shape (cells,).
    """
    if not len(cells.first):
        return Fit(before, 0.0)
    target = _Target.of(cells, features(cells.logit, knots), before, sigma, offset)
    point, curve = target.climb()
    value = target.value(point)
    log_evidence = value - 0.5 * (
        np.linalg.slogdet(curve.schur)[1]
        - np.linalg.slogdet(before.precision)[1]
        + np.log(curve.spread / target.shock_precision).sum()
    )
    return Fit(Gaussian(point.theta, curve.schur), float(log_evidence))


def posterior_of(
    cells: Cells,
    x: NDArray[np.float64],
    before: Gaussian,
    sigma: float,
    offset: NDArray[np.float64] | None = None,
) -> Gaussian:
    """The posterior of `fit` without its evidence, from features x (cells, d) that are at hand."""
    if not len(cells.first):
        return before
    point, curve = _Target.of(cells, x, before, sigma, offset).climb()
    return Gaussian(point.theta, curve.schur)


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """Coefficients (d,), shocks (cohorts,), and the logits (cells,) that they give.

    tanh: of half the logits, from which both the likelihood and its derivatives are made; off:
    coefficients less their prior's mean, pull: the prior's precision times that.
    """

    theta: NDArray[np.float64]
    shocks: NDArray[np.float64]
    logits: NDArray[np.float64]
    tanh: NDArray[np.float64]
    off: NDArray[np.float64]
    pull: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """Newton's step of coefficients and shocks."""

    theta: NDArray[np.float64]
    shocks: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Derivatives at a point.

    residual: (cells,); mixed: coefficients against shocks, (cohorts, d); spread: precision of the
    shocks, (cohorts,); schur: precision of the coefficients, shocks integrated out, (d, d).
    """

    residual: NDArray[np.float64]
    mixed: NDArray[np.float64]
    spread: NDArray[np.float64]
    schur: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """The penalised log likelihood of coefficients and shocks."""

    x: NDArray[np.float64]
    cells: Cells
    offset: NDArray[np.float64] | None
    before: Gaussian
    shock_precision: float

    @classmethod
    def of(
        cls,
        cells: Cells,
        x: NDArray[np.float64],
        before: Gaussian,
        sigma: float,
        offset: NDArray[np.float64] | None,
    ) -> Self:
        """Of cells with features x (cells, d)."""
        return cls(x, cells, offset, before, max(sigma, SIGMA_MIN) ** -2)

    def climb(self) -> tuple[_Point, _Curve]:
        """The highest point from the prior's mean on, and its derivatives."""
        point = self.at(self.before.mean, np.zeros(len(self.cells.first)))
        value, curve = self.steering_value(point), self.curvature(point)
        for _ in range(NEWTON_STEPS):
            step, gain = self.newton(point, curve)
            if gain < NEWTON_DONE:
                break
            point, value = self.climbed(point, step, value)
            curve = self.curvature(point)
        return point, curve

    def at(self, theta: NDArray[np.float64], shocks: NDArray[np.float64]) -> _Point:
        """The point of these coefficients and shocks."""
        logits = self.x @ theta + shocks[self.cells.owner]
        logits = logits if self.offset is None else logits + self.offset
        off = theta - self.before.mean
        pull = self.before.precision @ off
        return _Point(theta, shocks, logits, np.tanh(0.5 * logits), off, pull)

    def value(self, at: _Point) -> float:
        """Log likelihood less penalties."""
        penalty = at.off @ self.before.precision @ at.off
        return self._less(at, np.logaddexp(0, at.logits), float(penalty))

    def steering_value(self, at: _Point) -> float:
        """As `value` to about 1e-16 a label, from what is at hand: to choose a step by."""
        softplus = np.maximum(at.logits, 0) - np.log(0.5 + 0.5 * np.abs(at.tanh))
        return self._less(at, softplus, float(at.off @ at.pull))

    def _less(self, at: _Point, softplus: NDArray[np.float64], penalty: float) -> float:
        """Log likelihood, from log(1 + exp(logit)) of the cells, less the prior's penalties."""
        fitted = float(self.cells.positive @ at.logits - self.cells.n @ softplus)
        shocks = float(self.shock_precision * at.shocks @ at.shocks)
        return fitted - 0.5 * (penalty + shocks)

    def curvature(self, at: _Point) -> _Curve:
        """First and second derivatives."""
        p = 0.5 * (1 + at.tanh)
        weighted = (self.cells.n * p * (1 - p))[:, None] * self.x
        mixed = np.add.reduceat(weighted, self.cells.first, axis=0)
        spread = mixed[:, 0] + self.shock_precision
        schur = self.before.precision + weighted.T @ self.x - (mixed / spread[:, None]).T @ mixed
        return _Curve(self.cells.positive - self.cells.n * p, mixed, spread, schur)

    def newton(self, at: _Point, curve: _Curve) -> tuple[_Step, float]:
        """Newton's step, and the gain of log likelihood it promises, doubled."""
        slope = self.x.T @ curve.residual - at.pull
        pull = np.add.reduceat(curve.residual, self.cells.first) - self.shock_precision * at.shocks
        force = slope - curve.mixed.T @ (pull / curve.spread)
        theta = np.asarray(np.linalg.solve(curve.schur, force), dtype=np.float64)
        shocks = (pull - curve.mixed @ theta) / curve.spread
        return _Step(theta, shocks), float(slope @ theta + pull @ shocks)

    def climbed(self, at: _Point, step: _Step, value: float) -> tuple[_Point, float]:
        """The point after the step, halved until the value does not fall, and its value."""
        scale = 1.0
        while scale > SHORTEST_STEP:
            new = self.at(at.theta + scale * step.theta, at.shocks + scale * step.shocks)
            if (reached := self.steering_value(new)) >= value:
                return new, reached
            scale /= 2
        return at, value
