"""Cohorts: sealed cells merged to whole cohorts of the series that are judged.

Guarantees: segment combinations are expanded to the whole and to each dimension, exactly.
Must never: include a label past the label horizon, or give a part of a cohort.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import N_BINS, N_SUMS, BinCounts
from monitor.core.claims import Series, marginals
from monitor.core.folding import Cohort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.panes import Cells


def cohorts_of(
    cells: Cells, named: Mapping[int, Series], cohort_s: int
) -> dict[Series, list[Cohort]]:
    """Cohorts of `cohort_s` seconds, in time order, of every series that the cells are part of.

    named: identity by series index, with the combination of dimensions as its segment. Late cells
    are left out.
    """
    on_time = cells.take(~cells.late)
    found: dict[Series, list[Cohort]] = {}
    for series, indices in members(named).items():
        mine = on_time.take(np.isin(on_time.series, indices))
        if len(mine):
            found[series] = _merged(mine, cohort_s)
    return found


def members(named: Mapping[int, Series]) -> dict[Series, list[int]]:
    """Indices that add up to each judged series: the whole, and each value of each dimension."""
    found: dict[Series, list[int]] = {}
    for index, series in named.items():
        for segment in marginals(series.segment):
            judged = Series(series.model, series.version, series.claim, segment)
            found.setdefault(judged, []).append(index)
    return found


def _merged(cells: Cells, cohort_s: int) -> list[Cohort]:
    start = cells.pane_start // cohort_s * cohort_s
    starts, owner = np.unique(start, return_inverse=True)
    sums = np.zeros((len(starts), N_BINS, N_SUMS), dtype=np.int64)
    np.add.at(sums, (owner, cells.bin), cells.sums)
    return [
        Cohort(begun, begun + cohort_s, BinCounts(counts))
        for begun, counts in zip(starts.tolist(), sums, strict=True)
    ]
