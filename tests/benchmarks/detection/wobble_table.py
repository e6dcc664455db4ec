"""Days that wobble: false alarms and delays where every day has a shock of its own, or a season.

Days of 500 labels; cohort = day. The sine's period is 100 days where the baseline of 50k labels
holds all of it, and 400 days where the baseline holds a quarter; its phase is random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.detection import contestants
from tests.benchmarks.detection.contest import Row
from tests.benchmarks.detection.main_table import (
    AFTER_CHANGE,
    FOUND_WITHIN,
    LONG,
    STREAMS,
    false_alarm_cell,
    head,
    lines_of,
)
from tests.benchmarks.detection.streams import (
    CHANGES,
    DAY_LABELS,
    Setting,
    ar_shocks,
    day_shocks,
    honest,
    season,
)
from tests.benchmarks.detection.summary import delay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.detection.results import Results
    from tests.benchmarks.detection.streams import Wobble

WOBBLES: dict[str, tuple[Wobble, int]] = {
    "day shock .2, baseline 2k": (day_shocks, 2000),
    "day shock .2, baseline 10k": (day_shocks, 10_000),
    "AR day shock .2, baseline 50k": (ar_shocks, 50_000),
    "season in the baseline of 50k": (season(100), 50_000),
    "quarter season in the baseline of 50k": (season(400), 50_000),
}
DELAYED_BY = ("+.5", "T 1.5")
SHOWN = ("1e6", "4e6")


def rows() -> Iterator[Row]:
    """Each wobble without a change and with each change."""
    for name, (wobble, n_baseline) in WOBBLES.items():
        for change in ("none", *DELAYED_BY):
            n_after = LONG if change == "none" else AFTER_CHANGE
            after = CHANGES.get(change, honest)
            setting = Setting(n_baseline, n_after, after=after, cohort=DAY_LABELS, wobble=wobble)
            spec = f"{n_baseline} {n_after} {name} {change} {DAY_LABELS}"
            title = f"{name}: {change}"
            yield Row("wobble", title, setting.draw, spec, (STREAMS,), contestants.ALL_MODES)


ROWS = tuple(rows())


def markdown(results: Results) -> Iterator[str]:
    """Both tables."""
    still = [row for row in ROWS if row.name.endswith(": none")]
    yield from ("", "#### Days that wobble: any alarm without a change", "")
    yield from head("in 200k labels ± s.e.; in 50k", list(WOBBLES))
    yield from lines_of(results, still, false_alarm_cell, SHOWN)
    for change in DELAYED_BY:
        changed = [row for row in ROWS if row.name.endswith(f": {change}")]
        yield from ("", f"#### Days that wobble: delay of {change} in labels", "")
        yield from head("median ± s.e. [share found in 5k]", list(WOBBLES))
        yield from lines_of(results, changed, lambda firsts: delay(firsts, FOUND_WITHIN), SHOWN)
