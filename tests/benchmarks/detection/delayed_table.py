"""Delayed labels of a calibrated model: false alarms of six ways to feed them to the detector.

500 predictions a day; a positive's label comes after Exp(2 d), a negative's after Exp(7 d). The
baseline is 20 days whose labels have all come. Then 400 days are monitored from the first on. A day
is judged at age 7 d, by when 97 % of the positives' and 63 % of the negatives' labels have come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.delays import DelayCounts, null_offset
from monitor.core.detector.arrival import Arrival
from monitor.core.detector.sequential import Detector
from monitor.core.measures.logistic import sigmoid
from tests.benchmarks.detection import ours
from tests.benchmarks.detection.contest import OURS, Contestant, Row
from tests.benchmarks.detection.streams import SPREAD, cohorts
from tests.benchmarks.detection.summary import share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.detection.contest import Result
    from tests.benchmarks.detection.results import Results
    from tests.benchmarks.detection.streams import Bools, Floats

A_DAY = 500
BASELINE_DAYS, DAYS = 20, 400
DAY_S = 86_400
HORIZON_S = 7 * DAY_S
POSITIVE_S, NEGATIVE_S = 2 * DAY_S, 7 * DAY_S
LONGEST_S = 60 * DAY_S
BATCH = 250


@dataclass(frozen=True)
class Arrivals:
    """Rows in the order of prediction, the baseline's first; times in seconds."""

    score: Floats
    outcome: Bools
    predicted_s: Floats
    delay_s: Floats

    @property
    def on_time(self) -> Bools:
        """Labels that have come at the horizon."""
        return self.delay_s <= HORIZON_S


def draw(rng: np.random.Generator) -> Arrivals:
    """Baseline and monitored days of a calibrated model."""
    n = A_DAY * (BASELINE_DAYS + DAYS)
    z = rng.normal(0, SPREAD, n)
    outcome = rng.random(n) < sigmoid(z)
    mean_s = np.where(outcome, POSITIVE_S, NEGATIVE_S).astype(np.float64)
    delay_s = mean_s * rng.standard_exponential(n)
    predicted_s = np.arange(n, dtype=np.float64) * (DAY_S / A_DAY)
    return Arrivals(sigmoid(z), outcome, predicted_s, delay_s)


def days(stream: Arrivals, first: int, last: int, labelled: Bools | None = None) -> list[BinCounts]:
    """Counts of days [first, last) with the labels named; with all of them without."""
    return [
        BinCounts.from_rows(
            stream.score[rows],
            stream.outcome[rows],
            None if labelled is None else labelled[rows],
        )
        for rows in (slice(day * A_DAY, (day + 1) * A_DAY) for day in range(first, last))
    ]


def complete(stream: Arrivals) -> Detector:
    """A detector on the baseline with all of its labels."""
    return Detector.from_baseline(days(stream, 0, BASELINE_DAYS))


def sealed(stream: Arrivals) -> list[BinCounts]:
    """Monitored days with the labels that had come at the horizon."""
    return days(stream, BASELINE_DAYS, BASELINE_DAYS + DAYS, stream.on_time)


def in_arrival_order(stream: Arrivals) -> Result:
    """Labels as they come, in batches of 250."""
    later = np.arange(len(stream.score)) >= A_DAY * BASELINE_DAYS
    order = np.flatnonzero(later)[np.argsort((stream.predicted_s + stream.delay_s)[later])]
    batches = cohorts(stream.score[order], stream.outcome[order], BATCH)
    return ours.firsts(complete(stream), batches)


def without_offset(stream: Arrivals) -> Result:
    """Days at the horizon against the complete baseline."""
    return ours.firsts(complete(stream), sealed(stream))


def with_null_offset(stream: Arrivals) -> Result:
    """The same, with log(F1 / F0), estimated on the baseline's delays, added to the null."""
    offset = null_offset(known_delays(stream), HORIZON_S)
    arrival = Arrival(offset.on_time_positive, offset.on_time_negative, se=offset.se)
    return ours.firsts(complete(stream), sealed(stream), arrival=arrival)


def known_delays(stream: Arrivals) -> DelayCounts:
    """The baseline's delays, all of which have been seen."""
    known = slice(0, A_DAY * BASELINE_DAYS)
    return DelayCounts.from_rows(stream.delay_s[known], stream.outcome[known], LONGEST_S)


def sealed_baseline(stream: Arrivals) -> Result:
    """The baseline's days at the horizon too."""
    start = days(stream, 0, BASELINE_DAYS, stream.on_time)
    return ours.firsts(Detector.from_baseline(start), sealed(stream))


def unlabelled_negative(stream: Arrivals) -> list[BinCounts]:
    """Monitored days at the horizon, rows without a label counted as negatives."""
    by_then = replace(stream, outcome=stream.outcome & stream.on_time)
    return days(by_then, BASELINE_DAYS, BASELINE_DAYS + DAYS)


def implicit(stream: Arrivals) -> Result:
    """Implicit negatives against the complete baseline."""
    return ours.firsts(complete(stream), unlabelled_negative(stream))


def implicit_with_null(stream: Arrivals) -> Result:
    """The same, with q F1(H) as the null's chance."""
    offset = null_offset(known_delays(stream), HORIZON_S)
    n1 = known_delays(stream).labels(1).sum()
    on_time = offset.on_time_positive
    se = float(np.sqrt((1 - on_time) / (n1 * on_time)))
    arrival = Arrival(on_time, unlabelled_negative=True, se=se)
    return ours.firsts(complete(stream), unlabelled_negative(stream), arrival=arrival)


WAYS: dict[str, Callable[[Arrivals], Result]] = {
    "in order of arrival, complete baseline": in_arrival_order,
    "days at age 7 d, complete baseline, no offset": without_offset,
    "days at age 7 d, complete baseline, null offset": with_null_offset,
    "days at age 7 d, baseline at age 7 d": sealed_baseline,
    "implicit negatives at age 7 d, complete baseline": implicit,
    "implicit negatives at age 7 d, complete baseline, null q F1": implicit_with_null,
}
MODULES = (__name__, f"{ours.__name__}")
ROWS = (
    Row(
        "delayed",
        "calibrated",
        draw,
        f"{A_DAY} {BASELINE_DAYS} {DAYS}",
        MODULES,
        tuple(Contestant(name, judge, MODULES, OURS) for name, judge in WAYS.items()),
    ),
)


def markdown(results: Results) -> Iterator[str]:
    """False alarms of each way."""
    yield from ("", "#### Delayed labels of a calibrated model: any alarm in 400 days", "")
    yield f"| way | runs | {' | '.join(f'A = {key}' for key in ours.THRESHOLDS)} |"
    yield "|---|--:|" + "---|" * len(ours.THRESHOLDS)
    row = ROWS[0]
    for contestant in row.contestants:
        known = results.of(row, contestant)
        cells = " | ".join(share([r[key] is not None for r in known]) for key in ours.THRESHOLDS)
        yield f"| {contestant.name} | {len(known)} | {cells} |"
