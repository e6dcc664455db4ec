"""Trial of a repair on one set of labels: each half repaired by the line that the other half gave.

Guarantees: pure; no label is judged by a line that was fitted to it, and all of them are judged;
whether the repair helps goes by the Brier score, row against row. Must never: go by raw ECE on a
few hundred labels (a repair spreads extreme scores over more bins, and each adds its noise), or by
log loss, where a handful of sure and wrong scores decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.halves import halves
from monitor.core.metrics import metrics
from monitor.core.moments import ClassMoments
from monitor.core.repairs import apply, best_repair, chosen_line

if TYPE_CHECKING:
    from monitor.core.verdicts import Metrics, Repair

SEED = 0
Z = 1.96


@dataclass(frozen=True, slots=True)
class RepairTrial:
    """A repair, and all labels without and with it.

    method, slope and intercept as in `Repair`, fitted to all labels: what to apply. before, after:
    all labels as they are, and each half repaired by the other's line. gain: what that takes off
    the Brier score, with its 95 % interval.
    """

    method: str
    slope: float
    intercept: float
    before: Metrics
    after: Metrics
    gain: float
    gain_low: float
    gain_high: float

    @property
    def helps(self) -> bool | None:
        """Whether it does; None where the interval contains 0."""
        if self.gain_low <= 0 <= self.gain_high:
            return None
        return self.gain > 0


def repair_trial(counts: BinCounts) -> RepairTrial | None:
    """None where either half, or the whole, has no repair (see `best_repair`)."""
    one, other = halves([counts], SEED)
    forth, back, whole = best_repair(one, other), best_repair(other, one), chosen_line(counts)
    if forth is None or back is None or whole is None:
        return None
    tried = [_Moved.of(other, forth), _Moved.of(one, back)]
    gains = np.concatenate([each.gains for each in tried])
    rows = np.concatenate([each.rows for each in tried])
    gain = float(np.average(gains, weights=rows))
    variance = float(np.average((gains - gain) ** 2, weights=rows))
    error = Z * (variance / (rows.sum() - 1)) ** 0.5
    return RepairTrial(
        *whole,
        before=metrics(counts),
        after=metrics(tried[0].counts + tried[1].counts),
        gain=gain,
        gain_low=gain - error,
        gain_high=gain + error,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Moved:
    """A half after a repair; gains and rows by micro-bin, positives then negatives."""

    counts: BinCounts
    gains: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, half: BinCounts, repair: Repair) -> _Moved:
        """Each micro-bin moves as a whole, by its mean score."""
        held = ClassMoments.of(half)
        new = apply(held.mean, repair.slope, repair.intercept)
        gains = np.concatenate([(1 - held.mean) ** 2 - (1 - new) ** 2, held.mean**2 - new**2])
        rows = np.concatenate([held.n_positive, held.n_negative]).astype(np.int64)
        outcome = np.repeat([True, False], len(new))
        moved = BinCounts.from_rows(np.repeat(np.tile(new, 2), rows), np.repeat(outcome, rows))
        return cls(moved, gains, rows)
