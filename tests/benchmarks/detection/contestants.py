"""All contestants of a stream of labels: this design, and what it is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.detection import (
    chi_square,
    driftfdr_package,
    ours,
    pit_monitor,
    river_signals,
    rolling_ece,
)
from tests.benchmarks.detection.contest import OURS, Contestant
from tests.benchmarks.detection.modes import MODES, chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.detection.contest import Judge
    from tests.benchmarks.detection.streams import Bools, Floats, Stream

    FirstAlarm = Callable[[Floats, Bools, int], int | None]

PACKAGE = "tests.benchmarks.detection"


def of_rows(first: FirstAlarm) -> Judge:
    """Judge of a stream's rows from a function of scores, outcomes and the baseline's length."""

    def judge(stream: Stream) -> dict[str, int | None]:
        return {"first": first(stream.score, stream.outcome, stream.n_baseline)}

    return judge


FIRST_ALARMS: dict[str, tuple[FirstAlarm, str]] = {
    "rolling ECE of 1000 > baseline + .05": (rolling_ece.above_baseline(1000, 0.05), "rolling_ece"),
    "rolling ECE of 2000, tuned on the truth": (rolling_ece.tuned(2000), "rolling_ece"),
    "river ADWIN on abs(y - p)": (
        river_signals.first_alarm(river_signals.adwin, river_signals.absolute),
        "river_signals",
    ),
    "river ADWIN on Brier": (
        river_signals.first_alarm(river_signals.adwin, river_signals.brier),
        "river_signals",
    ),
    "river PageHinkley on y - p": (
        river_signals.first_alarm(river_signals.page_hinkley, river_signals.residual),
        "river_signals",
    ),
    "chi-square per 2000, alpha spending": (chi_square.first_alarm, "chi_square"),
    "PITMonitor (arXiv 2603.13156)": (pit_monitor.first_alarm, "pit_monitor"),
    "driftfdr 0.1.1, e-CUSUM on Brier": (driftfdr_package.first_alarm, "driftfdr_package"),
}

RIVALS: tuple[Contestant, ...] = tuple(
    Contestant(
        name,
        of_rows(first),
        (f"{PACKAGE}.{module}",),
        missing=driftfdr_package.missing if module == "driftfdr_package" else lambda: None,
    )
    for name, (first, module) in FIRST_ALARMS.items()
)
ALL_MODES = tuple(
    Contestant(
        name,
        ours.judge_with(mode),
        (
            f"{PACKAGE}.ours",
            f"{PACKAGE}.modes" if mode is chosen else "monitor.core.detector.sequential",
        ),
        OURS,
    )
    for name, mode in MODES.items()
)
DESIGNS = ALL_MODES[:1]
"""The default alone: where no day wobbles, the other modes are not looked at."""
ALL: tuple[Contestant, ...] = (*DESIGNS, *RIVALS)
