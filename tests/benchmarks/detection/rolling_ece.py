"""Rival: alarm when ECE over the last labels is well above the baseline's.

Raw ECE, ten equal-width bins, looked at every 100 labels; the window reaches back into the baseline
until it is full of later labels. Two thresholds: the baseline's ECE + .05, and the one that a user
would choose who knew the truth: 5 % of calibrated streams exceed it within 50k labels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.detection.streams import Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.detection.streams import Bools, Floats

BINS = 10
EVERY = 100
TUNING_RUNS = 100
TUNING_LABELS = 50_000
TUNING_SHARE = 0.05


def rolling_ece(score: Floats, outcome: Bools, window: int) -> Floats:
    """ECE of the last `window` rows after `window`, `window` + 100, ... rows."""
    which = np.minimum((score * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(score) + 1, BINS))
    gaps[np.arange(1, len(score) + 1), which] = score - outcome
    total = np.cumsum(gaps, axis=0)[::EVERY]
    back = window // EVERY
    return np.asarray(np.abs(total[back:] - total[:-back]).sum(axis=1) / window)


def above_baseline(window: int, margin: float) -> Callable[[Floats, Bools, int], int | None]:
    """First alarm of ECE > the baseline's + margin, in labels behind the baseline."""

    def first(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
        start = rolling_ece(score[:n_baseline], outcome[:n_baseline], n_baseline)[0]
        return _first(score, outcome, n_baseline, window, float(start) + margin)

    return first


def tuned(window: int) -> Callable[[Floats, Bools, int], int | None]:
    """First alarm of ECE > the threshold tuned on the truth."""

    def first(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
        return _first(score, outcome, n_baseline, window, tuned_threshold(window))

    return first


@lru_cache
def tuned_threshold(window: int) -> float:
    """The 95 % quantile of the largest rolling ECE of calibrated streams of 50k labels."""
    rng = np.random.default_rng([TUNING_RUNS, window])
    drawn = (Setting(0, TUNING_LABELS).draw(rng) for _ in range(TUNING_RUNS))
    tops = [rolling_ece(stream.score, stream.outcome, window).max() for stream in drawn]
    return float(np.quantile(tops, 1 - TUNING_SHARE))


def _first(
    score: Floats, outcome: Bools, n_baseline: int, window: int, threshold: float
) -> int | None:
    back = min(window, n_baseline)
    if len(score) < n_baseline - back + window:
        return None
    seen = slice(n_baseline - back, None)
    over = np.flatnonzero(rolling_ece(score[seen], outcome[seen], window)[1:] > threshold)
    return None if not len(over) else window - back + EVERY * int(over[0] + 1)
