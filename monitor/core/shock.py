"""The cohort shock: how far a whole day's outcomes wobble in logits without any drift.

Guarantees: sigma is known by the marginal likelihood of whole cohorts (moment estimates blow up on
scores next to 1); the integral over the shock is stable in log space for any counts. Must never:
let a cohort change the sigma that it is itself judged by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.calibration_map import SIGMA_MIN, Cells, Gaussian, fit
from monitor.core.logistic import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGMAS: NDArray[np.float64] = np.linspace(0, 1, 21)
"""Grid of standard deviations of the shock, in logits."""
NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
LOG_WEIGHTS = np.log(_WEIGHTS) - 0.5 * np.log(2 * np.pi)
MODE_STEPS = 3
MODE_STRIDE = 1.0
LOGIT_MAX = 300.0


def sigma_evidence(
    cells: Cells, knots: NDArray[np.float64], before: Gaussian
) -> NDArray[np.float64]:
    """Log posterior, up to a constant, of each sigma of the grid after the baseline's cohorts."""
    return np.array([fit(cells, knots, before, s).log_evidence for s in SIGMAS.tolist()])


def sigma_mean(log_posterior: NDArray[np.float64]) -> float:
    """Posterior mean of the shock's standard deviation, in logits."""
    weight = np.exp(log_posterior - log_posterior.max())
    return float(weight @ SIGMAS / weight.sum())


def sigma_learned(
    log_posterior: NDArray[np.float64],
    predicted: NDArray[np.float64],
    cells: Cells,
    level_variance: float,
) -> NDArray[np.float64]:
    """Log posterior after one more cohort whose predicted logits were `predicted` (cells,)."""
    logits = np.tile(predicted, (len(SIGMAS), 1))
    return log_posterior + log_marginal(logits, cells, SIGMAS**2 + level_variance)


def log_marginal(
    logits: NDArray[np.float64], cells: Cells, variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log likelihood of one cohort, a shock u ~ N(0, variance) of all its logits integrated out.

    `logits` is (hypotheses, cells), variance (hypotheses,) or (1,); returns (hypotheses,), up to
    the binomial coefficients. Adaptive Gauss-Hermite quadrature with 7 nodes about each integrand's
    mode (Liu and Pierce 1994): fixed nodes miss a peak narrower than their spacing.
    """
    logits = np.clip(logits, -LOGIT_MAX, LOGIT_MAX)
    precision = 1 / np.maximum(variance, SIGMA_MIN**2)
    mode, spread = _modes(logits, cells, precision)
    shock = mode + spread * NODES[:, None]
    odds = np.exp(logits) * np.exp(shock)[:, :, None]
    fitted = cells.positive @ logits.T + cells.positive.sum() * shock - np.log(1 + odds) @ cells.n
    density = 0.5 * (np.log(precision) - precision * shock**2)
    terms = fitted + density + LOG_WEIGHTS[:, None] + 0.5 * NODES[:, None] ** 2 + np.log(spread)
    top = terms.max(axis=0)
    return np.asarray(top + np.log(np.exp(terms - top).sum(axis=0)))


def _modes(
    logits: NDArray[np.float64], cells: Cells, precision: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """About the mode and standard deviation of each hypothesis' shock given the counts.

    Three bounded Newton steps: nodes a little off the mode still integrate well.
    """
    positives = cells.positive.sum()
    mode, curve = np.zeros(len(logits)), precision
    for _ in range(MODE_STEPS):
        p = sigmoid(logits + mode[:, None])
        expected = p @ cells.n
        curve = expected - (p * p) @ cells.n + precision
        step = (positives - expected - precision * mode) / curve
        mode = mode + np.clip(step, -MODE_STRIDE, MODE_STRIDE)
    return mode, 1 / np.sqrt(curve)
