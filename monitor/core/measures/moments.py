"""Class moments: what a micro-bin's sums say about its positives and its negatives.

Guarantees: scores are given back to the fixed point's resolution, and a spread below that
resolution is 0, never noise. Must never: invent a spread for a single row, which has none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import EDGES, FIXED_POINT, LOWER_EDGES
from monitor.core.measures.held import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

SPREAD_FLOOR = 2e-9
"""Smallest variance of a score that sums in billionths can tell from their own rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassMoments:
    """Labelled micro-bins with their two classes; all arrays of shape (labelled bins,).

    mean_* of an empty class is the bin's mean; sd_* is the spread of a class about its own mean,
    sd of the bin's rows about theirs; lower and upper are the bin's edges.
    """

    n_positive: NDArray[np.float64]
    n_negative: NDArray[np.float64]
    mean: NDArray[np.float64]
    mean_positive: NDArray[np.float64]
    mean_negative: NDArray[np.float64]
    sd: NDArray[np.float64]
    sd_positive: NDArray[np.float64]
    sd_negative: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @classmethod
    def of(cls, counts: BinCounts) -> Self:
        """Moments of the micro-bins that hold labels."""
        return cls.of_rows(Held.in_all([counts]))

    @classmethod
    def of_rows(cls, held: Held) -> Self:
        """Moments of labelled micro-bins, whosever they are.

        Only the squares of both classes together are stored. What is left of them after the
        distance of the class means is shared out by degrees of freedom, n - 1 each (pooled
        variance of a one-way layout), so a class of one row gets no spread.
        """
        sums = held.sums
        n, positive = sums[:, 1].astype(np.float64), sums[:, 2].astype(np.float64)
        negative = n - positive
        score, square, score_positive = (sums[:, k] / FIXED_POINT for k in (3, 4, 5))
        mean = score / n
        mean_positive = _class_mean(score_positive, positive, mean)
        mean_negative = _class_mean(score - score_positive, negative, mean)
        total = np.maximum(square - n * mean * mean, 0.0)
        between = positive * negative / n * (mean_positive - mean_negative) ** 2
        within = np.maximum(total - between, 0.0)
        pooled = within / np.maximum(n - (positive > 0) - (negative > 0), 1.0)
        pooled[within <= n * SPREAD_FLOOR] = 0.0
        return cls(
            n_positive=positive,
            n_negative=negative,
            mean=mean,
            mean_positive=mean_positive,
            mean_negative=mean_negative,
            sd=np.where(total > n * SPREAD_FLOOR, np.sqrt(total / n), 0.0),
            sd_positive=np.sqrt(pooled * _share(positive)),
            sd_negative=np.sqrt(pooled * _share(negative)),
            lower=LOWER_EDGES[held.bin],
            upper=EDGES[held.bin],
        )


FIELDS = tuple(field.name for field in fields(ClassMoments))


def moments_of(counts: Sequence[BinCounts]) -> list[ClassMoments]:
    """As `ClassMoments.of`, of each; what is in the batch besides changes no bit of it."""
    held = Held.in_all(counts)
    joined = ClassMoments.of_rows(held)
    if len(counts) == 1:
        return [joined]
    columns = (held.of.apart(getattr(joined, name)) for name in FIELDS)
    return [ClassMoments(*each) for each in zip(*columns, strict=True)]


def joined_moments(moments: Sequence[ClassMoments]) -> ClassMoments:
    """Those of each, one after the other."""
    if len(moments) == 1:
        return moments[0]
    empty = np.empty(0)
    return ClassMoments(
        *(np.concatenate([empty, *(getattr(each, name) for each in moments)]) for name in FIELDS)
    )


def _class_mean(
    score: NDArray[np.float64], n: NDArray[np.float64], otherwise: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.where(n > 0, score / np.maximum(n, 1.0), otherwise)


def _share(n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected mean square about the own mean of n rows, in units of their variance."""
    return np.maximum(n - 1.0, 0.0) / np.maximum(n, 1.0)
