"""Equal-mass bins merged from micro-bins, for comparing two score histograms.

Guarantees: no bin is empty; ties are never split, so a constant score gives one bin. Must never:
depend on anything but the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.runs import run_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def equal_mass_bins(counts: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """Bin of each micro-bin, shape of counts: at most `bins`, of about equal counts, none empty.

    A micro-bin goes where its middle rank falls. An empty one goes with the held one below it.
    """
    total = int(counts.sum())
    if not total:
        return np.zeros(len(counts), dtype=np.int64)
    middle = np.cumsum(counts) - counts / 2
    wanted = np.minimum((middle * bins / total).astype(np.int64), bins - 1)
    held = counts > 0
    owner = np.searchsorted(np.unique(wanted[held]), wanted, side="right") - 1
    last_held = np.maximum.accumulate(np.where(held, np.arange(len(counts)), -1))
    first = int(np.flatnonzero(held)[0])
    return np.asarray(owner[np.maximum(last_held, first)])


def merged_bins(counts: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts of micro-bins (..., micro-bins) added by bin; shape (..., bins).

    owner: as from `equal_mass_bins`: never falling, and no bin without a micro-bin.
    """
    return np.add.reduceat(counts, run_starts(owner), axis=-1).astype(np.float64)
