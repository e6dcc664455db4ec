"""Rivals: river's own ADWIN and PageHinkley with their defaults, label by label.

They see the baseline's labels too, and what they report there is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from river.drift import ADWIN, PageHinkley

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.detection.streams import Bools, Floats


class Drift(Protocol):
    """What river's detectors have in common."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value made it report."""

    def update(self, x: float) -> object:
        """Take one value."""


def absolute(score: Floats, outcome: Bools) -> Floats:
    """|y - p|."""
    return np.abs(outcome - score)


def brier(score: Floats, outcome: Bools) -> Floats:
    """(y - p)^2."""
    return np.asarray((outcome - score) ** 2)


def residual(score: Floats, outcome: Bools) -> Floats:
    """Y - p."""
    return outcome - score


def adwin() -> Drift:
    """ADWIN with river's defaults."""
    return ADWIN()  # type: ignore[no-untyped-call]  # river names no types here


def page_hinkley() -> Drift:
    """PageHinkley with river's defaults."""
    return PageHinkley()


def alarms(make: Callable[[], Drift], signal: Floats, n_baseline: int) -> list[int]:
    """All reports behind the baseline, in labels behind it; the detector is never started anew."""
    detector = make()
    found = []
    for at, value in enumerate(signal.tolist(), start=1):
        detector.update(value)
        if detector.drift_detected and at > n_baseline:
            found.append(at - n_baseline)
    return found


def first_alarm(
    make: Callable[[], Drift], signal: Callable[[Floats, Bools], Floats]
) -> Callable[[Floats, Bools, int], int | None]:
    """First report behind the baseline, in labels behind it."""

    def first(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
        detector = make()
        for at, value in enumerate(signal(score, outcome).tolist(), start=1):
            detector.update(value)
            if detector.drift_detected and at > n_baseline:
                return at - n_baseline
        return None

    return first
