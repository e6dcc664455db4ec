"""How far a window lies from its baseline: size, cause and direction of a change.

Guarantees: every estimate is a pure function of counts and the baseline's map, so the same counts
give the same bits; sampling noise, the map's error and the cohort shock are taken off before a
size is told. Must never: raise an alarm; size is the second of two conditions, evidence the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.calibration_map import Cells, Problem, posteriors_of, prior
from monitor.core.detector.placed import EqualMass, Placed, joined
from monitor.core.measures.debiased_ece import (
    PRIOR_ROWS,
    Z_ONE_CHANGE,
    Z_UPPER,
    MassBins,
    debiased_sizes,
)
from monitor.core.measures.logistic import sigmoid
from monitor.core.segments import Segments
from monitor.core.verdicts import Cause, Direction, Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.detector.sequential import Detector


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
    return shifts_of(Placed.of([(baseline, cohorts)]), [arrival])[0]


def shifts_of(placed: Placed, arrivals: Sequence[Arrival]) -> list[Shift | None]:
    """As `measure_shift`, of windows that are placed already, each with its arrival.

    What else is placed changes no bit of a window's shift.
    """
    if not placed.at:
        return [None] * placed.asked
    bins, error, common = _gaps(placed, [arrivals[k] for k in placed.at])
    held = bins.share > 0
    columns = np.array([bins.share, bins.gap, bins.se, bins.se_honest])[:, held]
    of_window = Segments.of(np.count_nonzero(held, axis=1))
    sizes = debiased_sizes(MassBins(*columns), of_window, error)
    taken = Z_ONE_CHANGE * np.sqrt(np.add.reduce((bins.share * bins.se_honest) ** 2, axis=1))
    wider = np.hypot(taken, Z_UPPER * np.sqrt(common)) - taken
    gap = np.add.reduce(bins.share * bins.gap, axis=1)
    found = [
        Shift(size.value, max(0.0, size.low - more), min(1.0, size.high), of_all)
        for size, more, of_all in zip(sizes, wider.tolist(), gap.tolist(), strict=True)
    ]
    return placed.given_back(found)


def _gaps(
    placed: Placed, arrivals: Sequence[Arrival]
) -> tuple[MassBins, NDArray[np.float64], NDArray[np.float64]]:
    """Bins of the windows (windows, SHIFT_BINS), with the map's rate as what is promised.

    An empty bin has no share, gap or error. Then the standard error of each window's gap, and the
    variance of its expected rate, which its bins have in common; (windows,).
    """
    expected = sigmoid(_observed(placed, arrivals))
    mass, expected_n = EqualMass.of(placed), placed.n * expected
    n, positive, rate = mass.sums(np.array([placed.n, placed.positive, expected_n]))
    labels = np.maximum(n, 1.0)
    rate /= labels
    slopes = mass.column_sums(expected_n * (1 - expected), [x.T for x in placed.x])
    slopes = [slope / of for slope, of in zip(slopes, labels, strict=True)]
    share = n / np.add.reduce(n, axis=1)[:, None]
    variance, common = _uncertainty(placed, arrivals, slopes, share)
    seen = (positive + PRIOR_ROWS * rate) / (n + PRIOR_ROWS)
    sampling, honest = seen * (1 - seen) / labels, rate * (1 - rate) / labels
    own = np.maximum(0.0, variance - common[:, None])
    bins = MassBins(
        share=share,
        gap=positive / labels - rate,
        se=np.sqrt(sampling + variance),
        se_honest=np.sqrt((sampling + honest) / 2 + own),
    )
    return bins, np.sqrt(np.add.reduce(share**2 * sampling, axis=1) + common), common


def _observed(placed: Placed, arrivals: Sequence[Arrival]) -> NDArray[np.float64]:
    """The map's logits of on-time outcomes, (cells,)."""
    if all(arrival.is_complete for arrival in arrivals):
        return placed.z
    z = placed.windows.apart(placed.z)
    return np.concatenate([a.observed(each) for a, each in zip(arrivals, z, strict=True)])


def _uncertainty(
    placed: Placed,
    arrivals: Sequence[Arrival],
    slopes: Sequence[NDArray[np.float64]],
    share: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance of each bin's expected rate, (windows, bins), and of each window's, (windows,).

    slopes: by window, of its bins' rates along the map's coefficients, (d, bins); share: of its
    labels, (windows, bins).
    """
    variance, common = np.empty_like(share), np.empty(len(share))
    level = np.array(
        [
            base.sigma**2 / len(cells.first) + arrival.se**2
            for base, cells, arrival in zip(placed.baselines, placed.cells, arrivals, strict=True)
        ]
    )
    alike: dict[int, list[int]] = {}
    for k, slope in enumerate(slopes):
        alike.setdefault(len(slope), []).append(k)
    for at in alike.values():
        slope = np.array([slopes[k] for k in at])
        precision = np.array([placed.baselines[k].posterior.precision for k in at])
        solved, shares = np.linalg.solve(precision, slope), share[at][:, None]
        of_level, whole = level[at], np.add.reduce(slope * shares, axis=2)
        of_map = np.add.reduce(slope * solved, axis=1)
        variance[at] = of_map + of_level[:, None] * slope[:, 0] ** 2
        of_map = np.add.reduce(whole * np.add.reduce(solved * shares, axis=2), axis=1)
        common[at] = of_map + of_level * whole[:, 0] ** 2
    return variance, common


def baseline_error(baseline: Detector, cohorts: Sequence[BinCounts]) -> float | None:
    """Mean |score - map(score)| of the baseline's own labels; None without any."""
    cells = Cells.of(cohorts)
    if not len(cells.n):
        return None
    score, expected = sigmoid(cells.logit), baseline.expected(cells.logit)
    return float(_mean_gaps(Segments.of([len(score)]), cells.n, score, expected)[0])


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
    return splits_of(Placed.of([(baseline, after)]), [before], [arrival])[0]


def splits_of(
    placed: Placed, before: Sequence[float | None], arrivals: Sequence[Arrival]
) -> list[Split | None]:
    """As `split_cause`, of windows that are placed already, each with its error before.

    What else is placed changes no bit of a window's split.
    """
    if not placed.at:
        return [None] * placed.asked
    mine, was = [arrivals[k] for k in placed.at], [before[k] for k in placed.at]
    z = placed.windows.apart(placed.z)
    offset = [None if a.is_complete else a.observed(at) - at for a, at in zip(mine, z, strict=True)]
    of_each = zip(placed.cells, placed.x, placed.baselines, offset, strict=True)
    maps = posteriors_of(
        [
            Problem(cells, x, prior(len(base.knots)), base.sigma, moved)
            for cells, x, base, moved in of_each
        ]
    )
    own = joined([x @ each.mean for x, each in zip(placed.x, maps, strict=True)])
    score = sigmoid(placed.logit)
    of_baseline, of_own = (
        _mean_gaps(placed.windows, placed.n, score, sigmoid(z)).tolist() for z in (placed.z, own)
    )
    found = [
        None if error is None else Split(map_part=there - here, mix_part=here - error)
        for error, here, there in zip(was, of_baseline, of_own, strict=True)
    ]
    return placed.given_back(found)


def _mean_gaps(
    windows: Segments,
    n: NDArray[np.float64],
    score: NDArray[np.float64],
    expected: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean |score - expected| over the labels of each window, (windows,)."""
    return windows.sums(n * np.abs(score - expected)) / windows.sums(n)


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
