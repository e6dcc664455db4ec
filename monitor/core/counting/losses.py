"""Losses of quantiles and intervals, and which side a label missed: sums that merge exactly.

Guarantees: each label's loss is rounded once, to a billionth of the label's unit, and kept as whole
units and billionths, so that sums of integers decide: any order and any split give the same. A
cell is (series, pane, late), with `late` as in `panes.py`. Must never: hold anything of a claim
that is a probability of its own.

Pinball loss of a quantile q of level t: (y - q) (t - 1[y < q]) (Koenker and Bassett 1978). Interval
score of [l, u] of level 1 - a: u - l + 2/a (l - y) where y < l, + 2/a (y - u) where y > u (Winkler
1972; Gneiting and Raftery 2007, eq. 43).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.claims import OutcomeRule
from monitor.core.panes import Cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOSS_SUMS = ("n_below", "loss_units", "loss_billionths", "width_units", "width_billionths")
"""Labels below an interval; loss and width as whole units and billionths of a unit."""
BILLION = 10**9
LARGEST = 1e12
"""Largest label, quantile or bound, in either direction, that is counted."""


class LossCells(Cells):
    """Canonical sparse losses: `key` as of cells of bin 0, `sums` int64 of shape (n, 5)."""

    __slots__ = ()

    @classmethod
    def empty(cls) -> Self:
        """No losses."""
        return cls(np.empty(0, dtype=np.int64), np.empty((0, len(LOSS_SUMS)), dtype=np.int64))

    def total(self) -> Losses:
        """All of them together."""
        below, *parts = self.sums.sum(axis=0).tolist()
        loss, width = (u + b / BILLION for u, b in (parts[:2], parts[2:]))
        return Losses(int(below), float(loss), float(width))


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums over labels: how many fell below the interval, the loss, and the intervals' width."""

    below: int
    loss: float
    width: float


NO_LOSSES = Losses(0, 0.0, 0.0)


def loss_sums(
    rule: NDArray[np.int8],
    level: NDArray[np.float64],
    refs: NDArray[np.float64],
    label: NDArray[np.float64],
) -> NDArray[np.int64]:
    """What each label adds: int64 of shape (n, 5), columns as in LOSS_SUMS; 0 for a NaN label.

    refs: shape (n, 2), a quantile and NaN (AT_MOST) or the two bounds (WITHIN).
    """
    sums = np.zeros((len(label), len(LOSS_SUMS)), dtype=np.int64)
    low, high = refs.T
    answered = ~np.isnan(label)
    at_most = answered & (rule == OutcomeRule.AT_MOST)
    y, q, t = label[at_most], low[at_most], level[at_most]
    sums[at_most, 1:3] = _split((y - q) * (t - (y < q)))
    within = answered & (rule == OutcomeRule.WITHIN)
    y, lower, upper = label[within], low[within], high[within]
    missed = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    width = upper - lower
    sums[within, 0] = y < lower
    sums[within, 1:3] = _split(width + 2 / (1 - level[within]) * missed)
    sums[within, 3:5] = _split(width)
    return sums


def _split(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole units and billionths, rounded once: int64 of shape (n, 2)."""
    units = np.floor(value)
    billionths = np.rint((value - units) * BILLION)
    return np.column_stack([units, billionths]).astype(np.int64)
