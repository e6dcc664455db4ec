"""Equal-mass ECE and ACE from micro-bins, with a bound on what the micro-bins hide.

Guarantees: a micro-bin is never split, so tied scores stay together; `resolution` bounds the
distance to the same estimate from raw rows, whatever the order of rows with equal scores.
Must never: raise or warn on any counts, or return an empty bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import EDGES, FIXED_POINT, LOWER_EDGES
from monitor.core.measures.held import Held
from monitor.core.runs import run_starts
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

NAN = float("nan")
SHOWN_BINS = 15
ROUNDING = 2e-9
"""Error of a mean score summed in billionths, with room for the division."""


@dataclass(frozen=True, slots=True)
class EqualMass:
    """Equal-mass estimates over `bins` bins that hold labels; NaN (and 0 bins) without labels.

    ece: mean over rows of their bin's |rate - mean score|; ace: the same, each bin counting once.
    debiased: ece without what sampling noise alone adds, never below 0. resolution and
    ace_resolution bound |ece - ECE of the raw rows| and |ace - ACE of the raw rows|, rows sorted by
    score and cut into runs whose lengths differ by at most 1.
    """

    ece: float
    debiased: float
    ace: float
    resolution: float
    ace_resolution: float
    bins: int


def equal_mass(counts: BinCounts, bins: int = SHOWN_BINS) -> EqualMass:
    """Estimates over about `bins` equal-mass bins; fewer where scores tie.

    Sources: ECE over equal-mass bins and its upward bias: Roelofs 2022 (arXiv 2012.08668); the
    correction: Kumar 2019 (arXiv 1909.10155), section 5, with the mean over normal draws in closed
    form; ACE: Nixon 2019 (arXiv 1904.01685). Raises ValueError unless bins >= 1.
    """
    merged = equal_mass_sums(counts, bins)
    if not len(merged):
        return EqualMass(NAN, NAN, NAN, NAN, NAN, 0)
    n = merged[:, 1].astype(np.float64)
    share, rate = n / n.sum(), merged[:, 2] / n
    size = np.abs(rate - merged[:, 3] / (n * FIXED_POINT))
    ece, ace = float(share @ size), float(size.mean())
    noise = float(share @ (folded_mean(size, np.sqrt(rate * (1 - rate) / n)) - size))
    hidden = _hidden(counts, bins)
    return EqualMass(
        ece=ece,
        debiased=max(0.0, ece - noise),
        ace=ace,
        resolution=min(1.0, hidden),
        ace_resolution=min(1.0, hidden + abs(ace - ece) + _uneven(counts.n_labelled, bins)),
        bins=len(merged),
    )


def equal_mass_sums(counts: BinCounts, bins: int) -> NDArray[np.int64]:
    """Sums of at most `bins` equal-mass bins, columns as in SUMS, in the order of the scores.

    Rows cut into `bins` runs as even as can be, each cut moved to the nearest edge of a micro-bin;
    cuts that meet leave no bin. Shape (0, N_SUMS) without labels. Raises ValueError unless
    bins >= 1.
    """
    if bins < 1:
        msg = f"{bins} equal-mass bins; use 1 or more"
        raise ValueError(msg)
    return equal_mass_rows(Held.in_all([counts]), np.array([bins]))[0]


def equal_mass_rows(held: Held, bins: NDArray[np.int64]) -> tuple[NDArray[np.int64], Segments]:
    """As `equal_mass_sums`, of series that lie one after the other, and where their bins lie.

    bins: of each series, (series,); of many series, not more than its labels.
    """
    labels = held.sums[:, 1]
    if not len(labels):
        return held.sums, held.of
    total, cuts = held.of.sums(labels), Segments.of(bins - 1)
    run = np.arange(1, len(cuts.spread(bins)) + 1) - cuts.spread(cuts.first)
    even = _even_cuts(run, cuts.spread(total), cuts.spread(bins))
    # Cut all series' rows as if they were one's: where each begins, there is an edge too.
    below = _edges_near(labels, even + cuts.spread(total.cumsum() - total))
    edges = np.sort(np.concatenate([held.of.first[held.of.sizes > 0], below]))
    first = edges[run_starts(edges)]
    first = first[: first.searchsorted(len(labels))]
    sizes = first.searchsorted(held.of.first + held.of.sizes) - first.searchsorted(held.of.first)
    return np.add.reduceat(held.sums, first, axis=0), Segments.of(sizes)


def folded_mean(mean: NDArray[np.float64], sd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of |normal(mean, sd)|, shape as given (Leone, Nelson and Nottingham 1961)."""
    from scipy.special import ndtr  # noqa: PLC0415  # most commands never need it; it takes long

    u = np.abs(mean) / np.where(sd > 0, sd, 1.0)
    noisy = sd * (2 * np.exp(-u * u / 2) / np.sqrt(2 * np.pi) + u * (2 * ndtr(u) - 1))
    return np.where(sd > 0, noisy, np.abs(mean))


def _even_cuts(
    run: NDArray[np.int64], total: int | NDArray[np.int64], bins: int | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows below the end of a run, counted from 1, when `total` are cut into `bins` even ones.

    As numpy.array_split: first runs one longer.
    """
    return np.asarray(run * (total // bins) + np.minimum(run, total % bins))


def _edges_near(n: NDArray[np.int64], cuts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Micro-bins, of n rows each, that lie below the edge nearest to each cut."""
    end = np.cumsum(n)
    inside = np.searchsorted(end, cuts, side="left")
    start = (end - n)[inside]
    return np.asarray(inside + (end[inside] - cuts <= cuts - start), dtype=np.int64)


def _hidden(counts: BinCounts, bins: int) -> float:
    """Bound on the change of ECE when every cut moves from between two rows to an edge.

    The rows that a cut passes over leave one bin's sum of residuals for the next one's. Where both
    sums have one and the same sign, before and after, whatever these rows are, nothing is gained
    or lost; elsewhere at most twice the rows' residuals.
    """
    held, total = np.flatnonzero(counts.labelled), counts.n_labelled
    n = counts.labelled[held]
    cuts = _even_cuts(np.arange(1, bins), total, bins)
    below = _edges_near(n, cuts)
    residuals = counts.score_sum[held] / FIXED_POINT - counts.positive[held]
    at_edge = np.concatenate([[0.0], np.cumsum(residuals)])
    moved_sums = np.diff(at_edge[np.concatenate([[0], below, [len(held)]])])
    end = np.cumsum(n)
    low, high = _raw_range(counts, np.concatenate([[0], cuts, [total]]))
    slack = ROUNDING * total
    above_zero = (low >= 0) & (moved_sums >= -slack)
    below_zero = (high <= 0) & (moved_sums <= slack)
    free = (above_zero[:-1] & above_zero[1:]) | (below_zero[:-1] & below_zero[1:])
    at_cut = np.concatenate([[0], end])[below]
    passed = np.stack(_raw_range(counts, np.sort(np.stack([cuts, at_cut]), axis=0)))
    largest = np.abs(passed).max(axis=0).reshape(-1)
    return 2 * float(largest[~free].sum()) / total + ROUNDING


def _raw_range(
    counts: BinCounts, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest sum of score - outcome of the rows between each place and the next.

    rows has shape (places, ...), not falling along its first axis; the sums (places - 1, ...). Of
    a part of a micro-bin the scores may lie anywhere between its edges, and any of its outcomes.
    """
    held = np.flatnonzero(counts.labelled)
    n, positive = counts.labelled[held], counts.positive[held]
    lower = LOWER_EDGES[held]
    end = np.cumsum(n)
    first, last = rows[:-1, ..., None], rows[1:, ..., None]
    part = np.maximum(0, np.minimum(last, end) - np.maximum(first, end - n))
    whole = counts.score_sum[held] / FIXED_POINT - positive
    fewest, most = np.maximum(0, part - (n - positive)), np.minimum(part, positive)
    low = np.where(part == n, whole, part * lower - most)
    high = np.where(part == n, whole, part * EDGES[held] - fewest)
    return low.sum(axis=-1), high.sum(axis=-1)


def _uneven(n: int, bins: int) -> float:
    """What ACE and ECE of raw rows differ by at most: runs of one row more or less, or of none."""
    runs = min(n, bins)
    longer = n % runs
    length = n // runs
    return longer * abs(1 / runs - (length + 1) / n) + (runs - longer) * abs(1 / runs - length / n)
