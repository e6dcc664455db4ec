"""Shift of the score distribution between baseline and window, without labels.

Guarantees: whole cohorts are permuted, so that traffic that wobbles from day to day does not pass
for a shift; PSI is told beside what chance alone gives. Must never: raise an alert by itself: new
traffic under an honest map is no drift of calibration, only a reason to look at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import MIDDLES, N_BINS, BinCounts
from monitor.core.measures.equal_mass import equal_mass_bins, merged_bins
from monitor.core.measures.permutations import p_values, splits
from monitor.core.runs import run_starts
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NAN = float("nan")
BINS = 10
LEVEL = 0.01
MIN_PSI = 0.1
"""PSI from 0.1 is customarily called a small shift, from 0.25 a large one (Siddiqi 2006)."""
MIN_ROWS = 200


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """Scores of the window against the baseline's.

    psi: population stability index over at most 10 equal-mass bins; psi_by_chance: its mean when
    nothing changed and rows were independent, (bins - 1)(1/n + 1/m); psi_by_chance_99: its 99th
    percentile. total_variation: share of the rows that would have to move; mean_change: of the
    score, from bin middles. p_value: by permutation of cohorts; NaN where they are too few, as
    `reason` says, or where a small PSI was not tested. shifted: large and not by chance; a reason
    to look, not an alert.
    """

    psi: float
    psi_by_chance: float
    psi_by_chance_99: float
    total_variation: float
    mean_change: float
    p_value: float
    shifted: bool
    reason: str


def measure_score_shift(
    before: Sequence[BinCounts],
    now: Sequence[BinCounts],
    *,
    level: float = LEVEL,
    test_small: bool = True,
) -> ScoreShift | None:
    """Compare predictions, labelled or not, of baseline and window cohorts; None under 200 a side.

    PSI = sum of (now - before) log(now / before) over the bins' shares; under no change and
    independent rows it is about (1/n + 1/m) chi-square with bins - 1 degrees (Yurdakul and Naranjo
    2020, "Statistical properties of the population stability index"). Bins are equal-mass over
    both sides together, so that a permutation leaves them as they are. The p value is the share of
    choices of as many cohorts whose PSI is as large: valid for cohorts that could be exchanged,
    whatever the wobble within one. A weekly rhythm breaks this unless both sides hold whole weeks.
    Without `test_small` a PSI too small to be a shift is not tested, which saves most of the work.
    """
    whole = (sum(side, start=BinCounts.empty()) for side in (before, now))
    asked = [Compared(before, now, *whole)]
    return score_shifts_of(asked, level=level, test_small=test_small)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Cohorts of baseline and window, and the counts of each side's together."""

    before: Sequence[BinCounts]
    now: Sequence[BinCounts]
    all_before: BinCounts
    all_now: BinCounts


def score_shifts_of(
    asked: Sequence[Compared], *, level: float = LEVEL, test_small: bool = True
) -> list[ScoreShift | None]:
    """As `measure_score_shift`, of each; what is asked besides changes no bit of it."""
    at = [
        k
        for k, each in enumerate(asked)
        if min(each.all_before.n_predicted, each.all_now.n_predicted) >= MIN_ROWS
    ]
    found: list[ScoreShift | None] = [None] * len(asked)
    if not at:
        return found
    sides = np.array([[asked[k].all_before.predicted, asked[k].all_now.predicted] for k in at])
    owners = [equal_mass_bins(whole, BINS) for whole in sides.sum(axis=1)]
    sizes = _sizes(sides, owners)
    for k, owner, size in zip(at, owners, sizes, strict=True):
        p, decided = _p_value(asked[k], owner, size.psi, level, test_small=test_small)
        found[k] = _told(size, p, level, decided=decided)
    return found


@dataclass(frozen=True, slots=True)
class _Size:
    """How far two sides are apart, as in `ScoreShift`; noise: 1/n + 1/m; free: bins - 1."""

    psi: float
    distance: float
    mean: float
    noise: float
    free: int


def _sizes(sides: NDArray[np.int64], owners: Sequence[NDArray[np.int64]]) -> list[_Size]:
    """Of predictions by series, side and micro-bin, (series, 2, N_BINS), and their bins."""
    starts = [run_starts(owner) for owner in owners]
    bins = Segments.of([len(each) for each in starts])
    # Series after series, so that one call adds the bins of all.
    first = np.concatenate(starts) + bins.spread(np.arange(len(owners)) * N_BINS)
    counts = np.stack(
        [np.add.reduceat(side.ravel(), first) for side in np.moveaxis(sides, 1, 0)]
    ).astype(np.float64)
    rows = sides.sum(axis=2).T  # (2, series)
    psi = _index(counts + 0.5, bins)
    moved = np.abs(np.subtract(*(counts / bins.beside(rows))[::-1]))
    before, now = np.add.reduce(sides * MIDDLES, axis=2).T / rows
    columns = (psi, bins.sums(moved) / 2, now - before, (1 / rows).sum(axis=0), bins.sizes - 1)
    return [_Size(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]


def _index(counts: NDArray[np.float64], bins: Segments) -> NDArray[np.float64]:
    """PSI of before and now, (2, bins), by segment."""
    p, q = counts / bins.beside(bins.sums(counts))
    return bins.sums(_terms(p, q))


def _terms(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each bin adds to PSI, of its shares before, p, and now, q."""
    return (q - p) * np.log(q / p)


def _p_value(
    asked: Compared, owner: NDArray[np.int64], psi: float, level: float, *, test_small: bool
) -> tuple[float, bool]:
    """P value by permutation of cohorts, or NaN, and whether the cohorts are enough for one."""
    held = [c for c in (*asked.before, *asked.now) if c.n_predicted]
    n_now = sum(c.n_predicted > 0 for c in asked.now)
    if comb(len(held), n_now) * level < 1:
        return NAN, False
    if psi < MIN_PSI and not test_small:
        return NAN, True
    counts = merged_bins(np.stack([c.predicted for c in held]), owner)
    chosen = splits(len(held), n_now)
    return float(p_values(_psi(chosen.astype(np.float64), counts)[:, None])[0, 0]), True


def _told(size: _Size, p: float, level: float, *, decided: bool) -> ScoreShift:
    shifted = p <= level and size.psi >= MIN_PSI
    by_chance = size.noise * size.free
    top = size.noise * _chi_square_99(size.free) if size.free else 0.0
    reason = _words(size.psi, by_chance, size.mean, shifted=shifted, decided=decided)
    return ScoreShift(size.psi, by_chance, top, size.distance, size.mean, p, shifted, reason)


@cache
def _chi_square_99(freedom: int) -> float:
    from scipy.special import gammaincinv  # noqa: PLC0415  # most commands never need it

    return 2 * float(gammaincinv(freedom / 2, 0.99))


def _psi(chosen: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """PSI of the chosen cohorts against the rest, half a row added to each bin; (splits,)."""
    taken = chosen @ counts
    now, before = taken + 0.5, counts.sum(axis=0) - taken + 0.5
    q = now / now.sum(axis=1, keepdims=True)
    p = before / before.sum(axis=1, keepdims=True)
    return np.asarray(_terms(p, q).sum(axis=1))


def _words(psi: float, by_chance: float, mean: float, *, shifted: bool, decided: bool) -> str:
    size = f"PSI {psi:.3f}, {by_chance:.3f} by chance alone"
    if shifted:
        how = "higher" if mean > 0 else "lower"
        return f"Scores have shifted: they are {how} by {abs(mean):.3f} on average ({size})."
    if not decided:
        return f"Too few cohorts to tell a shift of scores from their wobble ({size})."
    return f"No shift of scores beyond the wobble of cohorts ({size})."
