"""How each mode of the product makes a detector at rest from a baseline's cohorts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from monitor.core.detector.autocorrelation import find_memory
from monitor.core.detector.sequential import Detector
from tests.benchmarks.detection.ours import DAY_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.bins import BinCounts
    from tests.benchmarks.detection.ours import Mode


def chosen(cohorts: Sequence[BinCounts]) -> Detector:
    """The mode that the baseline's wobble asks for, cohorts being days."""
    detector = Detector.from_baseline(cohorts)
    days = [(at * DAY_S, counts) for at, counts in enumerate(cohorts)]
    if not find_memory(detector, days).has_memory:
        return detector
    return Detector.from_baseline(cohorts, hidden_level=True)


MODES: dict[str, Mode] = {
    "this design": Detector.from_baseline,
    "this design, AR mode": partial(Detector.from_baseline, hidden_level=True),
    "this design, mode by the baseline": chosen,
}
