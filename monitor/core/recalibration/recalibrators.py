"""Recalibrators: maps of a score to a probability that never turn the ranking round.

Guarantees: a map goes from [0, 1] to [0, 1] and never falls; numpy alone is needed to apply it.
Must never: be made with parameters that fall, or that are not finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.measures.logistic import MAX_SLOPE, logit, sigmoid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MAX_KNOTS = 2000


class Method(StrEnum):
    """Families of maps, the simplest first."""

    TEMPERATURE = "temperature"
    PLATT = "platt"
    BETA = "beta"
    ISOTONIC = "isotonic"


_CLIPPED = "s = score clipped to [1e-6, 1 - 1e-6]"
FORMULAS: Mapping[Method, str] = {
    Method.TEMPERATURE: f"p = 1 / (1 + exp(-slope * ln(s / (1 - s)))), {_CLIPPED}",
    Method.PLATT: f"p = 1 / (1 + exp(-(intercept + slope * ln(s / (1 - s))))), {_CLIPPED}",
    Method.BETA: f"p = 1 / (1 + exp(-(c + a * ln(s) - b * ln(1 - s)))), {_CLIPPED}",
    Method.ISOTONIC: (
        "p = straight lines through the points (score, probability), flat beyond the outer ones"
    ),
}
"""What an artifact says of itself; natural logarithms."""


@dataclass(frozen=True, slots=True)
class LogitLine:
    """Temperature scaling (intercept 0, slope 1 / temperature) or Platt scaling of the logit.

    Guo 2017 (arXiv 1706.04599), section 4.2; Platt 1999. Raises ValueError unless it rises.
    """

    method: Method
    slope: float
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.slope <= MAX_SLOPE and abs(self.intercept) <= MAX_SLOPE):
            msg = f"slope must be above 0 and no number beyond {MAX_SLOPE:g}"
            raise ValueError(msg)
        if self.method is Method.TEMPERATURE and self.intercept:
            msg = "a temperature has no intercept"
            raise ValueError(msg)

    def __call__(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, shape as given."""
        return sigmoid(self.intercept + self.slope * logit(score))

    def parameters(self) -> dict[str, object]:
        """Numbers of the formula."""
        if self.method is Method.TEMPERATURE:
            return {"slope": self.slope}
        return {"slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta calibration with three parameters (Kull, Silva Filho and Flach 2017, AISTATS).

    a and b are 0 or more and not both 0; otherwise raises ValueError.
    """

    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        low, high = min(self.a, self.b), max(self.a, self.b)
        if not (low >= 0 and 0 < high <= MAX_SLOPE and abs(self.c) <= MAX_SLOPE):
            msg = f"a and b must be 0 or more, one of them above, no number beyond {MAX_SLOPE:g}"
            raise ValueError(msg)

    @property
    def method(self) -> Method:
        """Its family."""
        return Method.BETA

    def __call__(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, shape as given."""
        z = logit(score)
        return sigmoid(self.c - self.a * np.logaddexp(0, -z) + self.b * np.logaddexp(0, z))

    def parameters(self) -> dict[str, object]:
        """Numbers of the formula."""
        return {"a": self.a, "b": self.b, "c": self.c}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Straight lines through knots: scores strictly rising, probabilities never falling.

    Scores between knots of one probability become equal. Raises ValueError for other knots.
    """

    score: tuple[float, ...]
    probability: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.asarray(self.score), np.asarray(self.probability)
        if not 2 <= len(x) == len(y) <= MAX_KNOTS:  # noqa: PLR2004  # a line needs two points
            msg = f"knots must be pairs, 2 to {MAX_KNOTS} of them"
            raise ValueError(msg)
        if not all(((each >= 0) & (each <= 1)).all() for each in (x, y)):
            msg = "knots must lie within 0 and 1"
            raise ValueError(msg)
        if not ((np.diff(x) > 0).all() and (np.diff(y) >= 0).all()):
            msg = "scores of knots must rise, and their probabilities must never fall"
            raise ValueError(msg)

    @property
    def method(self) -> Method:
        """Its family."""
        return Method.ISOTONIC

    def __call__(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, shape as given."""
        return np.asarray(np.interp(score, self.score, self.probability))

    def parameters(self) -> dict[str, object]:
        """Its knots."""
        return {"score": list(self.score), "probability": list(self.probability)}


CalibrationMap = LogitLine | Beta | Isotonic
