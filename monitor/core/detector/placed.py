"""Windows laid on the maps of their baselines, many at once, and their bins of equal mass.

Guarantees: what is found for a window depends on its own cells and its own map alone, to the bit;
ties are never split. Must never: merge cells of two cohorts, or hold a window without labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from monitor.core.detector.calibration_map import Cells, features
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.detector.sequential import Detector

Found = TypeVar("Found")

SHIFT_BINS = 15
SHIFT_BIN_LABELS = 40

Window = tuple["Detector", "Sequence[BinCounts]"]
"""A baseline's detector at rest, and the cohorts that are set against it."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Labelled cells of windows on their baselines' maps; made once for all that is asked of them.

    asked: number of windows given; at: which of them hold labels, and are meant below. baselines,
    cells, x: of each of them, x being the cells' features (cells, d). logit, n, positive, z: of
    the cells of all, z being the map's logits; windows: where each window's cells lie.
    """

    asked: int
    at: list[int]
    baselines: list[Detector]
    cells: list[Cells]
    x: list[NDArray[np.float64]]
    logit: NDArray[np.float64]
    n: NDArray[np.float64]
    positive: NDArray[np.float64]
    z: NDArray[np.float64]
    windows: Segments

    @classmethod
    def of(cls, asked: Sequence[Window]) -> Self:
        """Cells of the cohorts of each window, on the map of its detector at rest."""
        at = [k for k, (_, cohorts) in enumerate(asked) if any(c.n_labelled for c in cohorts)]
        baselines = [asked[k][0] for k in at]
        whole = Cells.of([counts for k in at for counts in asked[k][1]])
        cells = _apart(whole, [asked[k][1] for k in at])
        x = [features(c.logit, b.knots) for c, b in zip(cells, baselines, strict=True)]
        z = [each @ b.posterior.mean for each, b in zip(x, baselines, strict=True)]
        return cls(
            asked=len(asked),
            at=at,
            baselines=baselines,
            cells=cells,
            x=x,
            logit=whole.logit,
            n=whole.n,
            positive=whole.positive,
            z=joined(z),
            windows=Segments.of([len(each.n) for each in cells]),
        )

    def given_back(self, found: Sequence[Found | None]) -> list[Found | None]:
        """What was found for the windows that hold labels, among all asked; None for the others."""
        given: list[Found | None] = [None] * self.asked
        for k, each in zip(self.at, found, strict=True):
            given[k] = each
        return given


def joined(of_each: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The windows' values one after the other; none of no window."""
    return np.concatenate(of_each) if of_each else np.empty(0)


def _apart(whole: Cells, windows: Sequence[Sequence[BinCounts]]) -> list[Cells]:
    """The cells of each window out of the cells of all their cohorts."""
    found, cell, cohort = [], 0, 0
    for cohorts in windows:
        sizes = [len(counts.held[0]) for counts in cohorts]
        to = cell + sum(sizes)
        to_cohort = cohort + len(sizes) - sizes.count(0)
        mine = slice(cell, to)
        found.append(
            Cells(
                whole.logit[mine],
                whole.n[mine],
                whole.positive[mine],
                whole.first[cohort:to_cohort] - cell,
                whole.owner[mine] - cohort,
            )
        )
        cell, cohort = to, to_cohort
    return found


@dataclass(frozen=True, slots=True, eq=False)
class EqualMass:
    """Up to 15 bins of each window, of about as many labels and 40 or more each.

    order: the cells of all by window and logit; first: where each bin begins in that order; place:
    which bin it is, of SHIFT_BINS a window, rising. A window's bins that no cell is in come last.
    """

    order: NDArray[np.int64]
    first: NDArray[np.int64]
    place: NDArray[np.int64]
    windows: Segments

    @classmethod
    def of(cls, placed: Placed) -> Self:
        """Bins of placed windows; a stretch of tied logits goes where its middle row falls."""
        windows = placed.windows
        # Fast, as each cohort's cells are in order.
        order = np.concatenate(
            [
                each.logit.argsort(kind="stable") + first
                for each, first in zip(placed.cells, windows.first.tolist(), strict=True)
            ]
        )
        logit = placed.logit[order]
        begins = np.ones(len(order), dtype=np.bool_)
        np.not_equal(logit[1:], logit[:-1], out=begins[1:])
        begins[windows.first] = True
        run = begins.nonzero()[0]
        runs = Segments.of(np.add.reduceat(begins, windows.first, dtype=np.int64))
        n, total = np.add.reduceat(placed.n[order], run), windows.sums(placed.n)
        middle = (runs.below(n) + n / 2) / runs.beside(total)
        bins = np.minimum(np.maximum(total // SHIFT_BIN_LABELS, 1), SHIFT_BINS)
        wanted = (middle * runs.beside(bins)).astype(np.int64)
        bin_begins = np.ones(len(run), dtype=np.bool_)
        np.not_equal(wanted[1:], wanted[:-1], out=bin_begins[1:])
        bin_begins[runs.first] = True
        held = Segments.of(np.add.reduceat(bin_begins, runs.first, dtype=np.int64))
        of_window = held.spread(np.arange(len(held)) * SHIFT_BINS - held.first)
        return cls(order, run[bin_begins], np.arange(len(of_window)) + of_window, windows)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of all cells (..., cells) by bin, (..., windows, SHIFT_BINS); 0 without cells."""
        found = np.zeros((*values.shape[:-1], len(self.windows) * SHIFT_BINS))
        found[..., self.place] = np.add.reduceat(values[..., self.order], self.first, axis=-1)
        return found.reshape(*found.shape[:-1], -1, SHIFT_BINS)

    def column_sums(
        self, weight: NDArray[np.float64], columns: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.float64]]:
        """Columns of each window (d, cells), times weight (cells of all,): (d, SHIFT_BINS)."""
        weight, found = weight[self.order], []
        starts = self.place.searchsorted(np.arange(len(columns) + 1) * SHIFT_BINS).tolist()
        for k, (each, cell) in enumerate(zip(columns, self.windows.first.tolist(), strict=True)):
            mine, to = self.first[starts[k] : starts[k + 1]] - cell, cell + each.shape[1]
            rows = each.take(self.order[cell:to] - cell, axis=1)
            rows *= weight[cell:to]
            sums = np.zeros((len(each), SHIFT_BINS))
            np.add.reduceat(rows, mine, axis=1, out=sums[:, : len(mine)])
            found.append(sums)
        return found
