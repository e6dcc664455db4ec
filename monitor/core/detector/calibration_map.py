"""The calibration map: P(outcome = 1 | score) as a Bayesian logistic regression on counts.

Guarantees: fits and updates read counts alone, in a fixed order, so the same cohorts give the same
map; steps are damped, so no fit diverges on scores next to 0 and 1, one class or constant scores.
Must never: treat two cohorts as one (each has its own shock), or be fed a cohort before it was
scored. The posterior is a Laplace approximation: statements drawn from it are averages over the
prior, not distribution-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.detector.newton import SIGMA_MIN, modes
from monitor.core.measures.logistic import logit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

N_HATS = 8
PRIOR_SDS = (1.0, 0.5, 0.6)
"""Prior standard deviations of the intercept, the slope and each hat; prior means are 0, 1, 0."""
KNOT_GAP = 1e-3
CELLS_AT_A_TIME = 8192
"""Problems are solved side by side while their cells fit into a core's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The labelled micro-bins of some cohorts, cohort after cohort; all arrays of shape (cells,).

    logit is of the micro-bin's mean score, clipped to [1e-6, 1 - 1e-6]; `first` holds the index of
    each cohort's first cell, shape (cohorts,), cohorts without labels left out; `owner` is each
    cell's cohort.
    """

    logit: NDArray[np.float64]
    n: NDArray[np.float64]
    positive: NDArray[np.float64]
    first: NDArray[np.int64]
    owner: NDArray[np.int64]

    @classmethod
    def of(cls, cohorts: Sequence[BinCounts]) -> Self:
        """Cells of cohorts in the order given."""
        held = [counts.held[1][:, 1:4] for counts in cohorts]
        sizes = np.array([len(rows) for rows in held if len(rows)], dtype=np.int64)
        if not len(sizes):
            empty, none = np.empty(0), np.empty(0, dtype=np.int64)
            return cls(empty, empty, empty, none, none)
        labelled, positive, score_sum = np.concatenate(held).T
        return cls(
            logit(score_sum / (labelled * float(FIXED_POINT))),
            labelled.astype(np.float64),
            positive.astype(np.float64),
            sizes.cumsum() - sizes,
            np.arange(len(sizes), dtype=np.int64).repeat(sizes),
        )

    def by_cohort(self) -> tuple[list[Self], list[slice]]:
        """The cells of each cohort alone, and where they stand among all."""
        ends = [*self.first.tolist(), len(self.n)]
        spans = [slice(*each) for each in pairwise(ends)]
        none = np.zeros(len(self.n), dtype=np.int64)
        of = type(self)
        parts = [of(self.logit[s], self.n[s], self.positive[s], none[:1], none[s]) for s in spans]
        return parts, spans

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logits at or below which the given shares of the labels lie; ties are merged."""
        if not len(self.n):
            return np.empty(0)
        order = np.argsort(self.logit, kind="stable")
        cumulative = np.cumsum(self.n[order])
        at = np.searchsorted(cumulative, shares * cumulative[-1], side="left")
        found = self.logit[order][np.minimum(at, len(order) - 1)]
        kept = np.concatenate([[True], np.diff(found) > KNOT_GAP])
        return np.asarray(found[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A normal distribution over the map's coefficients: mean (d,), precision (d, d)."""

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A posterior, and the log of its evidence up to a constant of the data."""

    posterior: Gaussian
    log_evidence: float


def hat_knots(cells: Cells) -> NDArray[np.float64]:
    """Up to 8 knots at equal-mass quantiles of the logits; none when all scores are tied."""
    knots = cells.quantiles((np.arange(N_HATS) + 0.5) / N_HATS)
    return knots if len(knots) > 1 else knots[:0]


def features(
    z: NDArray[np.float64], knots: NDArray[np.float64], series: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Columns 1, logit z, and a hat a knot (flat beyond the outer ones), (n, 2 + knots).

    Knots rise, and are none or two or more. For logits of several series, knots are (series, knots)
    and `series` says whose each logit is.
    """
    n_knots = knots.shape[-1]
    # A column lies in one piece: that is how all sums over the cells read it.
    found = np.zeros((2 + n_knots, len(z))).T
    found[:, 0], found[:, 1] = 1.0, z
    if not n_knots:
        return found
    if series is None:
        below, begin = knots.searchsorted(z, side="right") - 1, 0
    else:
        below, begin = (knots[series] <= z[:, None]).sum(axis=1) - 1, series * n_knots
    at = np.minimum(np.maximum(below, 0), n_knots - 2)
    # Share of the way to the next knot; np.interp on each hat gives the same to the bit.
    flat, left = knots.ravel(), at + begin
    share = (1.0 / (flat[left + 1] - flat[left])) * (z - flat[left])
    share[below < 0] = 0.0
    share[below > at] = 1.0
    row = np.arange(len(z))
    found[row, 2 + at] = 1.0 - share
    found[row, 3 + at] = share
    return found


def prior(n_knots: int) -> Gaussian:
    """Prior of the coefficients: the score is honest, give or take PRIOR_SDS."""
    level, slope, hat = PRIOR_SDS
    mean = np.zeros(2 + n_knots)
    mean[1] = 1.0
    sds = np.array([level, slope, *[hat] * n_knots])
    return Gaussian(mean, np.diag(sds**-2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a posterior is asked of: cells, their features x (cells, d), and what is known before.

    Each cohort is shifted by its own shock N(0, sigma^2), in logits. offset: known parts of the
    cells' logits that are not the map's, shape (cells,).
    """

    cells: Cells
    x: NDArray[np.float64]
    before: Gaussian
    sigma: float
    offset: NDArray[np.float64] | None = None


def fits_of(problems: Sequence[Problem]) -> list[Fit]:
    """Posteriors after the problems' cells, each with its evidence.

    Damped Newton steps on coefficients and shocks together; the shocks are then integrated out by
    the Schur complement: Laplace's approximation of a logistic mixed model (Breslow and Clayton
    1993), with the coefficients integrated in the evidence too. A problem's posterior does not
    depend, to the bit, on the others.
    """
    found = [Fit(problem.before, 0.0) for problem in problems]
    for places in _alike(problems):
        at = modes([problems[i] for i in places])
        after = np.linalg.slogdet(np.array([each.precision for each in at]))[1].tolist()
        for i, mode, log_det in zip(places, at, after, strict=True):
            before, variance = problems[i].before, max(problems[i].sigma, SIGMA_MIN) ** 2
            shocks = np.log(mode.spread * variance).sum()
            prior_log_det = np.linalg.slogdet(before.precision)[1]
            log_evidence = mode.value - 0.5 * float(log_det - prior_log_det + shocks)
            found[i] = Fit(Gaussian(mode.theta, mode.precision), log_evidence)
    return found


def posteriors_of(problems: Sequence[Problem]) -> list[Gaussian]:
    """The posteriors of `fits_of` without their evidence."""
    found = [problem.before for problem in problems]
    for places in _alike(problems):
        for i, mode in zip(places, modes([problems[i] for i in places]), strict=True):
            found[i] = Gaussian(mode.theta, mode.precision)
    return found


def fit(
    cells: Cells,
    knots: NDArray[np.float64],
    before: Gaussian,
    sigma: float,
    offset: NDArray[np.float64] | None = None,
) -> Fit:
    """`fits_of` one problem, its features those of `knots`."""
    return fits_of([Problem(cells, features(cells.logit, knots), before, sigma, offset)])[0]


def posterior_of(
    cells: Cells,
    x: NDArray[np.float64],
    before: Gaussian,
    sigma: float,
    offset: NDArray[np.float64] | None = None,
) -> Gaussian:
    """`posteriors_of` one problem."""
    return posteriors_of([Problem(cells, x, before, sigma, offset)])[0]


def _alike(problems: Sequence[Problem]) -> Iterator[list[int]]:
    """Places of problems with labels that are alike in features and cohorts, some at a time."""
    alike: dict[tuple[int, int], list[int]] = {}
    for i, problem in enumerate(problems):
        if len(problem.cells.first):
            alike.setdefault((problem.x.shape[1], len(problem.cells.first)), []).append(i)
    for places in alike.values():
        at_a_time = max(1, CELLS_AT_A_TIME // len(problems[places[0]].cells.n))
        yield from (places[at : at + at_a_time] for at in range(0, len(places), at_a_time))
