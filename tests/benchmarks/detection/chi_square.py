"""Rival: a chi-square test of every 2000 labels against the baseline, with alpha spending.

The baseline gives a map (Platt: logit y on logit score) and ten equal-mass bins. A block's mean
residuals off the map are compared with the baseline's, bin by bin, with the variances of both; the
sum of squares is chi-square with ten degrees of freedom (bins without labels left out). Block k of
2000 has level .05 / (k (k + 1)), which adds up to .05.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from monitor.core.measures.logistic import logit, sigmoid

if TYPE_CHECKING:
    from tests.benchmarks.detection.streams import Bools, Floats

BLOCK = 2000
ALPHA = 0.05
BINS = 10
FEWEST = 5
NEWTON_STEPS = 30
RIDGE = 1e-6
CLIP = 1e-6


def first_alarm(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
    """First block that rejects, in labels behind the baseline."""
    z = logit(np.clip(score, CLIP, 1 - CLIP))
    x = np.column_stack([np.ones_like(z), z])
    theta = _platt(x[:n_baseline], outcome[:n_baseline])
    p = sigmoid(x @ theta)
    cuts = np.unique(np.quantile(z[:n_baseline], np.arange(1, BINS) / BINS))
    which = np.searchsorted(cuts, z, side="left")
    base = _residuals(p[:n_baseline], outcome[:n_baseline], which[:n_baseline])
    for k, at in enumerate(range(n_baseline, len(score) - BLOCK + 1, BLOCK), start=1):
        rows = slice(at, at + BLOCK)
        new = _residuals(p[rows], outcome[rows], which[rows])
        if _p_value(base, new) < ALPHA / (k * (k + 1)):
            return k * BLOCK
    return None


def _platt(x: Floats, outcome: Bools) -> Floats:
    theta = np.array([0.0, 1.0])
    for _ in range(NEWTON_STEPS):
        p = sigmoid(x @ theta)
        information = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(2)
        theta = theta + np.clip(np.linalg.solve(information, x.T @ (outcome - p)), -1, 1)
    return theta


def _residuals(p: Floats, outcome: Bools, which: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """Labels, mean residual and its variance in each bin."""
    n = np.bincount(which, minlength=BINS).astype(float)
    held = np.maximum(n, 1)
    gap = np.bincount(which, outcome - p, BINS) / held
    return n, gap, np.bincount(which, p * (1 - p), BINS) / held**2


def _p_value(base: tuple[Floats, Floats, Floats], new: tuple[Floats, Floats, Floats]) -> float:
    used = (base[0] >= FEWEST) & (new[0] >= FEWEST)
    apart = (new[1] - base[1])[used] ** 2 / (new[2] + base[2])[used]
    return float(chi2.sf(apart.sum(), used.sum()))
