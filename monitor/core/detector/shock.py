"""The cohort shock: how far a whole day's outcomes wobble in logits without any drift.

Guarantees: sigma is known by the marginal likelihood of whole cohorts (moment estimates blow up on
scores next to 1); the integral over the shock is stable in log space for any counts. Must never:
let a cohort change the sigma that it is itself judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.calibration_map import Cells, Gaussian, Problem, features, fits_of
from monitor.core.detector.newton import SIGMA_MIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGMAS: NDArray[np.float64] = np.array([0.0, *np.geomspace(0.0125, 1.0, 12)])
"""Grid of standard deviations of the shock, in logits."""
SIGMA_SCALE = 0.01
_EDGES = np.concatenate([[0.0], (SIGMAS[1:] + SIGMAS[:-1]) / 2, [SIGMAS[-1]]])
PRIOR: NDArray[np.float64] = np.diff(np.log(_EDGES + SIGMA_SCALE))
"""Chance of each sigma before any cohort, of density 1 / (sigma + SIGMA_SCALE): any order of
magnitude is as likely as another, so a fleet of quiet and of wild series loses little on either."""
PRIOR /= PRIOR.sum()
NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
LOG_WEIGHTS = np.log(_WEIGHTS) - 0.5 * np.log(2 * np.pi)
_NODE_WEIGHTS = (LOG_WEIGHTS + 0.5 * NODES**2)[:, None, None]
MODE_STEPS = 2
QUARTIC_STEPS = 3
STRIDE = 1.0
"""Longest step of a mode search, in logits."""
LOGIT_MAX = 300.0
VARIANCE_MIN = SIGMA_MIN**2


def sigma_chances(
    cells: Cells, knots: NDArray[np.float64], before: Gaussian
) -> NDArray[np.float64]:
    """Chance of each sigma of the grid after the baseline's cohorts."""
    x = features(cells.logit, knots)
    fitted = fits_of([Problem(cells, x, before, sigma) for sigma in SIGMAS.tolist()])
    evidence = np.array([each.log_evidence for each in fitted])
    weight = PRIOR * np.exp(evidence - evidence.max())
    return np.asarray(weight / weight.sum())


@dataclass(frozen=True, slots=True, eq=False)
class LevelLikelihood:
    """Log likelihood of a cohort as a function of a common shift u of all its logits.

    By hypothesis, arrays of shape (hypotheses,): the quartic about `at` whose derivatives are
    cumulants of the number of positives, value + slope d - c2 d^2/2 - c3 d^3/6 - c4 d^4/24 with
    d = u - at, up to the binomial coefficients. What it leaves out costs the integrals less than
    .001 nats from 100 labels on; cohorts of 5 to 20 labels under a shock of 1 logit, up to .03.
    p: chance of a positive at `at`, shape (hypotheses, cells).
    """

    p: NDArray[np.float64]
    at: NDArray[np.float64]
    value: NDArray[np.float64]
    slope: NDArray[np.float64]
    c2: NDArray[np.float64]
    c3: NDArray[np.float64]
    c4: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], cells: Cells, variance: float) -> LevelLikelihood:
        """Expansion of logits (hypotheses, cells) near the mode under a shock of this variance."""
        logits = np.minimum(np.maximum(logits, -LOGIT_MAX), LOGIT_MAX)
        n, positive = cells.n, cells.positive
        positives, precision = positive.sum(), 1 / max(variance, VARIANCE_MIN)
        at = np.zeros(len(logits))
        # In place where it can be: a fleet spends much of its time here.
        for _ in range(MODE_STEPS):
            p = logits + at[:, None]
            p *= 0.5
            np.tanh(p, out=p)
            p *= 0.5
            p += 0.5
            expected = p @ n
            p *= p
            curve = expected - p @ n + precision
            at = at + _stride((positives - expected - precision * at) / curve)
        moved = logits + at[:, None]
        tail = np.abs(moved)
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        softplus = np.maximum(moved, 0)
        softplus += np.log1p(tail)
        value = moved @ positive - softplus @ n
        p = np.where(moved > 0, 1, tail)
        tail += 1
        p /= tail
        v = 1 - p
        v *= p
        v_n = v @ n
        twice = 2 * v
        six = 6 * v
        six *= v
        twice *= p
        skew, peak = (v - twice) @ n, (v - six) @ n
        return cls(p, at, value, positives - p @ n, v_n, skew, peak)

    def log_marginal(self, variance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log of the integral over u ~ N(0, variance), for variances (v,): (hypotheses, v).

        Adaptive Gauss-Hermite quadrature with 7 nodes about each integrand's mode (Liu and Pierce
        1994): fixed nodes miss a peak narrower than their spacing.
        """
        precision = 1 / np.maximum(variance, VARIANCE_MIN)
        at, slope, c2 = self.at[:, None], self.slope[:, None], self.c2[:, None]
        c3, c4 = self.c3[:, None], self.c4[:, None]
        d = np.zeros((len(at), len(precision)))
        for _ in range(QUARTIC_STEPS):
            curve = np.maximum(c2 + d * (c3 + d * (c4 / 2)), c2 / 2) + precision
            pull = slope - d * (c2 + d * (c3 / 2 + d * (c4 / 6))) - precision * (at + d)
            d = d + _stride(pull / curve)
        spread = 1 / np.sqrt(np.maximum(c2 + d * (c3 + d * (c4 / 2)), c2 / 2) + precision)
        node = spread * NODES[:, None, None]
        node += d
        terms = node * (c4 / 24)
        for order in (c3 / 6, c2 / 2):
            terms += order
            terms *= node
        np.subtract(slope, terms, out=terms)
        terms *= node
        density = at + node
        density *= density
        density *= precision
        np.subtract(np.log(precision), density, out=density)
        density *= 0.5
        terms += density
        terms += _NODE_WEIGHTS
        top = terms.max(axis=0)
        terms -= top
        np.exp(terms, out=terms)
        total = np.log(terms.sum(axis=0)) + np.log(spread)
        return np.asarray(self.value[:, None] + top + total)

    def at_levels(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log likelihood at shifts (levels,): (hypotheses, levels)."""
        d = levels - self.at[:, None]
        c3, c4 = self.c3[:, None], self.c4[:, None]
        rest = d * (self.c2[:, None] / 2 + d * (c3 / 6 + d * (c4 / 24)))
        return np.asarray(self.value[:, None] + d * (self.slope[:, None] - rest))


def _stride(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps of a mode search, none longer than STRIDE; shape as given."""
    return np.minimum(np.maximum(step, -STRIDE), STRIDE)
