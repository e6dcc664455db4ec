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
from monitor.core.counting.delay_cells import DelayCells, delay_pane_s
from monitor.core.judging.series_state import Cohort
from monitor.core.kinds import TOP_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.core.delays import DelayCounts
    from monitor.core.panes import Cells
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
    prompt, complete = delays.on_time.series, delays.complete.series
    parts = members(named)
    counted = _counted(on_time, list(parts.values()), cohort_s)
    found = {series: counted[i] for i, series in enumerate(parts) if i in counted}
    if len(prompt) or len(complete):
        for series, cohorts in found.items():
            own = CohortDelays(
                _delays(delays.on_time, rows_of(prompt, parts[series])),
                _delays(delays.complete, rows_of(complete, parts[series])),
            )
            found[series] = _with_delays(cohorts, policy, own)
    return found


def rows_of(index: NDArray[np.int64], wanted: Sequence[int]) -> NDArray[np.int64]:
    """Rows of a sorted column that hold one of the values, in the order of the values.

    By search, since a fleet's cells are looked through once for every series.
    """
    return _runs(*_ends(index, wanted))


def _ends(
    index: NDArray[np.int64], wanted: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each value's rows begin, and how many they are."""
    low = np.searchsorted(index, wanted, side="left")
    return low, np.searchsorted(index, wanted, side="right") - low


def _runs(first: NDArray[np.int64], n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Runs of n numbers from each first on, one after the other."""
    return np.repeat(first - (np.cumsum(n) - n), n) + np.arange(n.sum())


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


def _counted(
    cells: Cells, parts: Sequence[Sequence[int]], cohort_s: int
) -> dict[int, list[Cohort]]:
    """Cohorts in time order of each part, by its place: the cells of some series added up.

    All parts at once: of a fleet, each has a handful of cohorts.
    """
    wanted = [index for indices in parts for index in indices]
    first, n = _ends(cells.series, wanted)
    rows = _runs(first, n)
    if not len(rows):
        return {}
    part = np.repeat(np.arange(len(parts)), [len(indices) for indices in parts])
    number = cells.pane_start[rows] // cohort_s
    begun, span = int(number.min()), int(number.max() - number.min()) + 1
    held, place = np.unique(np.repeat(part, n) * span + (number - begun), return_inverse=True)
    sums = np.zeros((len(held), N_BINS, N_SUMS), dtype=np.int64)
    at = (place * N_BINS + cells.bin[rows])[:, None] * N_SUMS + np.arange(N_SUMS)
    np.add.at(sums.reshape(-1), at.reshape(-1), cells.sums[rows].reshape(-1))
    found: dict[int, list[Cohort]] = {}
    for whose, number_, counts in zip(
        (held // span).tolist(), (held % span + begun).tolist(), sums, strict=True
    ):
        start_s = number_ * cohort_s
        # A copy, since a baseline's cohort outlives those that it was added up with.
        cohort = Cohort(start_s, start_s + cohort_s, BinCounts(counts.copy()))
        found.setdefault(whose, []).append(cohort)
    return found
