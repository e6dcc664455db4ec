"""A fleet: 500 series, five of them changed, one false-alarm budget over all.

Every series has a baseline of 2000 labels and then 30 days of 250; cohort = day. Five change on the
tenth day: T 1.5, T 2, +.5, +1, and -.5. The budget is one false page a month over the fleet.
driftfdr's StreamingMonitor gets Brier's errors with e-BH in every window (EBHWindow, level .05),
its e-CUSUM, the baseline as reference, windows of 250 looking back over 5; its null has 500
bootstraps with an exponential tail, as in its authors' experiments, for time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.sequential import Detector
from monitor.core.judging.budget import Budget, e_d_bh, thresholds
from tests.benchmarks.detection import driftfdr_package
from tests.benchmarks.detection.contest import OURS, RIVAL, Contestant, Row
from tests.benchmarks.detection.river_signals import brier
from tests.benchmarks.detection.streams import CHANGES, Setting, Stream, honest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.detection.contest import Result
    from tests.benchmarks.detection.results import Results

SERIES = 500
A_DAY, DAYS, CHANGED_AFTER = 250, 30, 10
BASELINE = 2000
MOVED = {
    0: CHANGES["T 1.5"],
    1: CHANGES["T 2"],
    2: CHANGES["+.5"],
    3: CHANGES["+1"],
    4: lambda z: z - 0.5,
}
BUDGET = Budget(1.0)
LABELS_A_MONTH = A_DAY * 365.25 / 12
DAY_S = 86_400
BOOTSTRAPS = 500
LEVEL = 0.05


@dataclass(frozen=True)
class Fleet:
    """Streams by series; the first five are changed."""

    streams: tuple[Stream, ...]


def draw(rng: np.random.Generator) -> Fleet:
    """A month of all series."""
    still = Setting(BASELINE + A_DAY * CHANGED_AFTER, A_DAY * (DAYS - CHANGED_AFTER))
    streams = [
        Setting(still.n_baseline, still.n_after, after=MOVED.get(i, honest)).draw(rng)
        for i in range(SERIES)
    ]
    return Fleet(tuple(Stream(s.score, s.outcome, BASELINE, A_DAY) for s in streams))


def judge(fleet: Fleet) -> Result:
    """This design: thresholds by the budget, and e-d-BH on the same detectors."""
    allowed = thresholds(BUDGET, {str(i): LABELS_A_MONTH for i in range(SERIES)})
    n = BASELINE // A_DAY
    log_a = np.log([allowed.alarm_at[str(i)] for i in range(SERIES)])
    detectors = [Detector.from_baseline(stream.cohorts[:n]) for stream in fleet.streams]
    first: dict[str, dict[int, int]] = {"thresholds": {}, "e-d-BH": {}}
    ticks = []
    for day in range(DAYS):
        began = time.process_time()
        detectors = [
            detector.observe(stream.cohorts[n + day], day * DAY_S, learn_below=log_a[i])
            for i, (detector, stream) in enumerate(zip(detectors, fleet.streams, strict=True))
        ]
        log_m = {str(i): detector.log_m for i, detector in enumerate(detectors)}
        ticks.append(time.process_time() - began)
        over = {i for i in range(SERIES) if log_m[str(i)] >= log_a[i]}
        for name, named in (
            ("thresholds", over),
            ("e-d-BH", set(map(int, e_d_bh(log_m, allowed)))),
        ):
            for i in named:
                first[name].setdefault(i, day + 1)
    told = {name: _summary(found) for name, found in first.items()}
    return told | {"tick_s": round(float(np.median(ticks)), 3)}


def driftfdr(fleet: Fleet) -> Result:
    """driftfdr's e-BH over its calibrated e-CUSUMs."""
    package = driftfdr_package.driftfdr()
    monitor = package.StreamingMonitor(
        n_models=SERIES,
        detector_factory=package.ECUSUM,
        procedure="e_bh",
        alpha=LEVEL,
        n_ref=BASELINE,
        window=A_DAY,
        horizon=driftfdr_package.LOOK_BACK,
        calibration=package.CalibrationConfig(n_boot=BOOTSTRAPS, tail="exponential"),
    )
    errors = np.column_stack([brier(s.score, s.outcome) for s in fleet.streams])
    first: dict[int, int] = {}
    for at, step in enumerate(errors):
        for i in monitor.update(step).tolist():
            first.setdefault(i, 1 + (at - BASELINE) // A_DAY)
    return {"e-BH": _summary(first)}


def _summary(first: dict[int, int]) -> dict[str, object]:
    """False names (unchanged, or named before the change), and days to those found."""
    after = {i: day for i, day in first.items() if i in MOVED and day > CHANGED_AFTER}
    return {
        "false": len(first) - len(after),
        "found": {str(i): d - CHANGED_AFTER for i, d in after.items()},
    }


MODULES = (__name__, "tests.benchmarks.detection.streams")
ROWS = (
    Row(
        "fleet",
        "500 series",
        draw,
        f"{SERIES} {A_DAY} {DAYS} {CHANGED_AFTER} {BASELINE}",
        ("tests.benchmarks.detection.streams",),
        (
            Contestant("this design", judge, MODULES, OURS),
            Contestant(
                "driftfdr 0.1.1",
                driftfdr,
                ("tests.benchmarks.detection.driftfdr_package",),
                RIVAL,
                driftfdr_package.missing,
            ),
        ),
        most_runs=20,
    ),
)


def markdown(results: Results) -> Iterator[str]:
    """Errors and findings of each rule."""
    yield from ("", "#### A fleet of 500 series, 5 of them changed, for a month", "")
    yield "| rule | runs | false names a month | all 5 found | found of 5 | median days to find |"
    yield "|---|--:|---|---|--:|--:|"
    row = ROWS[0]
    for contestant in row.contestants:
        known = results.of(row, contestant)
        rules = ("thresholds", "e-d-BH") if contestant.who == OURS else ("e-BH",)
        for rule in rules:
            told = [result[rule] for result in known]
            if told:
                yield _line(f"{contestant.name}, {rule}", told)
    ticks = [
        result["tick_s"] for result in results.of(row, row.contestants[0]) if "tick_s" in result
    ]
    if ticks:
        each = float(np.median(ticks)) / SERIES
        text = f"The detectors take {each * SERIES:.2f} s of one core for a cohort of every series"
        yield from ("", f"{text}: {30 / each:.0f} series in 30 s.")


def _line(name: str, told: list[dict[str, object]]) -> str:
    false = np.array([each["false"] for each in told], dtype=float)
    error = f"{false.std(ddof=1) / np.sqrt(len(false)):.2f}" if len(false) > 1 else "-"
    found = [each["found"] for each in told]
    delays = [day for each in found for day in each.values()]  # type: ignore[attr-defined]
    whole = sum(len(each) == len(MOVED) for each in found)  # type: ignore[arg-type]
    mean = np.mean([len(each) for each in found])  # type: ignore[arg-type]
    middle = f"{np.median(delays):.0f}" if delays else "-"
    return (
        f"| {name} | {len(told)} | {false.mean():.2f} ± {error} | {whole} of {len(told)} "
        f"| {mean:.1f} | {middle} |"
    )
