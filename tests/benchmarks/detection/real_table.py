"""The real streams: how often each contestant alerts, and when first.

The first 1000 labels of a series are its baseline; after an alert the next 1000 are a new one. This
design gets batches of 100 labels in the order of prediction, or days (lines with `days`: a baseline
is the whole days that hold 1000 labels), A = 1e6. A date is that of the prediction whose label
raised the alert. `calmon backtest` is the whole product with its
default policy: cohorts of a day, a label horizon of two days, a materiality gate, recovery.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.detection import driftfdr_package, ours, river_signals
from tests.benchmarks.detection.contest import OURS, Contestant, Row
from tests.benchmarks.detection.contestants import FIRST_ALARMS, PACKAGE
from tests.benchmarks.detection.modes import MODES
from tests.benchmarks.detection.places import DATA
from tests.benchmarks.detection.recorded import SERIES, STABLE, Recorded, missing, read
from tests.benchmarks.detection.streams import cohorts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.detection.contest import Judge, Result
    from tests.benchmarks.detection.contestants import FirstAlarm
    from tests.benchmarks.detection.results import Results
    from tests.benchmarks.detection.river_signals import Drift
    from tests.benchmarks.detection.streams import Bools, Floats

BASELINE = 1000
BATCH = 100
SHOWN = 3
A = {"1e6": 1e6}


def restarted(first: FirstAlarm) -> Judge:
    """Dates of all alerts, with a new baseline after each."""

    def judge(stream: Recorded) -> Result:
        at, days = 0, []
        while len(stream.score) - at > BASELINE:
            found = first(stream.score[at:], stream.outcome[at:], BASELINE)
            if found is None:
                break
            at += BASELINE + found
            days.append(str(stream.day[at - 1]))
        return {"alerts": days}

    return judge


def running_on(make: Callable[[], Drift], signal: Callable[[Floats, Bools], Floats]) -> Judge:
    """Dates of all reports of one of river's detectors that is never started anew."""

    def judge(stream: Recorded) -> Result:
        values = signal(stream.score, stream.outcome)
        found = river_signals.alarms(make, values, BASELINE)
        return {"alerts": [str(stream.day[BASELINE + n - 1]) for n in found]}

    return judge


def batched(mode: ours.Mode, key: str) -> FirstAlarm:
    """First evidence, or alarm, of this design in batches."""

    def first(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
        detector = mode(cohorts(score[:n_baseline], outcome[:n_baseline], BATCH))
        later = (
            counts
            for at in range(n_baseline, len(score) - BATCH + 1, BATCH)
            for counts in cohorts(score[at : at + BATCH], outcome[at : at + BATCH], BATCH)
        )
        return ours.firsts(detector, later, A)[key]

    return first


def by_days(mode: ours.Mode, key: str) -> Judge:
    """Dates of all alerts of this design with days as cohorts, with a new baseline after each."""

    def judge(stream: Recorded) -> Result:
        begins = np.flatnonzero(np.diff(stream.day, prepend=stream.day[0] - 1))
        ends = np.append(begins[1:], len(stream.day))
        each = [
            cohorts(stream.score[a:b], stream.outcome[a:b], int(b - a))[0]
            for a, b in zip(begins, ends, strict=True)
        ]
        days = []
        at = 0
        while (n := _whole_days(ends - begins, at)) is not None:
            found = ours.firsts(mode(each[at : at + n]), iter(each[at + n :]), A)[key]
            if found is None:
                break
            at = 1 + int(np.searchsorted(ends, begins[at + n] + found))
            days.append(str(stream.day[begins[at - 1]]))
        return {"alerts": days}

    return judge


def _whole_days(labels: np.ndarray, at: int) -> int | None:
    """Days from `at` on that together hold a baseline, if others follow."""
    n = 1 + int(np.searchsorted(np.cumsum(labels[at:]), BASELINE))
    return n if at + n < len(labels) else None


def backtest(stream: Recorded) -> Result:
    """Alerts of `calmon backtest` with its default policy, on the whole model."""
    told = _backtest(SERIES[stream.name][0])
    if "error" in told:
        return told
    return {
        "alerts": [
            alert["fired_at"][:10]
            for alert in told["alerts"]
            if alert["model"] == stream.name and not alert["segment"]
        ]
    }


@lru_cache
def _backtest(folder: str) -> Result:
    files = [str(DATA / folder / f"{kind}.parquet") for kind in ("predictions", "labels")]
    command = [sys.executable, "-m", "monitor", "backtest", *files, "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed"}
    told: Result = json.loads(done.stdout)
    return told


OURS_ON_REAL = tuple(
    Contestant(f"{name}{told}", restarted(batched(mode, f"1e6{suffix}")), (__name__,), OURS)
    for suffix, told in (("", ""), (ours.ALARM, ", shift > .02"))
    for name, mode in MODES.items()
)
DAYS_ON_REAL = tuple(
    Contestant(f"{name}, days{told}", by_days(mode, f"1e6{suffix}"), (__name__,), OURS)
    for suffix, told in (("", ""), (ours.ALARM, ", shift > .02"))
    for name, mode in MODES.items()
)
PRODUCT = Contestant("calmon backtest", backtest, (__name__, "monitor.cli.root"), OURS)
RESTARTED = tuple(
    Contestant(
        name,
        restarted(first),
        (f"{PACKAGE}.{module}", f"{PACKAGE}.recorded"),
        missing=driftfdr_package.missing if module == "driftfdr_package" else lambda: None,
    )
    for name, (first, module) in FIRST_ALARMS.items()
)
RUNNING_ON = tuple(
    Contestant(
        f"river ADWIN on {name}, never restarted",
        running_on(river_signals.adwin, signal),
        (f"{PACKAGE}.river_signals", f"{PACKAGE}.recorded"),
    )
    for name, signal in (("abs(y - p)", river_signals.absolute), ("Brier", river_signals.brier))
)


def _only_with_data(name: str, contestant: Contestant) -> Contestant:
    also = contestant.missing

    def without() -> str | None:
        return missing(name) or also()

    return Contestant(
        contestant.name, contestant.judge, contestant.modules, contestant.who, without
    )


def _reader(name: str) -> Callable[[np.random.Generator], Recorded]:
    return lambda _: read(name)


ROWS = tuple(
    Row(
        "real",
        name,
        _reader(name),
        f"{BASELINE} {BATCH} {A}",
        (f"{PACKAGE}.recorded",),
        tuple(
            _only_with_data(name, contestant)
            for contestant in (*OURS_ON_REAL, *DAYS_ON_REAL, PRODUCT, *RESTARTED, *RUNNING_ON)
        ),
        most_runs=1,
    )
    for name in SERIES
)


def markdown(results: Results) -> Iterator[str]:
    """Alerts by contestant and series, and their first dates."""
    yield from ("", "#### Real streams: alerts", "")
    yield f"| alerts | {' | '.join(SERIES)} | on the stable |"
    yield "|---|" + "--:|" * (len(SERIES) + 1)
    found_by = alerts(results)
    for contestant, by_series in found_by.items():
        cells = [str(len(found)) if found is not None else "-" for found in by_series.values()]
        stable = [by_series[name] for name, (_, known) in SERIES.items() if known == STABLE]
        known = [len(found) for found in stable if found is not None]
        total = str(sum(known)) if known else "-"
        yield f"| {contestant} | {' | '.join(cells)} | {total} |"
    yield from ("", "#### Real streams: first dates", "")
    moving = [name for name, (_, known) in SERIES.items() if known != STABLE]
    yield f"| first alerts | {' | '.join(moving)} |"
    yield "|---|" + "---|" * len(moving)
    yield f"| known | {' | '.join(SERIES[name][1] for name in moving)} |"
    for contestant, by_series in found_by.items():
        cells = [", ".join(found[:SHOWN]) if (found := by_series[name]) else "-" for name in moving]
        yield f"| {contestant} | {' | '.join(cells)} |"


def alerts(results: Results) -> dict[str, dict[str, list[str] | None]]:
    """Dates by contestant and series; None where nothing was measured."""
    found_by: dict[str, dict[str, list[str] | None]] = {}
    for row in ROWS:
        for contestant in row.contestants:
            known = results.of(row, contestant)
            found = known[0].get("alerts") if known else None
            found_by.setdefault(contestant.name, {})[row.name] = found
    return found_by
