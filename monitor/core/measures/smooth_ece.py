"""Smooth ECE: a calibration error without bins to choose, from the histogram.

Guarantees: deterministic; `resolution` bounds the distance to smooth ECE of the raw rows (up to
quadrature, about 1e-5). Must never: raise or warn on any counts.

Method. Blasiok and Nakkiran 2023 (arXiv 2309.12236): residuals (score - outcome) are smoothed by a
Gaussian kernel reflected at 0 and 1, f(s) is the integral of their absolute value at bandwidth s,
and smooth ECE is f(s) at the s where f(s) = s. Reflected Gaussian smoothing is the heat equation
on [0, 1], which multiplies the m-th cosine by exp(-(pi m s)^2 / 2), so that one transform serves
every bandwidth. A micro-bin enters with its sum of residuals and their first moment about its mean
score, both exact in the stored sums; what is lost is of second order in the micro-bin's spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import EDGES, FIXED_POINT, LOWER_EDGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.bins import BinCounts

MIN_BANDWIDTH = 1e-3
"""As in the authors' package relplot; an error below it is told as it is at this bandwidth."""
POINTS = 4097
COSINES = ((257, 8e-3), (2049, MIN_BANDWIDTH))
"""Enough cosines for bandwidths from the one beside: the last keeps 1e-9 of its amplitude. Most
errors are above .008 and need an eighth of the work."""
BISECTIONS = 24
CURVATURE = 4 / math.sqrt(2 * math.pi * math.e)
"""Integral of the normal density's |second derivative|."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class SmoothEce:
    """Smooth ECE, its bandwidth, and the bound on what the micro-bins hide of it.

    NaN without labels. bandwidth is the value itself except below MIN_BANDWIDTH.
    """

    value: float
    bandwidth: float
    resolution: float


def smooth_ece(counts: BinCounts) -> SmoothEce:
    """Smooth ECE of the labelled rows by bisection of f(s) = s; f never rises."""
    n = counts.n_labelled
    if not n:
        return SmoothEce(float("nan"), float("nan"), float("nan"))
    for cosines, least in COSINES:
        smoothed = _smoothed(counts, cosines)
        if smoothed(least) > least:
            found = _fixed_point(smoothed, least)
            return SmoothEce(found, found, _hidden(counts, found))
    return SmoothEce(smoothed(least), least, _hidden(counts, least))


def _fixed_point(smoothed: Callable[[float], float], below: float) -> float:
    above = 1.0
    for _ in range(BISECTIONS):
        middle = (below + above) / 2
        if smoothed(middle) > middle:
            below = middle
        else:
            above = middle
    return above


def smooth_ece_at(counts: BinCounts, bandwidth: float) -> float:
    """Smooth ECE at a fixed bandwidth of MIN_BANDWIDTH or more; NaN without labels."""
    if not counts.n_labelled:
        return float("nan")
    return _smoothed(counts, COSINES[-1][0])(bandwidth)


def _smoothed(counts: BinCounts, cosines: int) -> Callable[[float], float]:
    """The function f of the module's docstring, from so many cosines."""
    from scipy.fft import dct  # noqa: PLC0415  # most commands never need it; it takes long

    held = counts.sums[counts.labelled > 0]
    n, positive = held[:, 1].astype(np.float64), held[:, 2].astype(np.float64)
    score, square, score_positive = (held[:, k] / FIXED_POINT for k in (3, 4, 5))
    mean = score / n
    residual = score - positive
    # Sum of (score - mean) * (score - outcome) over the micro-bin's rows; one row has none.
    first = (square - mean * score) - (score_positive - mean * positive)
    first[n == 1] = 0.0
    wave = np.pi * np.arange(cosines)
    angle = np.outer(wave, mean)
    amplitude = np.cos(angle) @ residual - wave * (np.sin(angle) @ first)
    padded = np.zeros(POINTS)
    padded[:cosines] = amplitude / n.sum()

    def at(bandwidth: float) -> float:
        spread = padded.copy()
        spread[:cosines] *= np.exp(-((wave * bandwidth) ** 2) / 2)
        # DCT-I gives c_0 + 2 sum of c_m cos(pi m t): the density of residuals at t = k / 4096.
        height = np.abs(dct(spread, type=1))
        return float(height.sum() - (height[0] + height[-1]) / 2) / (POINTS - 1)

    return at


def _hidden(counts: BinCounts, bandwidth: float) -> float:
    """Bound on the error: half the kernel's curvature times the mean |residual| (score - mean)^2.

    At one bandwidth s the error is at most L / s^2 (Taylor, twice). As f falls, two fixed points
    differ by at most the error at the larger, so at most by that at either.
    """
    index = np.flatnonzero(counts.labelled)
    held = counts.sums[index]
    n, positive = held[:, 1], held[:, 2]
    score, square = held[:, 3] / FIXED_POINT, held[:, 4] / FIXED_POINT
    spread = np.maximum(square - score * score / n, 0.0) + np.where(n > 1, ROUNDING * n, 0.0)
    lower = LOWER_EDGES[index]
    # |residual| is at most the upper edge for a negative, 1 - the lower edge for a positive.
    largest = np.maximum(
        np.where(positive < n, EDGES[index], 0.0), np.where(positive > 0, 1 - lower, 0.0)
    )
    second = float(largest @ spread) / counts.n_labelled
    return min(1.0, CURVATURE / 2 * second / bandwidth**2 + ROUNDING)
