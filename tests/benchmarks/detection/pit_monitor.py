"""Rival: PITMonitor (Farran, arXiv 2603.13156), written again from the paper and its public code.

The probability integral transform of each outcome is ranked among all before it, ties broken at
random: under exchangeability these conformal p values are uniform. A histogram of the earlier p
values (100 bins, one added to each) gives an e-value, and a mixture over the change point with
weights 1 / (t (t + 1)) an e-process: M <- e (M + w), alarm at M >= 1 / alpha, alpha = .05 over all
time. Its stream begins with the baseline's labels. A binary outcome is discrete, so its transform
is the randomised one: uniform on [0, 1 - p) for y = 0, on [1 - p, 1) for y = 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tests.benchmarks.detection.streams import Bools, Floats

ALPHA = 0.05
BINS = 100
SEED = 2603
BLOCK = 512


def first_alarm(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
    """First alarm, in labels behind the baseline; alarms within the baseline are passed over.

    M only moves on, so that an alarm within the baseline is one label later an alarm behind it.
    """
    rng = np.random.default_rng(SEED)
    u = rng.random(len(score))
    pit = np.where(outcome, 1 - score + u * score, u * (1 - score))
    over = np.flatnonzero(log_m(pit, rng)[n_baseline:] >= -np.log(ALPHA))
    return None if not len(over) else int(over[0]) + 1


def log_m(pit: Floats, rng: np.random.Generator) -> Floats:
    """Log of the mixture e-process after each transform, without a stop."""
    t = np.arange(1, len(pit) + 1)
    p = (ranks_before(pit) + rng.random(len(pit))) / t
    which = np.minimum((p * BINS).astype(int), BINS - 1)
    log_e = np.log((1 + _seen_before(which)) * BINS / (BINS + t - 1))
    walk = np.cumsum(log_e)
    begun = -np.log(t * (t + 1.0)) - np.concatenate([[0.0], walk[:-1]])
    return np.asarray(np.logaddexp.accumulate(begun) + walk)


def ranks_before(values: Floats) -> Floats:
    """How many earlier values are below each value."""
    ranks = np.empty(len(values))
    earlier = np.empty(0)
    for at in range(0, len(values), BLOCK):
        block = values[at : at + BLOCK]
        inside = np.tril(block[None, :] < block[:, None], -1).sum(axis=1)
        ranks[at : at + BLOCK] = np.searchsorted(earlier, block, side="left") + inside
        earlier = np.sort(np.concatenate([earlier, block]), kind="stable")
    return ranks


def _seen_before(which: np.ndarray) -> Floats:
    """How often each element's value came before it."""
    order = np.argsort(which, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=BINS))])
    seen = np.empty(len(which))
    seen[order] = np.arange(len(which)) - starts[which[order]]
    return seen
