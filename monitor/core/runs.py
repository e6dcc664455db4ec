"""Runs: stretches of equal values, as of the keys of sorted rows.

Must never: sort; whoever asks has sorted in the way that suits them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def begins_run(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each value is the first of its run, of one value or more; shape (n,)."""
    begins = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    return begins


def run_starts(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the first of each run of equal values, of one value or more; rising."""
    return begins_run(values).nonzero()[0]
