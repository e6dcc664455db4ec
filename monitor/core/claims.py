"""Claims: every kind of confidence reduced to a probability and, later, an outcome of 0 or 1.

Guarantees: a claim's outcome depends on its rule, its references and the label alone, and is
computed for whole batches by one comparison. Must never: look at a clock, a score or a policy
to decide an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

POSITIVE = "positive"
"""Name of the single claim of a binary prediction: P(label = 1)."""

OTHER = "other"
"""Value of a dimension that holds all values beyond those that are watched by themselves."""

WHOLE = ""
"""Segment of a series that holds all the traffic of its model version."""


class OutcomeRule(IntEnum):
    """How a label decides a claim; the numbers are stored and must not change."""

    EQUALS = 0  # label == low
    AT_MOST = 1  # label <= low
    WITHIN = 2  # low <= label <= high


def outcomes(
    rule: NDArray[np.int8],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    label: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Outcome of each claim under its label; all arrays have one element a claim.

    A NaN label (none, or a retracted one) is never a positive outcome.
    """
    equals = label == low
    at_most = label <= low
    within = (low <= label) & (label <= high)
    picked = np.where(rule == OutcomeRule.AT_MOST, at_most, within)
    return np.where(rule == OutcomeRule.EQUALS, equals, picked)


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """Identity of what is monitored. `segment` is WHOLE or `dimension=value`, joined by `,`."""

    model: str
    version: str
    claim: str = POSITIVE
    segment: str = WHOLE


def segment_name(values: dict[str, str]) -> str:
    """Canonical name of a segment combination: `a=x,b=y` in the order of the dimensions' names.

    The separators are percent-encoded in the values, so that a name can be taken apart again.
    """
    return ",".join(f"{name}={_escaped(values[name])}" for name in sorted(values))


def pooled(segment: str, watched: Mapping[str, Collection[str]], most: int) -> str:
    """The combination with values beyond the first `most` of a dimension as `other`.

    watched: by dimension, the `dimension=value` that are watched by themselves already.
    """
    if segment == WHOLE:
        return WHOLE
    parts = []
    for part in segment.split(","):
        dimension = part.partition("=")[0]
        known = watched.get(dimension, ())
        is_watched = part in known or len(known) < most
        parts.append(part if is_watched else f"{dimension}={OTHER}")
    return ",".join(parts)


def watch_values(segment: str, watched: dict[str, set[str]]) -> None:
    """Note the values of a combination as watched; `other` takes no place."""
    for part in segment.split(",") if segment else ():
        dimension, _, value = part.partition("=")
        if value != OTHER:
            watched.setdefault(dimension, set()).add(part)


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace(",", "%2C").replace("=", "%3D")


def marginals(segment: str) -> tuple[str, ...]:
    """All segments that the rows of one combination belong to: the whole, then each dimension.

    `a=x,b=y` gives (WHOLE, `a=x`, `b=y`): combinations are stored, marginals are read.
    """
    return (WHOLE,) if segment == WHOLE else (WHOLE, *segment.split(","))
