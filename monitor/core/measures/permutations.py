"""Which cohorts stand in which sample: the splits that a permutation test tries.

Guarantees: the same sizes give the same splits on every machine; where all splits fit in the
number of draws, each is tried once and the p value is exact. Must never: split a cohort, whose
rows wobble together.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kept = TypeVar("Kept", np.bool_, np.int64)

DRAWS = 4999
SEED = 20_250_104
KEPT = 4
"""Results kept: a series is asked about with the same sizes day after day."""


@lru_cache(maxsize=KEPT)
def splits(n: int, chosen: int) -> NDArray[np.bool_]:
    """Choices of `chosen` out of n cohorts; bool of shape (splits, n), read-only.

    The first row chooses the last cohorts, which is how a window follows its baseline. It is among
    the rows, so that p = share of rows with a statistic as large is a valid p value (Phipson and
    Smyth 2010, "Permutation p-values should never be zero").
    """
    taken = np.zeros((min(comb(n, chosen), DRAWS + 1), n), dtype=np.bool_)
    taken[0, n - chosen :] = True
    if comb(n, chosen) <= DRAWS + 1:
        for row, members in enumerate(combinations(range(n - 1, -1, -1), chosen)):
            taken[row] = False
            taken[row, list(members)] = True
        return _read_only(taken)
    drawn = np.random.default_rng(SEED).random((DRAWS, n))
    # No draw ties with another, so the smallest are the same however the rest is ordered.
    members_first = drawn.argpartition(min(chosen, n - 1), axis=1)
    np.put_along_axis(taken[1:], members_first[:, :chosen], values=True, axis=1)
    return _read_only(taken)


def orders(n: int) -> NDArray[np.int64]:
    """Orders of n cohorts, the given one first; int64 of shape (DRAWS + 1, n)."""
    drawn = np.random.default_rng(SEED).random((DRAWS, n)).argsort(axis=1)
    return np.vstack([np.arange(n), drawn])


@lru_cache(maxsize=KEPT)
def signs(n: int) -> NDArray[np.int64]:
    """Signs of n cohorts, all 1 first; -1 or 1, of shape (DRAWS + 1, n), read-only."""
    drawn = np.random.default_rng(SEED).integers(0, 2, (DRAWS, n)) * 2 - 1
    return _read_only(np.vstack([np.ones((1, n), dtype=np.int64), drawn]))


def _read_only(kept: NDArray[Kept]) -> NDArray[Kept]:
    kept.flags.writeable = False
    return kept


def p_values(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the rows whose statistic reaches the row's own, by column; shape as given.

    Row 0 is what was observed. Differences in the last bits of a sum are ties.
    """
    rounded = np.round(statistic, 9)
    ordered = np.sort(rounded, axis=0)
    columns = [
        np.searchsorted(ordered[:, k], rounded[:, k], side="left") for k in range(rounded.shape[1])
    ]
    return np.asarray(1 - np.stack(columns, axis=1) / len(rounded))
