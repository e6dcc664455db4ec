"""Intervals of a weighted sum of the shares of disjoint kinds of rows: a cost, or a difference.

Guarantees: closed form, so equal counts give equal bits; a kind of which no row was seen still
has an upper end. Must never: take kinds for disjoint that share rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.measures.wilson import Z_95, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64] | NDArray[np.int64] | float
    Kind = tuple[Numbers, Numbers]


def weighted_rates(
    kinds: Sequence[Kind], n: float, z: float = Z_95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum of weight * count / n over the kinds, with its lower and upper end; shape of the counts.

    kinds: (count, weight) each, arrays of one shape or numbers. n: all rows, more than 0.
    Each share has Wilson's interval, and the distances to its ends are put together as standard
    errors are, with the correlation that shares of one multinomial sample have (MOVER: Zou and
    Donner 2008, Statistics in Medicine 27:1693; Newcombe 2001). Assumes independent rows.
    """
    columns = np.broadcast_arrays(*(np.asarray(each, float) for kind in kinds for each in kind))
    counts, weight = np.array(columns[::2]), np.array(columns[1::2])
    share = np.clip(counts / n, 0.0, 1.0)
    low, high = wilson(counts, np.full_like(counts, n), z)
    down, up = np.maximum(share - low, 0.0), np.maximum(high - share, 0.0)
    value = (weight * share).sum(axis=0)
    below = weight * np.where(weight > 0, down, up)
    above = weight * np.where(weight > 0, up, down)
    odds = np.sqrt(share / np.maximum(1 - share, 1 / (2 * n)))
    return value, value - _together(below, odds), value + _together(above, odds)


def _together(part: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root of the sum of part_i part_j corr_ij; corr_ij = -sqrt(odds_i odds_j) for i != j."""
    scaled = part * odds
    cross = scaled.sum(axis=0) ** 2 - (scaled * scaled).sum(axis=0)
    return np.asarray(np.sqrt(np.maximum((part * part).sum(axis=0) - cross, 0.0)))
