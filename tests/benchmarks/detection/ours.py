"""This design as a contestant: the product's detector on whole cohorts.

Told for each threshold A: the first cohort with evidence (M >= A), and the first that would raise
an alarm: evidence, and the newest seven cohorts lie more than .02 of probability off the baseline's
map (`monitor.core.judging.folding`: evidence waits at the threshold for the shift, or falls again).
One pass serves all thresholds: below the lowest all learn alike; from its first crossing on, a
threshold that waits for the shift has a detector of its own.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.shift import measure_shift
from monitor.core.policies import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.core.bins import BinCounts
    from monitor.core.detector.sequential import Detector
    from tests.benchmarks.detection.contest import Judge, Result
    from tests.benchmarks.detection.streams import Stream

    Mode = Callable[[Sequence[BinCounts]], Detector]

THRESHOLDS = {"1e6": 1e6, "2e6": 2e6, "4e6": 4e6}
WINDOW = 7
TOLERANCE = Policy().tolerance
ALARM = " alarm"
"""Suffix of a threshold's key: evidence and a shift beyond the tolerance."""
DAY_S = 86_400


def firsts(
    resting: Detector,
    cohorts: Iterable[BinCounts],
    thresholds: dict[str, float] = THRESHOLDS,
    arrival: Arrival = COMPLETE,
) -> dict[str, int | None]:
    """First cohort with evidence, and with an alarm, in labels from the first of `cohorts`.

    arrival: what the label horizon does to a map of complete labels.
    """
    watch = _Watch(resting, thresholds, arrival)
    for at, counts in enumerate(cohorts):
        watch.take(counts, at * DAY_S)
        if watch.is_done:
            break
    return watch.found


class _Watch:
    """One pass over cohorts; `found` fills up as thresholds are reached."""

    def __init__(self, resting: Detector, thresholds: dict[str, float], arrival: Arrival) -> None:
        self._resting, self._arrival = resting, arrival
        self._log_a = {name: float(np.log(at)) for name, at in thresholds.items()}
        self._shared: Detector = resting
        self._waiting: dict[str, Detector] = {}
        self._window: deque[BinCounts] = deque(maxlen=WINDOW)
        self._seen = 0
        self.found: dict[str, int | None] = {
            f"{name}{suffix}": None for name in thresholds for suffix in ("", ALARM)
        }

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be found."""
        return None not in self.found.values()

    def take(self, counts: BinCounts, start_s: int) -> None:
        """One more cohort."""
        self._window.append(counts)
        self._seen += counts.n_labelled
        for name, detector in list(self._waiting.items()):
            self._waiting[name] = self._observed(detector, counts, start_s, self._log_a[name])
        open_ = {name: log_a for name, log_a in self._log_a.items() if self.found[name] is None}
        if open_:
            before = self._shared
            self._shared = self._observed(before, counts, start_s, max(open_.values()))
            for name, log_a in open_.items():
                if self._shared.log_m >= log_a:
                    self.found[name] = self._seen
                    self._waiting[name] = self._observed(before, counts, start_s, log_a)
        self._raise()

    def _observed(self, of: Detector, counts: BinCounts, start_s: int, log_a: float) -> Detector:
        capped = of.capped(log_a)
        return capped.observe(counts, start_s, learn_below=log_a, arrival=self._arrival)

    def _raise(self) -> None:
        """Alarms of the thresholds that have evidence now, if the window has shifted."""
        over = [name for name, held in self._waiting.items() if held.log_m >= self._log_a[name]]
        if not over:
            return
        shift = measure_shift(self._resting, list(self._window), self._arrival)
        if shift is not None and shift.size > TOLERANCE:
            for name in over:
                self.found[name + ALARM] = self._seen
                del self._waiting[name]


def judge_with(mode: Mode) -> Judge:
    """First evidence and alarms of a synthetic stream, in labels behind the baseline."""

    def judge(stream: Stream) -> Result:
        n = stream.n_baseline // stream.cohort
        detector = mode(stream.cohorts[:n])
        sigma = round(detector.sigma, 3)
        return {**firsts(detector, stream.cohorts[n:]), "sigma": sigma}

    return judge
