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
from monitor.core.measures.newton import Problems, maxima
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.measures.moments import ClassMoments

MAX_SLOPE = 1e4
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
SIDES = np.array([1.0, 1.0, -1.0, -1.0])
"""Outcomes, as signs, of the nodes of a micro-bin."""
CLASSES = np.array([[1.0], [-1.0]])
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
    return nodes_of(m, Segments.of([len(m.mean)]))[0]


def nodes_of(m: ClassMoments, of: Segments) -> tuple[Nodes, Segments]:
    """As `nodes`, of series whose moments lie one after the other, and where their nodes lie."""
    score, n = np.empty((len(m.mean), 4)), np.empty((len(m.mean), 4))
    np.subtract(m.mean_positive, m.sd_positive, out=score[:, 0])
    np.add(m.mean_positive, m.sd_positive, out=score[:, 1])
    np.subtract(m.mean_negative, m.sd_negative, out=score[:, 2])
    np.add(m.mean_negative, m.sd_negative, out=score[:, 3])
    n[:, :2], n[:, 2:] = m.n_positive[:, None], m.n_negative[:, None]
    score = np.minimum(np.maximum(score, m.lower[:, None]), m.upper[:, None])
    held = n.ravel().nonzero()[0]
    points = Nodes(logit(score.ravel()[held]), n.ravel()[held] / 2, SIDES[held % 4])
    ends = held.searchsorted(4 * (of.first + of.sizes))
    sizes = ends.copy()
    sizes[1:] -= ends[:-1]
    return points, Segments.of(sizes)


def fit_logistic(points: Nodes, *, with_intercept: bool = True) -> LogisticFit:
    """Damped Newton fit; without an intercept it is 0, with a standard error of 0.

    Source: Cox 1958, "Two further applications of a model for binary regression" (calibration
    slope and intercept). UNDECIDED where no finite maximum exists.
    """
    return fit_logistics(points, Segments.of([len(points.logit)]), with_intercept=with_intercept)[0]


def fit_logistics(points: Nodes, of: Segments, *, with_intercept: bool = True) -> list[LogisticFit]:
    """As `fit_logistic`, of series whose nodes lie one after the other."""
    x = np.ones((2 if with_intercept else 1, len(points.logit)))
    x[-1] = points.logit
    decided = _decided(points, of, with_intercept=with_intercept)
    asked = Problems.of_nodes(x, points.weight, points.sign, of)
    if not all(decided.tolist()):
        asked = asked.only(decided)
    at = maxima(asked)
    margins = asked.margins(at)
    variance = np.linalg.inv(asked.slopes(margins).information).diagonal(axis1=1, axis2=2)
    columns = (at.tolist(), np.sqrt(variance).tolist(), asked.losses(margins).tolist())
    found = [UNDECIDED] * len(of)
    for series, *fit in zip(decided.nonzero()[0].tolist(), *columns, strict=True):
        if abs(fit[0][-1]) < MAX_SLOPE:
            found[series] = _fit(*fit)
    return found


def _fit(at: list[float], se: list[float], loss: float) -> LogisticFit:
    """From the coefficients, slope last."""
    if len(at) == 1:
        return LogisticFit(at[0], se[0], 0.0, 0.0, -loss)
    return LogisticFit(at[1], se[1], at[0], se[0], -loss)


def maximum_likelihood(x: NDArray[np.float64], points: Nodes) -> NDArray[np.float64] | None:
    """Coefficients (d,) of columns x (nodes, d) for the nodes' outcomes; None if not reached."""
    of = Segments.of([len(points.weight)])
    (at,) = maxima(Problems.of_nodes(x.T, points.weight, points.sign, of))
    return None if np.isnan(at).any() else at


def log_likelihood(points: Nodes, logits: NDArray[np.float64]) -> float:
    """Log likelihood, in nats, of logits of a positive at the nodes, (nodes,)."""
    return -float(points.weight @ np.logaddexp(0.0, -points.sign * logits))


def _decided(points: Nodes, of: Segments, *, with_intercept: bool) -> NDArray[np.bool_]:
    """Whether a finite maximum exists: the classes overlap (Albert and Anderson 1984)."""
    x = points.logit
    if not with_intercept:
        # Through the origin a row is its signed logit: some must pull up, others down.
        pull = x * points.sign
        down, up = of.reduced(np.minimum, pull, 0.0), of.reduced(np.maximum, pull, 0.0)
        return np.asarray((down < 0) & (up > 0))
    own = points.sign == CLASSES
    least = of.reduced(np.minimum, np.where(own, x, np.inf), np.inf)
    most = of.reduced(np.maximum, np.where(own, x, -np.inf), -np.inf)
    overlap = np.logical_and.reduce(least < most[::-1])
    spread = np.maximum.reduce(most) > np.minimum.reduce(least) + MIN_SPREAD
    return np.asarray(overlap & spread)
