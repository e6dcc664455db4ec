"""The targets beside what was measured: met, missed, or not to be told apart with so few runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.detection import delayed_table, fleet_table, main_table, wobble_table
from tests.benchmarks.detection.contest import OURS
from tests.benchmarks.detection.main_table import BASELINES, FOUND_WITHIN, LONG
from tests.benchmarks.detection.ours import ALARM
from tests.benchmarks.detection.summary import median, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.detection.contest import Contestant, Row
    from tests.benchmarks.detection.results import Results

NULL_SHARE = 0.05
MEDIANS = {
    "T 1.3": 2000,
    "T 1.5": 800,
    "T 2": 250,
    "+.3": 2000,
    "+.5": 800,
    "+1": 250,
    "local": 2300,
}
SURE = ("T 1.5", "T 2", "+.5", "+1")
SURE_SHARE = 0.99
COLUMNS = {
    f"{key}{suffix}": f"A = {key}{', shift > .02' if suffix else ''}"
    for suffix in ("", ALARM)
    for key in ("1e6", "4e6")
}
WOBBLE_SHARES = {
    "day shock .2, baseline 2k": 0.05,
    "day shock .2, baseline 10k": 0.05,
    "AR day shock .2, baseline 50k": 0.20,
    "season in the baseline of 50k": 0.10,
}
DELAYED = (
    "days at age 7 d, complete baseline, null offset",
    "days at age 7 d, baseline at age 7 d",
)
ERRORS = 2.0
"""A share is told apart from its limit where it is so many standard errors away."""
ENOUGH = 3
"""None in n excludes a share of 3 / n or more with 95 %."""


def markdown(results: Results) -> Iterator[str]:
    """One line a target."""
    yield from ("", "#### Targets", "")
    yield f"| target | at most | {' | '.join(COLUMNS.values())} |"
    yield "|---|--:|" + "---|" * len(COLUMNS)
    design = main_table.ROWS[0].contestants[0]
    for n_baseline in BASELINES:
        rows = [row for row in main_table.NULL_ROWS if row.name.endswith(f" {n_baseline}")]
        name = f"any alarm in 200k labels, five nulls together, baseline {n_baseline}"
        yield _shares(results, name, rows, design, NULL_SHARE)
    for wobble, limit in WOBBLE_SHARES.items():
        rows = [row for row in wobble_table.ROWS if row.name == f"{wobble}: none"]
        default, hidden, chosen = rows[0].contestants
        for mode in (hidden if limit > NULL_SHARE else default, chosen):
            yield _shares(results, f"the same, {wobble}: {mode.name}", rows, mode, limit)
    for contestant in delayed_table.ROWS[0].contestants:
        if contestant.name in DELAYED:
            name = f"any alarm in 400 days, delayed labels: {contestant.name}"
            yield _shares(results, name, delayed_table.ROWS, contestant, NULL_SHARE)
    for row in main_table.CHANGE_ROWS:
        yield _medians(results, row, design)
    for row in main_table.CHANGE_ROWS:
        if row.name in SURE:
            yield _missed(results, row, design)
    yield from _fleet(results)


def _firsts(
    results: Results, rows: Sequence[Row], contestant: Contestant, key: str
) -> list[int | None]:
    return [result[key] for row in rows for result in results.of(row, contestant)]


def _shares(
    results: Results, name: str, rows: Sequence[Row], contestant: Contestant, limit: float
) -> str:
    cells = []
    for key in COLUMNS:
        held = within(_firsts(results, rows, contestant, key), LONG)
        cells.append(_share_cell(held, limit))
    return f"| {name} | {limit:.2f} | {' | '.join(cells)} |"


def _share_cell(held: Sequence[bool], limit: float) -> str:
    if not held:
        return "-"
    p, n = float(np.mean(held)), len(held)
    error = float(np.sqrt(limit * (1 - limit) / n))
    if p <= limit:
        word = "met" if n * limit >= ENOUGH else "not exceeded, few runs"
    else:
        word = "missed" if p > limit + ERRORS * error else "above, within noise"
    return f"{p:.3f} of {n}: {word}"


def _medians(results: Results, row: Row, contestant: Contestant) -> str:
    cells = []
    for key in COLUMNS:
        firsts = _firsts(results, [row], contestant, key)
        value = median(firsts)[0] if firsts else np.nan
        word = "met" if value <= MEDIANS[row.name] else "missed"
        cells.append(f"{value:.0f}: {word}" if firsts else "-")
    return f"| median delay of {row.name}, labels | {MEDIANS[row.name]} | {' | '.join(cells)} |"


def _missed(results: Results, row: Row, contestant: Contestant) -> str:
    cells = []
    for key in COLUMNS:
        found = within(_firsts(results, [row], contestant, key), FOUND_WITHIN)
        cells.append(_share_cell([not each for each in found], 1 - SURE_SHARE))
    return f"| {row.name} not found within 5k labels | .01 | {' | '.join(cells)} |"


def _fleet(results: Results) -> Iterator[str]:
    """The fleet has thresholds of its own, so that one figure stands for both."""
    row = fleet_table.ROWS[0]
    known = [
        result["thresholds"]
        for contestant in row.contestants
        if contestant.who == OURS
        for result in results.of(row, contestant)
    ]
    if not known:
        return
    false = float(np.mean([each["false"] for each in known]))
    whole = sum(len(each["found"]) == len(fleet_table.MOVED) for each in known)
    word = "met" if false <= 1 else "missed"
    none = " |" * (len(COLUMNS) - 1)
    name = "false names a month in a fleet of 500"
    yield f"| {name} | 1 | {false:.2f} in {len(known)}: {word} |{none}"
    word = "met" if whole == len(known) else "missed"
    part = len(known) - whole
    name = "fleets in which not all 5 were found"
    yield f"| {name} | 0 | {part} of {len(known)}: {word} |{none}"
