"""Micro-bins: the integer counts that every verdict is made of.

Guarantees: counts are integers and fixed-point sums, so merging is exact, associative and
commutative, and a replay gives the same bits. Edges are right-closed, (lower, upper], with 0 in
the first bin (Guo et al. 2017, arXiv 1706.04599, section 2). The edges contain every multiple of
1/60, so equal-width bins of 5, 6, 10, 12, 15, 20, 30 or 60 are exact merges of micro-bins.
Must never: depend on the order of events, or change EDGES without a new EDGES_VERSION: they are
stored by index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGES_VERSION = 1
SCORE_MIN = 1e-6
SCORE_MAX = 1 - 1e-6
LOG_LOSS_CLIP = 1e-15
FIXED_POINT = 10**9
"""Fixed-point sums are in billionths: resolution 1e-9 a row, 9e9 rows before an int64 overflows."""


def _edges() -> NDArray[np.float64]:
    """Upper edges: 256 logit-spaced ones on [1e-6, 1 - 1e-6], the multiples of 1/60, and 1.

    The logit-spaced edges are rounded to 9 significant digits of the smaller tail, so that they
    are the same doubles on every machine; k/60 is the double nearest to the fraction, which is
    also what a decimal such as 0.3 in a message is parsed to.
    """
    logit_max = float(np.log(SCORE_MAX / SCORE_MIN))
    edges = {k / 60 for k in range(1, 61)}
    for logit in np.linspace(-logit_max, logit_max, 256):
        tail = float(f"{1 / (1 + np.exp(abs(logit))):.9g}")
        edges.add(tail if logit < 0 else 1 - tail)
    return np.array(sorted(edges))


EDGES: NDArray[np.float64] = _edges()
LOWER_EDGES: NDArray[np.float64] = np.concatenate([[0.0], EDGES[:-1]])
MIDDLES: NDArray[np.float64] = (LOWER_EDGES + EDGES) / 2
N_BINS = len(EDGES)

SUMS = (
    "n_predicted",
    "n_labelled",
    "n_positive",
    "score_sum",
    "score_square_sum",
    "score_positive_sum",
    "log_loss_sum",
)
"""Columns of a count matrix. The last four are over labelled rows, in billionths;
log loss in nats, scores clipped to [1e-15, 1 - 1e-15]."""
N_SUMS = len(SUMS)


def bin_index(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Micro-bin of each score in [0, 1]; shape as given."""
    return np.searchsorted(EDGES, score, side="left")


def row_sums(
    score: NDArray[np.float64], labelled: NDArray[np.bool_], outcome: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """What each claim adds to its cell: int64 of shape (n, N_SUMS), columns as in SUMS."""
    is_labelled = labelled.astype(np.int64)
    positive = (labelled & outcome).astype(np.int64)
    clipped = np.clip(score, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    nats = -np.log(np.where(outcome, clipped, 1 - clipped))
    scored = np.rint(score * FIXED_POINT).astype(np.int64)
    squared = np.rint(score * score * FIXED_POINT).astype(np.int64)
    return np.column_stack(
        [
            np.ones(len(score), dtype=np.int64),
            is_labelled,
            positive,
            scored * is_labelled,
            squared * is_labelled,
            scored * positive,
            np.rint(nats * FIXED_POINT).astype(np.int64) * is_labelled,
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class BinCounts:
    """Counts of one series over any span: `sums` is int64 of shape (N_BINS, N_SUMS).

    Addition merges two spans; it is exact, associative and commutative, with `empty()` as zero.
    `sums` is not written to any more: what is asked of it again and again is summed once.
    """

    sums: NDArray[np.int64]
    _totals: list[list[int]] = field(default_factory=list, init=False, repr=False)
    _held: list[tuple[NDArray[np.intp], NDArray[np.int64]]] = field(
        default_factory=list, init=False, repr=False
    )

    @classmethod
    def empty(cls) -> Self:
        """Counts of nothing."""
        return cls(np.zeros((N_BINS, N_SUMS), dtype=np.int64))

    @classmethod
    def from_rows(
        cls,
        score: NDArray[np.float64],
        outcome: NDArray[np.bool_],
        labelled: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Counts of raw rows; without `labelled`, every row has a label."""
        if labelled is None:
            labelled = np.ones(len(score), dtype=np.bool_)
        sums = np.zeros((N_BINS, N_SUMS), dtype=np.int64)
        np.add.at(sums, bin_index(score), row_sums(score, labelled, outcome))
        return cls(sums)

    def __add__(self, other: BinCounts) -> BinCounts:
        return BinCounts(self.sums + other.sums)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BinCounts) and bool(np.array_equal(self.sums, other.sums))

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable; nothing keys by counts

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predictions in each micro-bin."""
        return self.sums[:, 0]

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Labelled predictions in each micro-bin."""
        return self.sums[:, 1]

    @property
    def positive(self) -> NDArray[np.int64]:
        """Positive outcomes in each micro-bin."""
        return self.sums[:, 2]

    @property
    def score_sum(self) -> NDArray[np.int64]:
        """Sum of the labelled rows' scores, in billionths."""
        return self.sums[:, 3]

    @property
    def totals(self) -> list[int]:
        """Sums over all micro-bins, as in SUMS."""
        if not self._totals:
            self._totals.append(self.sums.sum(axis=0).tolist())
        return self._totals[0]

    @property
    def held(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Micro-bins that hold labels, rising, and their sums; (bins,) and (bins, N_SUMS)."""
        if not self._held:
            at = self.sums[:, 1].nonzero()[0]
            self._held.append((at, self.sums[at]))
        return self._held[0]

    @property
    def n_predicted(self) -> int:
        """Number of predictions."""
        return self.totals[0]

    @property
    def n_labelled(self) -> int:
        """Number of labelled predictions."""
        return self.totals[1]

    @property
    def n_positive(self) -> int:
        """Number of positive outcomes."""
        return self.totals[2]

    @property
    def coverage(self) -> float:
        """Share of the predictions that have a label; NaN without predictions."""
        return self.n_labelled / self.n_predicted if self.n_predicted else float("nan")

    def mean_scores(self) -> NDArray[np.float64]:
        """Mean score of the labelled rows of each micro-bin; NaN where there are none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.score_sum / (self.labelled * float(FIXED_POINT))
