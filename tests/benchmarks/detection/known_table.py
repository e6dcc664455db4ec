"""The known changes: days to the next alert, and who can be as fast and as quiet.

Days to the next alert mean something only beside how often a contestant alerts when nothing
happens: one that alerts every week has an alert within days of any date. So a rival counts for a
series if, with the days of that series in random order, it alerts no more often than this design.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.detection import informed, real_table, shuffled_table
from tests.benchmarks.detection.contest import Contestant, Row
from tests.benchmarks.detection.contestants import PACKAGE
from tests.benchmarks.detection.recorded import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.detection.contest import Result
    from tests.benchmarks.detection.informed import Known
    from tests.benchmarks.detection.recorded import Recorded
    from tests.benchmarks.detection.results import Results

OURS = f"{shuffled_table.DEFAULT}, days, shift > .02"
"""What the product does by default: days as cohorts, evidence and a shift beyond .02."""
RIVALS = tuple(each.name for each in real_table.RESTARTED)
LATER = 4 / 3
"""As late as may be, against a rival that counts."""


def _row(known: Known) -> Row:
    def make(_: np.random.Generator) -> Recorded:
        return known.read()

    observer = Contestant(
        "an observer told of the change",
        partial(informed.judge, known),
        (f"{PACKAGE}.informed",),
        missing=partial(missing, known.series),
    )
    name = f"{known.series} {known.at}"
    return Row(
        "informed",
        name,
        make,
        f"{known.before} {known.until}",
        (f"{PACKAGE}.recorded",),
        (observer,),
        most_runs=1,
    )


ROWS = tuple(_row(known) for known in informed.PIECES)


def markdown(results: Results) -> Iterator[str]:
    """All contestants' days, then one line a known change."""
    by_contestant = real_table.alerts(results)
    yield from ("", "#### Real streams: days from a known change to the next alert", "")
    changes = " | ".join(f"{known.series} {known.at}" for known in informed.PIECES)
    yield f"| days (before the series' next one) | {changes} |"
    yield "|---|" + "--:|" * len(informed.PIECES)
    for contestant, by_series in by_contestant.items():
        cells = [_wait(by_series, known) for known in informed.PIECES]
        yield f"| {contestant} | {' | '.join(cells)} |"
    yield from ("", "#### Known changes: this design against rivals that are as quiet", "")
    yield (
        "| days to the next alert | wobble of days, logits | an observer told of the change | "
        "the same, as if days did not wobble | ADWIN on abs(y - p) | this design, by its rule | "
        "fastest rival as quiet on shuffled days | a third later? |"
    )
    yield "|---|--:|--:|--:|--:|--:|---|---|"
    excited = shuffled_table.alerts(results)
    for row, known in zip(ROWS, informed.PIECES, strict=True):
        told = results.of(row, row.contestants[0])
        observed: Result = told[0] if told else {}
        waits = {name: _wait(by_series, known) for name, by_series in by_contestant.items()}
        quiet = [name for name in RIVALS if is_as_quiet(excited, name, known.series)]
        best = min(quiet, key=lambda name: _days(waits.get(name, "")), default=None)
        adwin = waits.get("river ADWIN on abs(y - p)", "")
        yield (
            f"| {row.name} | {observed.get('sigma', '')} | {_told(observed, 'days')} | "
            f"{_told(observed, 'days without wobble')} | {adwin} | {waits.get(OURS, '')} | "
            f"{_named(best, waits)} | {verdict(waits.get(OURS, ''), best, waits)} |"
        )


def _wait(by_series: dict[str, list[str] | None], known: Known) -> str:
    """Days from a change to the first alert from then on; - if the next change is nearer."""
    others = [one.at for one in informed.PIECES if one.series == known.series]
    until = min((at for at in others if at > known.at), default="9999")
    found = by_series[known.series]
    if found is None:
        return ""
    alert = next((one for one in found if known.at <= one < until), None)
    if alert is None:
        return "-"
    return str((date.fromisoformat(alert) - date.fromisoformat(known.at)).days)


def is_as_quiet(excited: dict[str, dict[str, list[int]]], name: str, series: str) -> bool:
    """Whether a rival alerts no more often than this design on a series' shuffled days."""
    ours, theirs = excited[OURS][series], excited.get(name, {}).get(series, [])
    return bool(ours and theirs) and _mean(theirs) <= _mean(ours)


def _mean(found: list[int]) -> float:
    return sum(found) / len(found)


def _days(told: str) -> float:
    return float(told) if told.isdigit() else np.inf


def _told(observed: Result, key: str) -> str:
    if key not in observed:
        return ""
    return "-" if observed[key] is None else str(observed[key])


def _named(best: str | None, waits: dict[str, str]) -> str:
    if best is None:
        return "none is"
    return f"{waits[best]}, {best}" if waits[best].isdigit() else "none finds it"


def verdict(ours: str, best: str | None, waits: dict[str, str]) -> str:
    """Whether this design is later by more than a third."""
    theirs = np.inf if best is None else _days(waits[best])
    if not np.isfinite(theirs):
        return "no" if ours.isdigit() else "nor this design"
    return "no" if _days(ours) <= LATER * theirs else "yes"
