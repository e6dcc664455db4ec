"""Influences: how much each row moves an estimate, for standard errors of differences.

Guarantees: rows that were predicted by two models can be subtracted one by one, so what they share
cancels; a histogram gives the same figures up to the spread within a micro-bin. Must never: be
read for the estimate itself, which `metrics.py` and `parts` give.

The influence of a row on an estimate is its derivative by the row's weight, centred; the variance
of the estimate is the mean square of the influences over n (delta method: van der Vaart 1998,
section 20.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.measures.moments import ClassMoments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows, or the classes of micro-bins that stand for them; shape (rows,) all.

    bin: of BINS equal-width bins; spread: variance of the scores that a row stands for.
    """

    score: NDArray[np.float64]
    outcome: NDArray[np.float64]
    weight: NDArray[np.float64]
    bin: NDArray[np.int64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, score: NDArray[np.float64], outcome: NDArray[np.bool_]) -> Self:
        """Raw rows."""
        n = len(score)
        return cls(score, outcome.astype(np.float64), np.ones(n), _bin(score), np.zeros(n))

    @classmethod
    def of_counts(cls, counts: BinCounts) -> Self:
        """Two rows a micro-bin, one for each class, at the class's mean score."""
        m = ClassMoments.of(counts)
        return cls(
            np.concatenate([m.mean_positive, m.mean_negative]),
            np.repeat([1.0, 0.0], len(m.mean)),
            np.concatenate([m.n_positive, m.n_negative]),
            np.tile(_bin(m.upper), 2),
            np.concatenate([m.sd_positive, m.sd_negative]) ** 2,
        )

    @property
    def n(self) -> float:
        """How many rows there are."""
        return float(self.weight.sum())


@dataclass(frozen=True, slots=True)
class Parts:
    """Brier's parts over 15 equal-width bins without the bias of small bins.

    Ferro and Fricker 2012 (QJRMS 138:1954), eqs. 5 to 7: rates of n rows are too far apart by
    r (1 - r) / (n - 1) on average. Reliability and resolution may then be below 0.
    """

    reliability: float
    resolution: float
    uncertainty: float


def parts(rows: Rows) -> Parts:
    """Reliability, resolution and uncertainty; a bin of one row is taken to have no noise."""
    n, rate, gap = _by_bin(rows)
    total = n.sum()
    base = float(n @ rate / total)
    noise = float((n / total) @ (rate * (1 - rate) / np.maximum(n - 1, 1)))
    spread = base * (1 - base) / max(total - 1, 1)
    return Parts(
        reliability=float(n @ gap**2 / total) - noise,
        resolution=float(n @ (rate - base) ** 2 / total) - noise + spread,
        uncertainty=base * (1 - base) + spread,
    )


def of_reliability(rows: Rows) -> NDArray[np.float64]:
    """Influence on sum of n_b gap_b² / n: 2 gap_b (score - outcome) - gap_b², centred.

    At gaps of 0 it is too large rather than too small: the square of an estimated gap holds its
    noise, whose share of the variance is then counted twice.
    """
    _, _, gap = _by_bin(rows)
    own = gap[rows.bin]
    return _centred(2 * own * (rows.score - rows.outcome) - own * own, rows)


def of_resolution(rows: Rows) -> NDArray[np.float64]:
    """Influence on sum of n_b (rate_b - base)² / n."""
    n, rate, _ = _by_bin(rows)
    base, own = n @ rate / n.sum(), rate[rows.bin]
    return _centred(2 * (own - base) * rows.outcome - own * own, rows)


def of_uncertainty(rows: Rows) -> NDArray[np.float64]:
    """Influence on base (1 - base)."""
    base = rows.weight @ rows.outcome / rows.n
    return _centred((1 - 2 * base) * rows.outcome, rows)


def of_brier(rows: Rows) -> NDArray[np.float64]:
    """Influence on the mean of (score - outcome)²."""
    return _centred((rows.score - rows.outcome) ** 2 + rows.spread, rows)


def _by_bin(
    rows: Rows,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rows, rate and mean score - rate of each of the BINS; 0 where a bin is empty."""
    n = np.bincount(rows.bin, rows.weight, BINS).astype(np.float64)
    held = np.maximum(n, 1e-300)
    rate = np.bincount(rows.bin, rows.weight * rows.outcome, BINS) / held
    return n, rate, np.bincount(rows.bin, rows.weight * rows.score, BINS) / held - rate


def _centred(value: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    return np.asarray(value - rows.weight @ value / rows.n)


def _bin(score: NDArray[np.float64]) -> NDArray[np.int64]:
    upper = np.array([k / BINS for k in range(1, BINS + 1)])
    return np.searchsorted(upper, score, side="left")
