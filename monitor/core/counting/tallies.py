"""Tallies: how many events were not a plain prediction or a first label, and why.

Guarantees: every event that did not simply count is tallied once, by series where the series is
known and by model otherwise; so is every prediction whose quantiles cross, which counts. Must
never: stand in for the counts themselves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections import Counter

    from numpy.typing import NDArray

NO_SERIES = -1


class TallyKind(StrEnum):
    """What happened; the values are stored."""

    DUPLICATE_PREDICTION = "duplicate_prediction"
    LATE_PREDICTION = "late_prediction"  # older than the correction horizon; not counted
    DUPLICATE_LABEL = "duplicate_label"
    CORRECTED_LABEL = "corrected_label"
    RETRACTED_LABEL = "retracted_label"
    STALE_LABEL = "stale_label"  # an older label time than the one held
    LATE_LABEL = "late_label"  # past the label horizon; counted, but not in a sealed pane
    EXPIRED_LABEL = "expired_label"  # past the correction horizon; not counted
    UNMATCHED_LABEL = "unmatched_label"  # its prediction never came
    UNSAMPLED_PREDICTION = "unsampled_prediction"  # left out by the policy's sample_rate
    UNSAMPLED_LABEL = "unsampled_label"
    CROSSED_QUANTILES = "crossed_quantiles"  # a quantile below that of a lower level; counted


class Tally(NamedTuple):
    """Key of a tally; `series` is NO_SERIES where only the model is known."""

    kind: TallyKind
    model: int
    series: int


def count_by_series(
    into: Counter[Tally],
    kind: TallyKind,
    series: NDArray[np.int32],
    model_of: NDArray[np.int32],
) -> None:
    """Add one tally of `kind` for each element of `series`."""
    if not len(series):
        return
    for index, n in zip(*np.unique(series, return_counts=True), strict=True):
        into[Tally(kind, int(model_of[index]), int(index))] += int(n)


def count_by_model(into: Counter[Tally], kind: TallyKind, model: NDArray[np.int32]) -> None:
    """Add one tally of `kind` for each element of `model`."""
    if not len(model):
        return
    for index, n in zip(*np.unique(model, return_counts=True), strict=True):
        into[Tally(kind, int(index), NO_SERIES)] += int(n)
