"""Damped Newton steps: the modes of many logistic regressions with cohort shocks at once.

Guarantees: what is found for a regression does not depend, to the bit, on what stands beside it:
its sums run over its own cells, and it halves its steps and ends by its own rule. Must never: set
regressions of unequal shape (features, cohorts) side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.detector.calibration_map import Problem

SIGMA_MIN = 1e-6
NEWTON_STEPS = 50
NEWTON_DONE = 1e-8
SHORTEST_STEP = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """Where a penalised log likelihood is highest, and its value there.

    theta: coefficients, (d,); precision: theirs, shocks integrated out, (d, d); spread: precision
    of the shocks, (cohorts,).
    """

    theta: NDArray[np.float64]
    precision: NDArray[np.float64]
    spread: NDArray[np.float64]
    value: float


def modes(problems: Sequence[Problem]) -> list[Mode]:
    """Modes of problems that are alike in features d and cohorts c, both 1 or more."""
    found: dict[int, Mode] = {}
    left, climbing = list(range(len(problems))), _Regressions.of(problems)
    at = climbing.point(climbing.mean, np.zeros((len(left), len(problems[0].cells.first))))
    for taken in range(NEWTON_STEPS + 1):
        step = climbing.newton(at)
        goes_on = [not gain < NEWTON_DONE and taken < NEWTON_STEPS for gain in step.gain.tolist()]
        for row, goes in enumerate(goes_on):
            if not goes:
                # Copies: what is kept of one should not keep its neighbours alive.
                theta, schur, spread = at.theta[row], step.schur[row], step.spread[row]
                value = float(at.value[row])
                found[left[row]] = Mode(theta.copy(), schur.copy(), spread.copy(), value)
        if len(found) == len(problems):
            break
        if not all(goes_on):
            left = [place for place, goes in zip(left, goes_on, strict=True) if goes]
            climbing = _Regressions.of([problems[place] for place in left])
            at, step = at.only(goes_on), step.only(goes_on)
        at = climbing.climbed(at, step)
    return [found[place] for place in range(len(problems))]


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """Coefficients (r, d), shocks (r, cohorts), and what the penalised likelihoods are there, (r,).

    pull: the prior's precision times the coefficients less its mean, (r, d). tanh: of half the
    cells' logits, from which both the likelihood and its derivatives are made, (cells,).
    """

    theta: NDArray[np.float64]
    shocks: NDArray[np.float64]
    value: NDArray[np.float64]
    pull: NDArray[np.float64]
    tanh: NDArray[np.float64]

    def only(self, kept: list[bool]) -> _Point:
        """Where some regressions stand, without their cells."""
        theta, shocks, pull = self.theta[kept], self.shocks[kept], self.pull[kept]
        return _Point(theta, shocks, self.value[kept], pull, self.tanh[:0])


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """Newton's steps of coefficients (r, d) and shocks (r, cohorts), and what they are made of.

    gain: of log likelihood that a step promises, doubled, (r,); schur: precision of the
    coefficients, shocks integrated out, (r, d, d); spread: precision of the shocks, (r, cohorts).
    """

    theta: NDArray[np.float64]
    shocks: NDArray[np.float64]
    gain: NDArray[np.float64]
    schur: NDArray[np.float64]
    spread: NDArray[np.float64]

    def only(self, kept: list[bool]) -> _Step:
        """Those of some regressions."""
        theta, shocks, gain = self.theta[kept], self.shocks[kept], self.gain[kept]
        return _Step(theta, shocks, gain, self.schur[kept], self.spread[kept])


@dataclass(frozen=True, slots=True, eq=False)
class _Regressions:
    """Regressions of one shape, their cells one after another, cohort after cohort.

    x: features of each, (d, its cells), the first 1 everywhere; span: its cells. n, positive,
    offset: (cells,), no offset where none has one. owner: cohort of each cell, of all cohorts;
    first: each cohort's first cell, (r cohorts,); begin: each regression's, (r,). mean, precision:
    of the priors, (r, d) and (r, d, d); shock_precision: (r, 1).
    """

    x: list[NDArray[np.float64]]
    span: list[slice]
    n: NDArray[np.float64]
    positive: NDArray[np.float64]
    offset: NDArray[np.float64] | None
    owner: NDArray[np.int64]
    first: NDArray[np.int64]
    begin: NDArray[np.int64]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    shock_precision: NDArray[np.float64]

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """Problems side by side."""
        cells = [problem.cells for problem in problems]
        ends = [0, *accumulate(len(each.n) for each in cells)]
        cohorts = len(cells[0].first)
        offset = None
        if any(problem.offset is not None for problem in problems):
            none = [np.zeros(len(each.n)) for each in cells]
            pairs = zip(problems, none, strict=True)
            offset = np.concatenate([p.offset if p.offset is not None else z for p, z in pairs])
        return cls(
            # In one piece each: BLAS sums a part of a wider array in another order.
            x=[np.ascontiguousarray(problem.x.T) for problem in problems],
            span=[slice(*each) for each in pairwise(ends)],
            n=np.concatenate([each.n for each in cells]),
            positive=np.concatenate([each.positive for each in cells]),
            offset=offset,
            owner=np.concatenate([each.owner + at * cohorts for at, each in enumerate(cells)]),
            first=np.concatenate([e.first + at for e, at in zip(cells, ends, strict=False)]),
            begin=np.array(ends[:-1]),
            mean=np.array([problem.before.mean for problem in problems]),
            precision=np.array([problem.before.precision for problem in problems]),
            shock_precision=np.array([[max(p.sigma, SIGMA_MIN) ** -2] for p in problems]),
        )

    def point(self, theta: NDArray[np.float64], shocks: NDArray[np.float64]) -> _Point:
        """The point of these coefficients and shocks."""
        logits = np.concatenate([row @ x for row, x in zip(theta, self.x, strict=True)])
        logits += shocks.ravel()[self.owner]
        if self.offset is not None:
            logits += self.offset
        tanh = np.tanh(0.5 * logits)
        loss = np.abs(tanh)
        loss *= 0.5
        loss += 0.5
        # log(1 + exp(logit)) to about 1e-16 a label.
        loss = np.maximum(logits, 0) - np.log(loss, out=loss)
        loss *= self.n
        loss -= self.positive * logits
        off = theta - self.mean
        pull = np.matvec(self.precision, off)
        penalty = np.vecdot(off, pull) + np.vecdot(self.shock_precision * shocks, shocks)
        value = -0.5 * penalty - np.add.reduceat(loss, self.begin)
        return _Point(theta, shocks, value, pull, tanh)

    def newton(self, at: _Point) -> _Step:
        """Newton's steps from a point, by the first and second derivatives there."""
        p = 0.5 * (1 + at.tanh)
        expected = self.n * p
        rows = self._rows(expected * (1 - p), self.positive - expected)
        # The last row of each sum is the slope, those above are the curvature.
        sums = np.array([row @ x.T for row, x in zip(rows, self.x, strict=True)])
        mixed = self._by_cohort(rows, sums)
        mixed[:, -1] -= self.shock_precision * at.shocks
        spread = mixed[:, 0] + self.shock_precision
        sums -= np.matmul(mixed, (mixed[:, :-1] / spread[:, None, :]).transpose(0, 2, 1))
        sums[:, :-1] += self.precision
        sums[:, -1] -= at.pull
        schur, slope, pull = sums[:, :-1], sums[:, -1], mixed[:, -1]
        theta = np.linalg.solve(schur, slope[:, :, None])[:, :, 0]
        shocks = (pull - np.vecmat(theta, mixed[:, :-1])) / spread
        gain = np.vecdot(slope, theta) + np.vecdot(pull, pull / spread)
        return _Step(theta, shocks, gain, schur, spread)

    def _rows(
        self, weight: NDArray[np.float64], residual: NDArray[np.float64]
    ) -> list[NDArray[np.float64]]:
        """Weighted features, and the residuals below them: (1 + d, cells) of each."""
        found = []
        for span, x in zip(self.span, self.x, strict=True):
            rows = np.empty((len(x) + 1, x.shape[1]))
            np.multiply(x, weight[span], out=rows[:-1])
            rows[-1] = residual[span]
            found.append(rows)
        return found

    def _by_cohort(
        self, rows: list[NDArray[np.float64]], sums: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The rows summed by cohort, (r, 1 + d, cohorts)."""
        if len(self.first) == len(sums):
            return sums[:, :, :1].copy()  # of one cohort each: sums with the feature that is 1
        firsts = self.first.reshape(len(sums), -1) - self.begin[:, None]
        return np.array([np.add.reduceat(r, f, axis=1) for r, f in zip(rows, firsts, strict=True)])

    def climbed(self, at: _Point, step: _Step) -> _Point:
        """The points after the steps, each halved until its value does not fall."""
        new = self.point(at.theta + step.theta, at.shocks + step.shocks)
        if (new.value >= at.value).all():
            return new
        scale = np.ones((len(at.value), 1))
        while not (rose := new.value >= at.value).all() and scale[~rose].any():
            scale[~rose] /= 2
            scale[scale <= SHORTEST_STEP] = 0
            new = self.point(at.theta + scale * step.theta, at.shocks + scale * step.shocks)
        return new
