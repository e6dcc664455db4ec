"""This design as a contestant: the product's detector on whole cohorts, evidence alone.

A = 1e6 and A = 4e6 are read from one pass: below the lower threshold both learn alike, so the pass
that learns below 4e6 crosses 1e6 where the other would. The materiality gate and everything else of
a policy is left out; the real streams' table has the whole product beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.arrival import COMPLETE, Arrival
from monitor.core.sequential import Detector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.core.bins import BinCounts
    from tests.benchmarks.detection.contest import Judge, Result
    from tests.benchmarks.detection.streams import Stream

    Mode = Callable[[Sequence[BinCounts]], Detector]

THRESHOLDS = {"1e6": 1e6, "4e6": 4e6}
DAY_S = 86_400


def firsts(
    detector: Detector,
    cohorts: Iterable[BinCounts],
    thresholds: dict[str, float] = THRESHOLDS,
    arrival: Arrival = COMPLETE,
) -> dict[str, int | None]:
    """First cohort at which M reaches each threshold, in labels from the first of `cohorts`.

    arrival: what the label horizon does to a map of complete labels.
    """
    found: dict[str, int | None] = dict.fromkeys(thresholds)
    left = {name: float(np.log(at)) for name, at in thresholds.items()}
    top = max(left.values())
    seen = 0
    for at, counts in enumerate(cohorts):
        detector = detector.observe(counts, at * DAY_S, learn_below=top, arrival=arrival)
        seen += counts.n_labelled
        log_m = detector.log_m
        for name in [name for name, log_a in left.items() if log_m >= log_a]:
            found[name] = seen
            del left[name]
        if not left:
            break
    return found


def judge_with(mode: Mode) -> Judge:
    """First alarms of a synthetic stream, in labels behind the baseline, and the shock found."""

    def judge(stream: Stream) -> Result:
        n = stream.n_baseline // stream.cohort
        detector = mode(stream.cohorts[:n])
        sigma = round(detector.sigma, 3)
        return {**firsts(detector, stream.cohorts[n:]), "sigma": sigma}

    return judge


MODES: dict[str, tuple[Mode, tuple[str, ...]]] = {
    "this design": (Detector.from_baseline, ("monitor.core.sequential",)),
}
"""How each mode of the product makes a detector at rest, and the modules that it comes from."""
