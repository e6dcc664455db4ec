"""Cohorts: sealed cells merged to whole cohorts of the series that are judged.

Guarantees: segment combinations are expanded to the whole and to each dimension, exactly.
Must never: include a label past the label horizon, or give a part of a cohort.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import N_BINS, N_SUMS, BinCounts
from monitor.core.claims import Series, marginals
from monitor.core.delay_cells import DelayCells, delay_pane_s
from monitor.core.kinds import TOP_LABEL
from monitor.core.panes import Cells
from monitor.core.series_state import Cohort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.core.delays import DelayCounts
    from monitor.core.policies import Policy


@dataclass(frozen=True, slots=True, eq=False)
class CohortDelays:
    """Delays for cohorts: of labels within the label horizon, and within the correction horizon.

    Lateness is not told apart in either.
    """

    on_time: DelayCells
    complete: DelayCells


def cohorts_of(
    cells: Cells,
    named: Mapping[int, Series],
    policy: Policy,
    delays: CohortDelays,
) -> dict[Series, list[Cohort]]:
    """The policy's cohorts, in time order, of every series that the cells are part of.

    named: identity by series index, with the combination of dimensions as its segment. Late cells
    are left out. A pane of delays goes with the cohort that is the first to mature no earlier than
    it does; where that cohort has no predictions, its delays are not looked at.
    """
    cohort_s = int(policy.cohort.total_seconds())
    on_time = cells.take(~cells.late)
    index, prompt, complete = on_time.series, delays.on_time.series, delays.complete.series
    found: dict[Series, list[Cohort]] = {}
    for series, indices in members(named).items():
        mine = rows_of(index, indices)
        if len(mine):
            own = CohortDelays(
                _delays(delays.on_time, rows_of(prompt, indices)),
                _delays(delays.complete, rows_of(complete, indices)),
            )
            cohorts = _merged(Cells(on_time.key[mine], on_time.sums[mine]), cohort_s)
            found[series] = _with_delays(cohorts, policy, own)
    return found


def rows_of(index: NDArray[np.int64], wanted: Sequence[int]) -> NDArray[np.int64]:
    """Rows of a sorted column that hold one of the values, in the order of the values.

    By search, since a fleet's cells are looked through once for every series.
    """
    low = np.searchsorted(index, wanted, side="left").tolist()
    high = np.searchsorted(index, wanted, side="right").tolist()
    return np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])


def cohort_start_s(
    pane_start: NDArray[np.int64], policy: Policy, *, complete: bool
) -> NDArray[np.int64]:
    """Start of the cohort that each pane of delays goes with, epoch seconds."""
    cohort_s = int(policy.cohort.total_seconds())
    last = pane_start + delay_pane_s(int(policy.pane.total_seconds())) - 1
    if complete:
        last = last + int((policy.correction_horizon - policy.label_horizon).total_seconds())
    return last // cohort_s * cohort_s


def _delays(cells: DelayCells, rows: NDArray[np.int64]) -> DelayCells:
    return DelayCells(cells.key[rows], cells.n[rows])


def _with_delays(cohorts: list[Cohort], policy: Policy, delays: CohortDelays) -> list[Cohort]:
    on_time = _by_cohort(delays.on_time, policy, complete=False)
    complete = _by_cohort(delays.complete, policy, complete=True)
    return [
        replace(cohort, delays=on_time.get(cohort.start_s), complete=complete.get(cohort.start_s))
        for cohort in cohorts
    ]


def _by_cohort(mine: DelayCells, policy: Policy, *, complete: bool) -> dict[int, DelayCounts]:
    horizon = policy.correction_horizon if complete else policy.label_horizon
    start = cohort_start_s(mine.pane_start, policy, complete=complete)
    return {
        begun: mine.take(start == begun).counts(int(horizon.total_seconds()))
        for begun in np.unique(start).tolist()
    }


def members(named: Mapping[int, Series]) -> dict[Series, list[int]]:
    """Indices that add up to each judged series: the whole, and each value of each dimension."""
    found: dict[Series, list[int]] = {}
    for index, series in named.items():
        for segment in marginals(series.segment):
            judged = Series(series.model, series.version, series.claim, segment)
            found.setdefault(judged, []).append(index)
    return found


def label_claims(named: Mapping[int, Series]) -> dict[tuple[str, str], list[int]]:
    """By model and version, the indices of one claim: its labels are those of all claims."""
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    for index, series in named.items():
        claims = found.setdefault((series.model, series.version), {})
        claims.setdefault(series.claim, []).append(index)
    return {whose: claims.get(TOP_LABEL, claims[min(claims)]) for whose, claims in found.items()}


def _merged(cells: Cells, cohort_s: int) -> list[Cohort]:
    start = cells.pane_start // cohort_s * cohort_s
    starts, owner = np.unique(start, return_inverse=True)
    sums = np.zeros((len(starts), N_BINS, N_SUMS), dtype=np.int64)
    np.add.at(sums, (owner, cells.bin), cells.sums)
    return [
        Cohort(begun, begun + cohort_s, BinCounts(counts))
        for begun, counts in zip(starts.tolist(), sums, strict=True)
    ]
