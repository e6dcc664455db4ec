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

from monitor.core.logistic import logit, sigmoid

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
        logits, n, positive, sizes = [], [], [], []
        for counts in cohorts:
            held = np.flatnonzero(counts.labelled)
            if len(held):
                logits.append(logit(counts.mean_scores()[held]))
                n.append(counts.labelled[held].astype(np.float64))
                positive.append(counts.positive[held].astype(np.float64))
                sizes.append(len(held))
        if not sizes:
            empty, none = np.empty(0), np.empty(0, dtype=np.int64)
            return cls(empty, empty, empty, none, none)
        first = np.array([0, *np.cumsum(sizes)[:-1]], dtype=np.int64)
        owner = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
        return cls(
            np.concatenate(logits), np.concatenate(n), np.concatenate(positive), first, owner
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
    """Columns 1, logit z, and a hat a knot (flat beyond the outer knots); shape (n, 2 + knots)."""
    columns = [np.ones_like(z), z]
    columns += [np.interp(z, knots, hat) for hat in np.eye(len(knots))]
    return np.column_stack(columns)


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
    known = np.zeros(len(cells.n)) if offset is None else offset
    shock_precision = max(sigma, SIGMA_MIN) ** -2
    target = _Target(features(cells.logit, knots), cells, known, before, shock_precision)
    point = _Point(before.mean, np.zeros(len(cells.first)))
    value, curve = target.value(point), target.curvature(point)
    for _ in range(NEWTON_STEPS):
        step, gain = target.newton(point, curve)
        if gain < NEWTON_DONE:
            break
        point, value = target.climbed(point, step, value)
        curve = target.curvature(point)
    log_evidence = value - 0.5 * (
        np.linalg.slogdet(curve.schur)[1]
        - np.linalg.slogdet(before.precision)[1]
        + np.log(curve.spread / target.shock_precision).sum()
    )
    return Fit(Gaussian(point.theta, curve.schur), float(log_evidence))


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """Coefficients (d,) and shocks (cohorts,)."""

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
    offset: NDArray[np.float64]
    before: Gaussian
    shock_precision: float

    def _logits(self, at: _Point) -> NDArray[np.float64]:
        return np.asarray(self.x @ at.theta + at.shocks[self.cells.owner] + self.offset)

    def value(self, at: _Point) -> float:
        """Log likelihood less penalties."""
        logits = self._logits(at)
        off = at.theta - self.before.mean
        fitted = self.cells.positive @ logits - self.cells.n @ np.logaddexp(0, logits)
        penalty = off @ self.before.precision @ off + self.shock_precision * at.shocks @ at.shocks
        return float(fitted - 0.5 * penalty)

    def curvature(self, at: _Point) -> _Curve:
        """First and second derivatives."""
        p = sigmoid(self._logits(at))
        weighted = (self.cells.n * p * (1 - p))[:, None] * self.x
        mixed = np.add.reduceat(weighted, self.cells.first, axis=0)
        spread = mixed[:, 0] + self.shock_precision
        schur = self.before.precision + weighted.T @ self.x - (mixed / spread[:, None]).T @ mixed
        return _Curve(self.cells.positive - self.cells.n * p, mixed, spread, schur)

    def newton(self, at: _Point, curve: _Curve) -> tuple[_Point, float]:
        """Newton's step, and the gain of log likelihood it promises, doubled."""
        slope = self.x.T @ curve.residual - self.before.precision @ (at.theta - self.before.mean)
        pull = np.add.reduceat(curve.residual, self.cells.first) - self.shock_precision * at.shocks
        force = slope - curve.mixed.T @ (pull / curve.spread)
        theta = np.asarray(np.linalg.solve(curve.schur, force), dtype=np.float64)
        shocks = (pull - curve.mixed @ theta) / curve.spread
        return _Point(theta, shocks), float(slope @ theta + pull @ shocks)

    def climbed(self, at: _Point, step: _Point, value: float) -> tuple[_Point, float]:
        """The point after the step, halved until the value does not fall, and its value."""
        scale = 1.0
        while scale > SHORTEST_STEP:
            new = _Point(at.theta + scale * step.theta, at.shocks + scale * step.shocks)
            if (reached := self.value(new)) >= value:
                return new, reached
            scale /= 2
        return at, value
