"""More labels: how much narrower the answer would be with several times as many of them.

Guarantees: the same counts give the same figures (the draws are seeded). They are expectations:
further labels are taken to be independent, with scores like these and the truth of `fitted`. Must
never: take the noise of few labels for miscalibration. Multiplying the counts would: of 200 labels
of an honest model, ten copies look like a proof against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import FIXED_POINT, N_BINS, N_SUMS, BinCounts
from monitor.core.measures.debiased_ece import Z_ONE_CHANGE, debiased_ece
from monitor.core.measures.logistic import fit_logistic, log_likelihood, logit, nodes, sigmoid
from monitor.core.measures.moments import ClassMoments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FACTORS = (1, 2, 4, 10)
DRAWS = 60
"""Sets of labels drawn for each factor: the mean half-width is then right to about 2 %."""
SEED = 0
MIN_LABELS = 50
MIN_SURPRISE = 1.0
"""Least sum of p (1 - p) over the labels: below it hardly any outcome was in doubt."""
Z_INTERVAL = 1.96
Z_POWER = 0.8416
"""80 % quantile of the normal law."""
FREEDOM = 2
"""Coefficients of the fitted line, and what its likelihood ratio is on average if all is honest."""


@dataclass(frozen=True, slots=True)
class MoreLabels:
    """What `factor` times as many labels would bring; all but n in probabilities.

    ece_half_width: expected half width of the debiased ECE's 95 % interval; gap_half_width: of
    mean score - base rate. smallest_shift: how far honest scores must move as a whole for the
    debiased ECE's interval to exclude 0 with a chance of about 80 %.
    """

    factor: int
    n: int
    ece_half_width: float
    gap_half_width: float
    smallest_shift: float


def more_labels(counts: BinCounts, factors: Sequence[int] = FACTORS) -> tuple[MoreLabels, ...]:
    """Expectation for each factor; none with fewer than 50 labels, or outcomes without doubt."""
    n = counts.n_labelled
    if n < MIN_LABELS:
        return ()
    rate = fitted(counts)
    doubt = float(counts.labelled @ (rate * (1 - rate)))
    if doubt < MIN_SURPRISE:
        return ()
    rng = np.random.default_rng(SEED)
    found = []
    for factor in factors:
        error = np.sqrt(doubt / factor) / n
        widths = [
            (one.high - one.low) / 2
            for one in (debiased_ece(_drawn(counts, rate, n * factor, rng)) for _ in range(DRAWS))
        ]
        found.append(
            MoreLabels(
                factor=factor,
                n=n * factor,
                ece_half_width=float(np.mean(widths)),
                gap_half_width=float(Z_INTERVAL * error),
                smallest_shift=float((Z_ONE_CHANGE + Z_POWER) * error),
            )
        )
    return tuple(found)


def fitted(counts: BinCounts) -> NDArray[np.float64]:
    """Chance of a positive in each micro-bin, (N_BINS,): a line of the logit, drawn to honesty.

    Maximum likelihood's line overstates its distance from honesty by its noise: the likelihood
    ratio against honest scores is 2 on average where nothing is wrong. The part (ratio - 2) / ratio
    of the distance is kept, so that small files are taken to be honest unless they show otherwise.
    """
    points = nodes(ClassMoments.of(counts))
    fit = fit_logistic(points)
    mean = np.nan_to_num(counts.mean_scores())
    if not np.isfinite(fit.slope):
        return mean
    ratio = 2 * (fit.log_likelihood - log_likelihood(points, points.logit))
    kept = max(0.0, ratio - FREEDOM) / ratio if ratio > 0 else 0.0
    if not kept:
        return mean
    return sigmoid(kept * fit.intercept + (1 + kept * (fit.slope - 1)) * logit(mean))


def _drawn(
    counts: BinCounts, rate: NDArray[np.float64], n: int, rng: np.random.Generator
) -> BinCounts:
    """Counts of n labels with scores like these; each micro-bin's rows have its mean score."""
    labelled = rng.multinomial(n, counts.labelled / counts.n_labelled)
    positive = rng.binomial(labelled, rate)
    score = np.rint(np.nan_to_num(counts.mean_scores()) * FIXED_POINT).astype(np.int64)
    sums = np.zeros((N_BINS, N_SUMS), dtype=np.int64)
    sums[:, 0] = sums[:, 1] = labelled
    sums[:, 2] = positive
    sums[:, 3] = labelled * score
    sums[:, 5] = positive * score
    return BinCounts(sums)
