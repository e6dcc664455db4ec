"""Seeded cohorts of a known map, for tests of the detector and of evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.bins import BinCounts
from monitor.core.judging.series_state import Cohort
from monitor.core.measures.logistic import sigmoid

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Truth = Callable[[NDArray[np.float64]], NDArray[np.float64]]

DAY_S = 86_400


def honest(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map of a calibrated model: the score's logit is the outcome's."""
    return z


def lifted(level: float) -> Truth:
    """The map of a calibrated model whose outcomes are all shifted by `level` logits."""
    return lambda z: z + level


def counts(  # noqa: PLR0913  # each is one property of a stream, all but two by keyword
    rng: np.random.Generator,
    n: int,
    truth: Truth = honest,
    *,
    centre: float = 0.0,
    spread: float = 1.8,
    wobble: float = 0.0,
    labelled: float = 1.0,
) -> BinCounts:
    """One cohort of n predictions: logits N(centre, spread^2), a common shock N(0, wobble^2)."""
    z = rng.normal(centre, spread, n)
    outcome = rng.random(n) < sigmoid(truth(z) + wobble * rng.normal())
    return BinCounts.from_rows(sigmoid(z), outcome, rng.random(n) < labelled)


def days(of: list[BinCounts], first: int = 0) -> list[Cohort]:
    """Daily cohorts, one after the other, from day `first` after the epoch."""
    return [Cohort((first + i) * DAY_S, (first + i + 1) * DAY_S, each) for i, each in enumerate(of)]
