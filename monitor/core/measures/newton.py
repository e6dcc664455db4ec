"""Damped Newton's method for logistic regressions of many series at once.

Guarantees: a series' steps, their damping and their end are its own, so what is in the batch
besides changes no bit of its maximum. Must never: raise or warn on any nodes; a maximum that is
not reached is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.segments import Segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEWTON_STEPS = 60
NEWTON_DONE = 1e-7
"""Newton's decrement (a gain of log likelihood, in nats) below which one last step is taken."""
MIN_STEP = 1e-15
"""Share of a Newton step that is too small to matter; steps of 1e8 do occur on rare events."""
RIDGE = 1e-12
"""Of the rows: far below any real curvature, so that the information has an inverse."""

LARGEST_EXPONENT = 500.0
"""Beyond it a chance is 1 to the last bit; its exponential does not overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """The log likelihood's gradient, (series, d), and Fisher's information, (series, d, d)."""

    uphill: NDArray[np.float64]
    information: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Problems:
    """Weighted nodes of many series, those of one after those of another.

    x: features, (d, nodes), times the outcome's sign, -1 or 1; pairs: products of two features,
    (d * d, nodes); weight: rows that a node stands for, (nodes,); ridge: (series, 1).
    """

    x: NDArray[np.float64]
    pairs: NDArray[np.float64]
    weight: NDArray[np.float64]
    ridge: NDArray[np.float64]
    of: Segments

    @classmethod
    def of_nodes(
        cls,
        x: NDArray[np.float64],
        weight: NDArray[np.float64],
        sign: NDArray[np.float64],
        of: Segments,
    ) -> Self:
        """Problems with features x, (d, nodes)."""
        d, nodes = x.shape
        ridge = RIDGE * of.sums(weight)[:, None]
        return cls(x * sign, (x[:, None] * x).reshape(d * d, nodes), weight, ridge, of)

    def only(self, chosen: NDArray[np.bool_]) -> Self:
        """The chosen series' problems; chosen: (series,)."""
        kept, of = self.of.spread(chosen), Segments.of(self.of.sizes[chosen])
        return type(self)(
            self.x[:, kept], self.pairs[:, kept], self.weight[kept], self.ridge[chosen], of
        )

    def margins(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logit of the class that each node is of, (nodes,), at coefficients (series, d)."""
        return np.asarray(np.add.reduce(self.x * self.of.beside(at.T)), dtype=np.float64)

    def losses(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Negative log likelihood in nats, to about 1e-16 a row; (series,)."""
        odds = np.exp(-np.abs(margins))
        return self.of.sums(self.weight * (np.log(1 + odds) - np.minimum(margins, 0.0)))

    def slopes(self, margins: NDArray[np.float64]) -> Slopes:
        """Gradient and information, with a ridge, where the nodes have these margins."""
        odds = np.exp(np.minimum(-margins, LARGEST_EXPONENT))
        whole = 1 + odds
        missed = odds / whole  # the chance of the class that a node is not of
        return self._summed(self.weight * missed, self.weight * (missed / whole))

    def slopes_at_0(self) -> Slopes:
        """As `slopes`, where all margins are 0."""
        return self._summed(0.5 * self.weight, 0.25 * self.weight)

    def _summed(self, pull: NDArray[np.float64], curve: NDArray[np.float64]) -> Slopes:
        """From what each node adds to both, (nodes,)."""
        d = len(self.x)
        each = np.empty((d + d * d, len(pull)))
        np.multiply(self.x, pull, out=each[:d])
        np.multiply(self.pairs, curve, out=each[d:])
        sums = self.of.sums(each).T
        information = sums[:, d:]
        information[:, :: d + 1] += self.ridge
        return Slopes(sums[:, :d], information.reshape(-1, d, d))


def maxima(asked: Problems) -> NDArray[np.float64]:
    """Coefficients of most likelihood, (series, d); NaN where they are not reached.

    From 0, where the curvature is largest: from the honest map (0, 1), scores at 0 and 1 start
    saturated, and the first step would be a million times too long.
    """
    found = np.full((len(asked.of), len(asked.x)), np.nan)
    left = np.arange(len(asked.of))
    at = np.zeros_like(found)
    here = asked.slopes_at_0()
    for _ in range(NEWTON_STEPS):
        step = _step(here)
        # Newton's decrement: where it is small the step still squares the error, but the loss
        # cannot show it.
        going = _along(here.uphill, step) >= NEWTON_DONE
        if not all(going.tolist()):
            found[left[~going]] = (at + step)[~going]
            if not going.any():
                break
            left, asked, at, step = left[going], asked.only(going), at[going], step[going]
        at, here = _descended(asked, at, step)
    return found


def _descended(
    asked: Problems, at: NDArray[np.float64], step: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Slopes]:
    """Where each series' step leads, halved until its loss is less, and the slopes there."""
    to = at + step
    there = asked.slopes(asked.margins(to))
    # The likelihood is concave: where it still rises along the step, it has risen all the way.
    beyond = _along(there.uphill, step) < 0
    if not any(beyond.tolist()):
        return to, there
    doubted = asked.only(beyond)
    nearer = _halved(doubted, at[beyond], step[beyond])
    if (nearer == to[beyond]).all():
        return to, there
    to[beyond] = nearer
    return to, asked.slopes(asked.margins(to))


def _halved(
    asked: Problems, at: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where each series' step leads, halved until its loss is less; (series, d)."""
    size = np.ones((len(at), 1))
    before = asked.losses(asked.margins(at))
    while True:
        to = at + size * step
        short = asked.losses(asked.margins(to)) >= before
        short &= size[:, 0] > MIN_STEP
        if not short.any():
            return to
        size[short] /= 2


def _step(here: Slopes) -> NDArray[np.float64]:
    """Newton's step from there, (series, d)."""
    step = np.linalg.solve(here.information, here.uphill[..., None])
    return np.asarray(step[..., 0], dtype=np.float64)


def _along(uphill: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rise of the log likelihood along each series' step, per whole step; (series,)."""
    return np.asarray(np.add.reduce(uphill * step, axis=1), dtype=np.float64)
