"""The main table: false alarms on five nulls at three baselines, and delays of seven changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.detection import contestants
from tests.benchmarks.detection.contest import OURS, Row
from tests.benchmarks.detection.ours import ALARM, THRESHOLDS
from tests.benchmarks.detection.streams import CHANGES, NULLS, Setting
from tests.benchmarks.detection.summary import delay, share, share_alone, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.benchmarks.detection.contest import Contestant
    from tests.benchmarks.detection.results import Results

STREAMS = "tests.benchmarks.detection.streams"
BASELINES = (10_000, 2000, 500)
LONG, SHORT = 200_000, 50_000
AFTER_CHANGE = 20_000
FOUND_WITHIN = 5000


def null_rows() -> Iterator[Row]:
    """Every null at every baseline."""
    for n_baseline in BASELINES:
        for name, (truth, centre) in NULLS.items():
            setting = Setting(n_baseline, LONG, truth, truth, centre)
            spec = f"{n_baseline} {LONG} {name} {setting.cohort}"
            title = f"{name} {n_baseline}"
            yield Row("nulls", title, setting.draw, spec, (STREAMS,), contestants.ALL)


def change_rows() -> Iterator[Row]:
    """Every change behind a calibrated baseline of 10k labels."""
    for name, after in CHANGES.items():
        setting = Setting(BASELINES[0], AFTER_CHANGE, after=after)
        spec = f"{setting.n_baseline} {AFTER_CHANGE} {name} {setting.cohort}"
        yield Row("delays", name, setting.draw, spec, (STREAMS,), contestants.ALL)


NULL_ROWS, CHANGE_ROWS = tuple(null_rows()), tuple(change_rows())
ROWS = (*NULL_ROWS, *CHANGE_ROWS)


def lines_of(
    results: Results,
    rows: Sequence[Row],
    cell: Callable[[list[int | None]], str],
    thresholds: Iterable[str] = THRESHOLDS,
) -> Iterator[str]:
    """A line for each contestant and threshold, a cell for each row."""
    for contestant in rows[0].contestants:
        for label, key in variants(contestant, thresholds):
            firsts = [[r[key] for r in results.of(row, contestant)] for row in rows]
            counts = {len(found) for found in firsts}
            runs = "-".join(str(n) for n in sorted({min(counts), max(counts)}))
            cells = "".join(f" {cell(found)} |" for found in firsts)
            yield f"| {contestant.name}{label} | {runs} |{cells}"


def variants(contestant: Contestant, thresholds: Iterable[str]) -> list[tuple[str, str]]:
    """Suffix of the name, and where the result stands."""
    if contestant.who == OURS:
        return [
            (f", A = {key}{', shift > .02' if suffix else ''}", key + suffix)
            for suffix in ("", ALARM)
            for key in thresholds
        ]
    return [("", "first")]


def head(first: str, columns: Sequence[str]) -> list[str]:
    """Head of a table with a line for each contestant."""
    return [
        f"| {first} | runs |" + "".join(f" {column} |" for column in columns),
        "|---|--:|" + "---|" * len(columns),
    ]


def false_alarm_cell(firsts: list[int | None]) -> str:
    """Share with an alarm in the long run, and in the short one."""
    if not firsts:
        return "-"
    return f"{share(within(firsts, LONG))}; {share_alone(within(firsts, SHORT))}"


def markdown(results: Results) -> Iterator[str]:
    """The section's tables."""
    for n_baseline in BASELINES:
        rows = [row for row in NULL_ROWS if row.name.endswith(f" {n_baseline}")]
        yield from ("", f"#### Any alarm without a change, baseline of {n_baseline} labels", "")
        yield from head("in 200k labels ± s.e.; in 50k", list(NULLS))
        yield from lines_of(results, rows, false_alarm_cell)
    yield from ("", "#### Delay in labels, change behind a baseline of 10000 labels", "")
    yield from head("median ± s.e. [share found in 5k]", list(CHANGES))
    yield from lines_of(results, CHANGE_ROWS, lambda firsts: delay(firsts, FOUND_WITHIN))
