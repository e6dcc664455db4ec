"""How far a window lies from its baseline: size, cause and direction of a change.

Guarantees: every estimate is a pure function of counts and the baseline's map, so the same counts
give the same bits; sampling noise, the map's error and the cohort shock are taken off before a
size is told. Must never: raise an alarm; size is the second of two conditions, evidence the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.calibration_map import Cells, features, posterior_of, prior
from monitor.core.measures.debiased_ece import (
    PRIOR_ROWS,
    Z_ONE_CHANGE,
    Z_UPPER,
    MassBins,
    debiased_size,
)
from monitor.core.measures.logistic import sigmoid
from monitor.core.verdicts import Cause, Direction, Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.detector.sequential import Detector

SHIFT_BINS = 15
SHIFT_BIN_LABELS = 40


@dataclass(frozen=True, slots=True)
class Shift:
    """Distance of a window from the baseline's map, in probability.

    size: debiased mean |observed - expected| over the window's scores, with a 95 % interval;
    gap: observed rate minus expected rate.
    """

    size: float
    low: float
    high: float
    gap: float


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Labelled cells of some cohorts on a baseline's map; made once for all that is asked of them.

    x: their features, (cells, d); z: the map's logits of them, (cells,).
    """

    cells: Cells
    x: NDArray[np.float64]
    z: NDArray[np.float64]

    @classmethod
    def of(cls, baseline: Detector, cohorts: Sequence[BinCounts]) -> Self:
        """Cells of cohorts, on the map of a detector at rest."""
        cells = Cells.of(cohorts)
        x = features(cells.logit, baseline.knots)
        return cls(cells, x, x @ baseline.posterior.mean)


@dataclass(frozen=True, slots=True)
class Split:
    """Change of ECE between baseline and window: map_part + mix_part is all of it."""

    map_part: float
    mix_part: float


def measure_shift(
    baseline: Detector, cohorts: Sequence[BinCounts], arrival: Arrival = COMPLETE
) -> Shift | None:
    """Distance of cohorts from the map of a detector at rest; None without labels.

    As the debiased ECE, but from the map instead of the diagonal, over up to 15 equal-mass bins of
    40 labels or more, with three errors: of sampling, of the map and of the cohorts' shocks. What
    is common to the bins of the last two widens the lower end too, in quadrature. Where the map is
    of complete labels and the cohorts' labels are not, `arrival` moves the map to what is expected
    of on-time labels; its error counts with the map's.
    """
    return shift_of(baseline, Placed.of(baseline, cohorts), arrival)


def shift_of(baseline: Detector, placed: Placed, arrival: Arrival = COMPLETE) -> Shift | None:
    """As `measure_shift`, of cells that are placed already."""
    cells, x = placed.cells, placed.x
    if not len(cells.n):
        return None
    expected = sigmoid(arrival.observed(placed.z))
    n, owner = _equal_mass(cells)
    rate = np.bincount(owner, weights=cells.n * expected) / n
    positive = np.bincount(owner, weights=cells.positive)
    weighted = (cells.n * expected * (1 - expected))[:, None] * x
    slope = _summed(weighted, owner, len(n)) / n[:, None]
    level_variance = baseline.sigma**2 / len(cells.first) + arrival.se**2
    wobble = level_variance * np.outer(slope[:, 0], slope[:, 0])
    covariance = slope @ np.linalg.solve(baseline.posterior.precision, slope.T) + wobble
    share = n / n.sum()
    common = float(share @ covariance @ share)
    seen = (positive + PRIOR_ROWS * rate) / (n + PRIOR_ROWS)
    sampling, honest = seen * (1 - seen) / n, rate * (1 - rate) / n
    own = np.maximum(0.0, np.diag(covariance) - common)
    bins = MassBins(
        share=share,
        gap=positive / n - rate,
        se=np.sqrt(sampling + np.diag(covariance)),
        se_honest=np.sqrt((sampling + honest) / 2 + own),
    )
    found = debiased_size(bins, float(np.sqrt(share**2 @ sampling + common)))
    taken = Z_ONE_CHANGE * float(np.linalg.norm(share * bins.se_honest))
    low = max(0.0, found.low + taken - float(np.hypot(taken, Z_UPPER * np.sqrt(common))))
    return Shift(found.value, low, min(1.0, found.high), float(share @ bins.gap))


def _equal_mass(cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Labels of each equal-mass bin and the bin of each cell; empty bins are left out."""
    total = cells.n.sum()
    bins = int(min(max(total // SHIFT_BIN_LABELS, 1), SHIFT_BINS))
    order = cells.logit.argsort(kind="stable")  # fast, as each cohort's cells are in order
    ordered = cells.logit[order]
    begins = np.ones(len(order), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    n = np.add.reduceat(cells.n[order], begins.nonzero()[0])
    middle = (n.cumsum() - n / 2) / total
    wanted = (middle * bins).astype(np.int64)
    of_ties = np.zeros(len(n), dtype=np.int64)
    (wanted[1:] > wanted[:-1]).cumsum(out=of_ties[1:])
    found = np.empty(len(order), dtype=np.int64)
    found[order] = of_ties[begins.cumsum() - 1]
    return np.asarray(np.bincount(found, weights=cells.n), dtype=np.float64), found


def _summed(
    rows: NDArray[np.float64], owner: NDArray[np.int64], owners: int
) -> NDArray[np.float64]:
    """Rows (cells, d) added by owner, in their order: (owners, d)."""
    d = rows.shape[1]
    place = owner[:, None] * d + np.arange(d)
    found = np.bincount(place.ravel(), weights=rows.ravel(), minlength=owners * d)
    return np.asarray(found.reshape(owners, d), dtype=np.float64)


def baseline_error(baseline: Detector, cohorts: Sequence[BinCounts]) -> float | None:
    """Mean |score - map(score)| of the baseline's own labels; None without any."""
    cells = Cells.of(cohorts)
    expected = baseline.expected(cells.logit)
    return _mean_gap(cells, sigmoid(cells.logit), expected) if len(cells.n) else None


def split_cause(
    baseline: Detector,
    before: float | None,
    after: Sequence[BinCounts],
    arrival: Arrival = COMPLETE,
) -> Split | None:
    """Map part and mix part of the change of ECE; None where either side has no labels.

    before: `baseline_error` of the baseline's cohorts, which a series needs only once.

    All three ECEs are means of |score - map(score)| over micro-bins with *smooth* maps, so that no
    bin is empty on one side: baseline scores with the baseline's map, window scores with the
    baseline's map (their difference is the mix part), window scores with the window's map. What the
    label horizon does to the window (`arrival`) is taken off its map.
    """
    return split_of(baseline, before, Placed.of(baseline, after), arrival)


def split_of(
    baseline: Detector, before: float | None, placed: Placed, arrival: Arrival = COMPLETE
) -> Split | None:
    """As `split_cause`, of the window's cells, placed already."""
    new, z = placed.cells, placed.z
    if before is None or not len(new.n):
        return None
    offset = None if arrival.is_complete else arrival.observed(z) - z
    window_map = posterior_of(new, placed.x, prior(len(baseline.knots)), baseline.sigma, offset)
    score = sigmoid(new.logit)
    same_map = _mean_gap(new, score, sigmoid(z))
    own_map = _mean_gap(new, score, sigmoid(placed.x @ window_map.mean))
    return Split(map_part=own_map - same_map, mix_part=same_map - before)


def _mean_gap(cells: Cells, score: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    return float(cells.n @ np.abs(score - expected) / cells.n.sum())


def cause_of(shift: Shift, split: Split, tolerance: float) -> Cause | None:
    """What moved ECE most; None when neither map nor mix moved it beyond the tolerance.

    The size of the shift bounds the map part from above and, unlike it, does not vanish when a map
    swings from too high to too low.
    """
    if max(shift.size, abs(split.mix_part)) <= tolerance:
        return None
    return Cause.MIX if abs(split.mix_part) > shift.size else Cause.MAP


def direction_of(before: Metrics, now: Metrics) -> Direction:
    """How the window's scores mislead; `improved` when clearly less than the baseline's.

    Clearly is by more than the two 95 % intervals' half widths together, in quadrature. Otherwise
    by the sign of the gap when it carries half of the debiased ECE or more, else by the slope.
    """
    fall = before.ece_debiased - now.ece_debiased
    above, below = now.ece_debiased_high - now.ece_debiased, before.ece_debiased_low
    if fall > np.hypot(above, before.ece_debiased - below):
        return Direction.IMPROVED
    if abs(now.gap) >= 0.5 * now.ece_debiased or not np.isfinite(now.slope):
        return Direction.OVERCONFIDENT if now.gap > 0 else Direction.UNDERCONFIDENT
    return Direction.OVERCONFIDENT if now.slope < 1 else Direction.UNDERCONFIDENT
