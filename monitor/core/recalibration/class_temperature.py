"""One temperature for the probabilities of several classes, from a bounded sample of labelled rows.

Guarantees: the sample is uniform and the same in whatever order and parts the rows come, since it
holds the rows of the smallest keys; ranking within a prediction is untouched. Must never: promise
what one number cannot mend: an intercept of a class stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST = 1e-6
"""Probabilities below it count as it."""
MOST_ROWS = 20_000
"""Rows of a sample."""
_LOG_RANGE = 4.0
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class ClassTemperature:
    """p^(1/T), made to add up to 1; mean log loss in nats before and after, on the fitted rows."""

    temperature: float
    rows: int
    log_loss_before: float
    log_loss_after: float


def uniform_sample(key: NDArray[np.uint64], most: int = MOST_ROWS) -> NDArray[np.intp]:
    """Rows of the `most` smallest keys, which are hashes: a bottom-k sample, in the rows' order."""
    if len(key) <= most:
        return np.arange(len(key))
    return np.sort(np.argpartition(key, most)[:most])


def class_temperature(
    probabilities: NDArray[np.float64], label: NDArray[np.intp]
) -> ClassTemperature | None:
    """The temperature of least log loss (Guo 2017, section 4.2); None without rows.

    probabilities: shape (rows, classes); label: position of each row's class. Between e^-4 and e^4;
    log loss is convex in 1/T, so its slope is halved to nothing.
    """
    if not len(label):
        return None
    logits = np.log(np.clip(probabilities, SMALLEST, None))
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(label)), label]
    low, high = -_LOG_RANGE, _LOG_RANGE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(logits, own, np.exp(middle)) > 0:
            high = middle
        else:
            low = middle
    beta = float(np.exp((low + high) / 2))
    return ClassTemperature(
        1 / beta, len(label), _log_loss(logits, own, 1.0), _log_loss(logits, own, beta)
    )


def _slope(logits: NDArray[np.float64], own: NDArray[np.float64], beta: float) -> float:
    """Derivative of the mean log loss by 1/T."""
    weight = np.exp(beta * logits)
    expected = (weight * logits).sum(axis=1) / weight.sum(axis=1)
    return float((expected - own).mean())


def _log_loss(logits: NDArray[np.float64], own: NDArray[np.float64], beta: float) -> float:
    total = np.exp(beta * logits).sum(axis=1)
    return float((np.log(total) - beta * own).mean())
