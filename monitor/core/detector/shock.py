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
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIGMAS: NDArray[np.float64] = np.array([0.0, *np.geomspace(0.0125, 1.0, 12)])
"""Grid of standard deviations of the shock, in logits."""
SIGMA_SCALE = 0.01
_EDGES = np.concatenate([[0.0], (SIGMAS[1:] + SIGMAS[:-1]) / 2, [SIGMAS[-1]]])
PRIOR: NDArray[np.float64] = np.diff(np.log(_EDGES + SIGMA_SCALE))
"""Chance of each sigma before any cohort, of density 1 / (sigma + SIGMA_SCALE): any order of
magnitude is as likely as another, so a fleet of quiet and of wild series loses little on either."""
PRIOR /= PRIOR.sum()
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_NODE_WEIGHTS = np.log(_WEIGHTS) - 0.5 * np.log(2 * np.pi) + 0.5 * _NODES**2
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

    By hypothesis, arrays of shape (hypotheses,), or (cohorts, hypotheses) of several cohorts: the
    quartic about `at` whose derivatives are cumulants of the number of positives, value + slope d
    - c2 d^2/2 - c3 d^3/6 - c4 d^4/24 with d = u - at, up to the binomial coefficients. What it
    leaves out costs the integrals less than .001 nats from 100 labels on; cohorts of 5 to 20 labels
    under a shock of 1 logit, up to .03.
    """

    at: NDArray[np.float64]
    value: NDArray[np.float64]
    slope: NDArray[np.float64]
    c2: NDArray[np.float64]
    c3: NDArray[np.float64]
    c4: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], cells: Cells, variance: float) -> LevelLikelihood:
        """Expansion of logits (hypotheses, cells) near the mode under a shock of this variance."""
        return expanded(logits, cells, variance)[0]

    @classmethod
    def beside(cls, cohorts: Sequence[LevelLikelihood]) -> LevelLikelihood:
        """Those of several cohorts, of as many hypotheses each."""
        return cls(
            at=np.array([each.at for each in cohorts]),
            value=np.array([each.value for each in cohorts]),
            slope=np.array([each.slope for each in cohorts]),
            c2=np.array([each.c2 for each in cohorts]),
            c3=np.array([each.c3 for each in cohorts]),
            c4=np.array([each.c4 for each in cohorts]),
        )

    def log_marginal(self, variance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log of the integral over u ~ N(0, variance): (..., hypotheses, v) for variances (..., v).

        Adaptive Gauss-Hermite quadrature with 7 nodes about each integrand's mode (Liu and Pierce
        1994): fixed nodes miss a peak narrower than their spacing. The dots are the cohorts, if
        there are several.
        """
        # Variances first, hypotheses last: NumPy is fast along long rows.
        precision = 1 / np.maximum(variance.T, VARIANCE_MIN)[..., None]
        d, curve = self._modes(precision)
        node = _NODES.reshape(-1, *[1] * d.ndim) * (1 / np.sqrt(curve))
        node += d
        terms = node * (self.c4 / 24)
        for order in (self.c3 / 6, self.c2 / 2):
            terms += order
            terms *= node
        np.subtract(self.slope, terms, out=terms)
        terms *= node
        node += self.at
        node *= node
        node *= -0.5 * precision
        terms += node
        terms += _NODE_WEIGHTS.reshape(-1, *[1] * d.ndim)
        top = terms.max(axis=0)
        terms -= top
        np.exp(terms, out=terms)
        total = np.log(terms.sum(axis=0))
        total += 0.5 * (np.log(precision) - np.log(curve)) + top + self.value
        return np.ascontiguousarray(total.transpose(*range(1, total.ndim), 0))

    def _modes(
        self, precision: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Modes off `at` under shocks of these precisions, (v, ..., hypotheses), and the curves."""
        slope, flat = self.slope - precision * self.at, self.c2 + precision
        c3_half, c4_sixth = self.c3 / 2, self.c4 / 6
        d = _stride(slope / flat)
        for _ in range(QUARTIC_STEPS - 1):
            pull = d * c4_sixth
            pull += c3_half
            pull *= d
            pull += flat
            pull *= d
            np.subtract(slope, pull, out=pull)
            pull /= self._curve(d, precision)
            d += _stride(pull)
        return d, self._curve(d, precision)

    def _curve(self, d: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
        """Curvature at d off `at`; where the quartic leaves the likelihood, half its own."""
        curve = d * (self.c4 / 2)
        curve += self.c3
        curve *= d
        curve += self.c2
        np.maximum(curve, self.c2 / 2, out=curve)
        curve += precision
        return curve

    def at_levels(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log likelihood at shifts (levels,): (..., hypotheses, levels)."""
        d = levels - self.at[..., None]
        c3, c4 = self.c3[..., None], self.c4[..., None]
        rest = d * (self.c2[..., None] / 2 + d * (c3 / 6 + d * (c4 / 24)))
        return np.asarray(self.value[..., None] + d * (self.slope[..., None] - rest))


def expanded(
    logits: NDArray[np.float64], cells: Cells, variance: float
) -> tuple[LevelLikelihood, NDArray[np.float64]]:
    """As `LevelLikelihood.of`, and the cells' chances at the point of expansion, as the logits.

    exp is asked for once a cell: a shift of a hypothesis multiplies the odds of all its cells. A
    fleet spends much of its time here, so all is done in place, a cohort at a time in the cache.
    """
    logits = np.maximum(logits, -LOGIT_MAX)
    np.minimum(logits, LOGIT_MAX, out=logits)
    n, positive = cells.n, cells.positive
    positives, precision = positive.sum(), 1 / max(variance, VARIANCE_MIN)
    odds_against = np.exp(-logits)
    at, p = np.zeros(len(logits)), np.empty_like(logits)
    for _ in range(MODE_STEPS):
        np.multiply(odds_against, np.exp(-at)[:, None], out=p)
        p += 1
        np.reciprocal(p, out=p)
        expected = p @ n
        p *= p
        curve = expected - p @ n + precision
        at += _stride((positives - expected - precision * at) / curve)
    odds_against *= np.exp(-at)[:, None]
    logits += at[:, None]
    np.add(odds_against, 1, out=p)
    np.reciprocal(p, out=p)
    q = odds_against
    q *= p
    scratch = np.maximum(p, q)
    np.log(scratch, out=scratch)
    value = logits @ positive + scratch @ n
    value -= np.maximum(logits, 0, out=logits) @ n
    q *= p
    c2 = q @ n
    np.multiply(q, p, out=scratch)
    c3 = c2 - 2 * (scratch @ n)
    q *= q
    c4 = c2 - 6 * (q @ n)
    return LevelLikelihood(at, value, positives - p @ n, c2, c3, c4), p


def _stride(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps of a mode search, none longer than STRIDE; shape as given."""
    return np.minimum(np.maximum(step, -STRIDE), STRIDE)
