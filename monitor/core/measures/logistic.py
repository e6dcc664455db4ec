"""Logistic regression of the outcome on the score's logit, from counts alone.

Guarantees: agrees with a fit to the raw pairs to about 1e-4 of slope and intercept; steps are
damped, so no fit diverges; rows that decide no finite fit (one class, constant scores, separable
classes) give NaN. Must never: raise or warn on any counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import SCORE_MAX, SCORE_MIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.measures.moments import ClassMoments

NEWTON_STEPS = 60
NEWTON_DONE = 1e-7
"""Newton's decrement (a gain of log likelihood, in nats) below which one last step is taken."""
MIN_STEP = 1e-15
"""Share of a Newton step that is too small to matter; steps of 1e8 do occur on rare events."""
MAX_SLOPE = 1e4
RIDGE = 1e-12
MIN_SPREAD = 1e-6
"""Range of the logits below which the scores count as constant."""


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Maximum likelihood of P(outcome = 1) = sigmoid(intercept + slope * logit(score)).

    Standard errors are from the Fisher information; log_likelihood is in nats over all rows.
    """

    slope: float
    slope_se: float
    intercept: float
    intercept_se: float
    log_likelihood: float


NAN = float("nan")
UNDECIDED = LogisticFit(NAN, NAN, NAN, NAN, NAN)


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Weighted points that stand for the rows; all arrays of shape (nodes,); sign is -1 or 1."""

    logit: NDArray[np.float64]
    weight: NDArray[np.float64]
    sign: NDArray[np.float64]


def logit(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of scores clipped to [1e-6, 1 - 1e-6]; shape as given."""
    clipped: NDArray[np.float64] = np.minimum(np.maximum(score, SCORE_MIN), SCORE_MAX)
    return np.log(clipped / (1 - clipped))


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of log odds, without overflow; shape as given."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def nodes(m: ClassMoments) -> Nodes:
    """Two nodes for each class of each micro-bin, one standard deviation about its mean score.

    They carry the class's first two moments (two-node Gauss quadrature), so what is lost against
    the raw rows is of third order in the width of a micro-bin.
    """
    scores = [
        np.minimum(np.maximum(mean + side * sd, m.lower), m.upper)
        for mean, sd in ((m.mean_positive, m.sd_positive), (m.mean_negative, m.sd_negative))
        for side in (-1, 1)
    ]
    weight = np.concatenate([m.n_positive, m.n_positive, m.n_negative, m.n_negative]) / 2
    sign = np.repeat([1.0, 1.0, -1.0, -1.0], len(m.mean))
    held = weight > 0
    return Nodes(logit(np.concatenate(scores))[held], weight[held], sign[held])


def fit_logistic(points: Nodes, *, with_intercept: bool = True) -> LogisticFit:
    """Damped Newton fit; without an intercept it is 0, with a standard error of 0.

    Source: Cox 1958, "Two further applications of a model for binary regression" (calibration
    slope and intercept). UNDECIDED where no finite maximum exists.
    """
    if not _decided(points, with_intercept=with_intercept):
        return UNDECIDED
    x = np.ones((len(points.logit), 2 if with_intercept else 1))
    x[:, -1] = points.logit
    at = maximum_likelihood(x, points)
    if at is None or not abs(at[-1]) < MAX_SLOPE:
        return UNDECIDED
    covariance = np.linalg.inv(_information(x, points, at))
    se = np.sqrt(np.diag(covariance))
    return LogisticFit(
        slope=float(at[-1]),
        slope_se=float(se[-1]),
        intercept=float(at[0]) if with_intercept else 0.0,
        intercept_se=float(se[0]) if with_intercept else 0.0,
        log_likelihood=-_loss(points, x @ at),
    )


def log_likelihood(points: Nodes, logits: NDArray[np.float64]) -> float:
    """Log likelihood, in nats, of logits of a positive at the nodes, (nodes,)."""
    return -_loss(points, logits)


def _decided(points: Nodes, *, with_intercept: bool) -> bool:
    """Whether a finite maximum exists: the classes overlap (Albert and Anderson 1984)."""
    positive, negative = points.logit[points.sign > 0], points.logit[points.sign < 0]
    if not with_intercept:
        # Through the origin a row is its signed logit: some must pull up, others down.
        pull = points.logit * points.sign
        return bool(len(pull) and pull.min() < 0 < pull.max())
    if not len(positive) or not len(negative):
        return False
    overlap = positive.min() < negative.max() and negative.min() < positive.max()
    return bool(overlap and np.ptp(points.logit) > MIN_SPREAD)


def maximum_likelihood(x: NDArray[np.float64], points: Nodes) -> NDArray[np.float64] | None:
    """Coefficients (d,) of columns x (nodes, d) for the nodes' outcomes; None if not reached.

    From 0, where the curvature is largest: from the honest map (0, 1), scores at 0 and 1 start
    saturated, and the first step would be a million times too long.
    """
    at = np.zeros(x.shape[1])
    pull, ridge = points.weight * points.sign, _ridge(x, points)
    loss, half = _steering_loss(points, x @ at)
    for _ in range(NEWTON_STEPS):
        # One tanh gives each node's chance of a positive, and of the class that it is not of.
        p, missed = 0.5 * (1 + half), 0.5 * (1 - points.sign * half)
        uphill = x.T @ (pull * missed)
        curve = x.T @ (x * (points.weight * p * (1 - p))[:, None]) + ridge
        step = np.linalg.solve(curve, uphill)
        if uphill @ step < NEWTON_DONE:
            # Newton's decrement: this step still squares the error, but the loss cannot show it.
            return at + step
        size = 1.0
        found, half = _steering_loss(points, x @ (at + step))
        while found >= loss and size > MIN_STEP:
            size /= 2
            found, half = _steering_loss(points, x @ (at + size * step))
        at, loss = at + size * step, found
    return None


def _loss(points: Nodes, logits: NDArray[np.float64]) -> float:
    """Negative log likelihood of the nodes' logits of a positive, (nodes,)."""
    return float(points.weight @ np.logaddexp(0.0, -points.sign * logits))


def _steering_loss(points: Nodes, logits: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """`_loss` to about 1e-16 a row, to choose a step by, and the tanh of half the logits."""
    half = np.tanh(0.5 * logits)
    softplus = np.maximum(-points.sign * logits, 0.0) - np.log(0.5 + 0.5 * np.abs(half))
    return float(points.weight @ softplus), half


def _ridge(x: NDArray[np.float64], points: Nodes) -> NDArray[np.float64]:
    """Far below any real curvature, so that the information has an inverse."""
    return np.asarray(RIDGE * points.weight.sum() * np.eye(x.shape[1]))


def _information(
    x: NDArray[np.float64], points: Nodes, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fisher information, with a ridge."""
    p = sigmoid(x @ at)
    return np.asarray(x.T @ (x * (points.weight * p * (1 - p))[:, None]) + _ridge(x, points))
