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

from monitor.core.bins import MIDDLES, N_BINS
from monitor.core.measures.equal_mass import equal_mass_bins, merged_bins
from monitor.core.measures.permutations import p_values, splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

NAN = float("nan")
BINS = 10
LEVEL = 0.01
MIN_PSI = 0.1
"""PSI from 0.1 is customarily called a small shift, from 0.25 a large one (Siddiqi 2006)."""
MIN_ROWS = 200
_NOW = np.array([[0.0, 1.0]])
"""Of two sides, the window's."""


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
    sides = (
        sum((c.predicted for c in side), start=np.zeros(N_BINS, dtype=np.int64))
        for side in (before, now)
    )
    return shift_of_sides(np.stack([*sides]), before, now, level=level, test_small=test_small)


def shift_of_sides(
    sides: NDArray[np.int64],
    before: Sequence[BinCounts],
    now: Sequence[BinCounts],
    *,
    level: float = LEVEL,
    test_small: bool = True,
) -> ScoreShift | None:
    """As `measure_score_shift`; sides: predictions of both by micro-bin, (2, N_BINS)."""
    n, m = sides.sum(axis=1).tolist()
    if min(n, m) < MIN_ROWS:
        return None
    owner = equal_mass_bins(sides[0] + sides[1], BINS)
    merged = merged_bins(sides, owner)
    psi = float(_psi(_NOW, merged)[0])
    held = [c for c in (*before, *now) if c.n_predicted]
    n_now = sum(c.n_predicted > 0 for c in now)
    decided, p = comb(len(held), n_now) * level >= 1, NAN
    if decided and (test_small or psi >= MIN_PSI):
        counts = merged_bins(np.stack([c.predicted for c in held]), owner)
        chosen = splits(len(held), n_now)
        p = float(p_values(_psi(chosen.astype(np.float64), counts)[:, None])[0, 0])
    of_before, of_now = merged[0] / n, merged[1] / m
    moved = of_now - of_before
    mean = float(sides[1] @ MIDDLES / m - sides[0] @ MIDDLES / n)
    noise, free = 1 / n + 1 / m, merged.shape[1] - 1
    distance = float(np.abs(moved).sum() / 2)
    shifted = p <= level and psi >= MIN_PSI
    top = noise * _chi_square_99(free) if free else 0.0
    reason = _words(psi, noise * free, mean, shifted=shifted, decided=decided)
    return ScoreShift(psi, noise * free, top, distance, mean, p, shifted, reason)


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
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=1))


def _words(psi: float, by_chance: float, mean: float, *, shifted: bool, decided: bool) -> str:
    size = f"PSI {psi:.3f}, {by_chance:.3f} by chance alone"
    if shifted:
        how = "higher" if mean > 0 else "lower"
        return f"Scores have shifted: they are {how} by {abs(mean):.3f} on average ({size})."
    if not decided:
        return f"Too few cohorts to tell a shift of scores from their wobble ({size})."
    return f"No shift of scores beyond the wobble of cohorts ({size})."
