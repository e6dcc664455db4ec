"""Whether the baseline's wobble has a memory: what chooses between the iid and the AR null.

Guarantees: cohorts' levels are compared with those of the same cohorts in other orders, so the
level of the test holds whatever the shocks' size or tails, and binomial noise does not pass for
memory. Must never: look at cohorts after the baseline, or choose by more than its one p value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.calibration_map import Cells, features
from monitor.core.detector.newton import SIGMA_MIN
from monitor.core.measures.logistic import sigmoid
from monitor.core.measures.permutations import orders, p_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.detector.sequential import Detector

WEEK_S = 7 * 86_400
LEVEL = 0.01
"""The AR null hardly sees a moderate change of level: few series may get it by chance."""
MIN_COHORTS = 10
MIN_WEEKS = 2
NEWTON_STEPS = 4
LEVEL_MAX = 4.0


class Memory(StrEnum):
    """Form of the wobble from cohort to cohort."""

    NONE = "none"
    ADJACENT = "adjacent"
    WEEKLY = "weekly"
    SLOW = "slow"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Autocorrelation:
    """What the baseline shows of the wobble's memory.

    p_value: of all forms together; NaN when insufficient. lag_1 and weekly: estimated
    autocorrelation of the shocks, binomial noise taken off, in [-1, 1]; NaN where there are no
    such pairs or no wobble beyond the noise. has_memory: choose the AR null.
    """

    memory: Memory
    p_value: float
    lag_1: float
    weekly: float
    cohorts: int
    reason: str

    @property
    def has_memory(self) -> bool:
        """Whether the iid null does not hold."""
        return self.memory in {Memory.ADJACENT, Memory.WEEKLY, Memory.SLOW}


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Residual level of each cohort in logits, and the variance of its binomial noise; (n,)."""

    start_s: NDArray[np.int64]
    level: NDArray[np.float64]
    noise: NDArray[np.float64]


def residual_levels(baseline: Detector, cohorts: Sequence[tuple[int, BinCounts]]) -> Levels:
    """Common shift u of each cohort's logits off the baseline's map; cohorts without labels out.

    Maximum likelihood with the weak prior N(0, 1), which keeps cohorts of one class finite:
    bounded Newton steps on sum of pos (z + u) - n log(1 + e^(z + u)). Noise is the inverse of
    the information, without the prior.
    """
    held = [(start_s, counts) for start_s, counts in cohorts if counts.n_labelled]
    level, noise = np.zeros(len(held)), np.zeros(len(held))
    for i, (_, counts) in enumerate(held):
        cells = Cells.of([counts])
        z = features(cells.logit, baseline.knots) @ baseline.posterior.mean
        u = 0.0
        for _ in range(NEWTON_STEPS):
            p = sigmoid(z + u)
            information = float(cells.n @ (p * (1 - p)))
            pull = float(cells.positive.sum() - cells.n @ p) - u
            u = float(np.clip(u + np.clip(pull / (information + 1), -1, 1), -LEVEL_MAX, LEVEL_MAX))
        level[i], noise[i] = u, 1 / max(information, 1e-9)
    return Levels(np.array([s for s, _ in held], dtype=np.int64), level, noise)


def find_memory(
    baseline: Detector, cohorts: Sequence[tuple[int, BinCounts]], *, level: float = LEVEL
) -> Autocorrelation:
    """Test the baseline's cohorts, each (start_s, counts) in time order, for a memory of shocks.

    Levels are standardised by sqrt(sigma^2 + noise). Three statistics, large for three forms:
    adjacent, sum of s_t s_(t+1) over cohorts that follow one another; weekly, the same a week
    apart; slow, sum of the squared partial sums of s - mean(s) (KPSS: Kwiatkowski et al. 1992), for
    a season or a trend. Each is ranked among the same cohorts in other orders; the p value is that
    of the smallest of the ranks (min-P: Westfall and Young 1993), so three looks cost no more
    than one. Memory in lags alone: a baseline must hold 10 cohorts, and weekly pairs of 2 weeks.
    """
    known = residual_levels(baseline, cohorts)
    n = len(known.level)
    if n < MIN_COHORTS:
        reason = f"The baseline has {n} of the {MIN_COHORTS} cohorts needed to tell memory."
        return Autocorrelation(Memory.INSUFFICIENT, _NAN, _NAN, _NAN, n, reason)
    centred = known.level - np.average(known.level, weights=1 / (known.noise + _variance(known)))
    s = centred / np.sqrt(max(baseline.sigma, SIGMA_MIN) ** 2 + known.noise)
    s = s - s.mean()
    pairs = {
        Memory.ADJACENT: _pairs(known.start_s, None),
        Memory.WEEKLY: _pairs(known.start_s, WEEK_S),
    }
    drawn = s[orders(n)]
    forms = [Memory.SLOW]
    statistics = [(np.cumsum(drawn, axis=1) ** 2).sum(axis=1)]
    for form, (first, second) in pairs.items():
        enough = (MIN_WEEKS - 1) * 7 if form is Memory.WEEKLY else 1
        if len(first) >= enough:
            forms.append(form)
            statistics.append((drawn[:, first] * drawn[:, second]).sum(axis=1))
    ranks = p_values(np.column_stack(statistics))
    p = float(p_values(-ranks.min(axis=1, keepdims=True))[0, 0])
    found = forms[int(np.argmin(ranks[0]))] if p <= level else Memory.NONE
    lag_1, weekly = (_correlation(known, centred, *pair) for pair in pairs.values())
    return Autocorrelation(found, p, lag_1, weekly, n, _WORDS[found])


_NAN = float("nan")
_WORDS = {
    Memory.NONE: "The baseline's cohorts wobble independently of one another.",
    Memory.ADJACENT: "Cohorts next to one another wobble alike in the baseline.",
    Memory.WEEKLY: "The baseline's wobble repeats from week to week.",
    Memory.SLOW: "The baseline's level moves slowly, as with a season or a trend.",
}


def _pairs(
    start_s: NDArray[np.int64], apart_s: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of cohorts that lie this far apart; without, of those that follow one another.

    Following one another is at the shortest distance that two cohorts have.
    """
    if apart_s is None:
        apart_s = int(np.diff(start_s).min())
    elif apart_s <= int(np.diff(start_s).min()):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    at = np.searchsorted(start_s, start_s + apart_s)
    inside = np.flatnonzero(at < len(start_s))
    matched = inside[start_s[at[inside]] == start_s[inside] + apart_s]
    return matched, at[matched]


def _variance(known: Levels) -> float:
    """Variance of the shocks: scatter of the levels less their mean noise, at least 0."""
    return max(0.0, float(known.level.var(ddof=1) - known.noise.mean()))


def _correlation(
    known: Levels,
    centred: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> float:
    """Moment estimate of the shocks' autocorrelation: noise is independent between cohorts."""
    variance = _variance(known)
    if not len(first) or not variance:
        return _NAN
    weight = 1 / ((variance + known.noise[first]) * (variance + known.noise[second]))
    product = float(weight @ (centred[first] * centred[second]) / weight.sum())
    return float(np.clip(product / variance, -1, 1))
