"""The recorded days in random order: who alerts though nothing happens in time.

Whole days of a recorded series, rows and outcomes as they were, are put into a random order and
dated anew. Within a day all stays as it was, and so does how days differ; but no day is earlier
than another, so that an alert is false. A rival that is quick on the recorded order because it
takes every odd day for a change shows itself here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.detection import real_table
from tests.benchmarks.detection.contest import Row
from tests.benchmarks.detection.contestants import PACKAGE
from tests.benchmarks.detection.modes import MODES
from tests.benchmarks.detection.recorded import SERIES, STABLE, Recorded, missing, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.benchmarks.detection.contest import Contestant
    from tests.benchmarks.detection.results import Results

MOVING = tuple(name for name, (_, known) in SERIES.items() if known != STABLE)
DEFAULT = next(iter(MODES))
"""The product's default mode; the others are in the tables of the recorded order alone."""
CONTESTANTS = (
    *(
        each
        for each in (*real_table.OURS_ON_REAL, *real_table.DAYS_ON_REAL)
        if each.name.startswith(DEFAULT) and "mode" not in each.name
    ),
    *(each for each in real_table.RESTARTED if not each.name.startswith("driftfdr")),
)
"""driftfdr is left out for its time: minutes a replicate."""


def shuffled(stream: Recorded, rng: np.random.Generator) -> Recorded:
    """The same days in random order, one after the other from the first date on."""
    begins = np.flatnonzero(np.diff(stream.day, prepend=stream.day[0] - 1))
    sizes = np.diff(begins, append=len(stream.day))
    order = rng.permutation(len(begins))
    at = np.concatenate([np.arange(begins[k], begins[k] + sizes[k]) for k in order])
    day = np.repeat(stream.day[0] + np.arange(len(begins)), sizes[order])
    return replace(stream, score=stream.score[at], outcome=stream.outcome[at], day=day)


def _maker(name: str) -> Callable[[np.random.Generator], Recorded]:
    return lambda rng: shuffled(read(name), rng)


def _only_with_data(name: str) -> tuple[Contestant, ...]:
    return tuple(replace(each, missing=lambda: missing(name)) for each in CONTESTANTS)


ROWS = tuple(
    Row(
        "shuffled",
        name,
        _maker(name),
        f"{real_table.BASELINE} {real_table.BATCH} {real_table.A}",
        (__name__, f"{PACKAGE}.recorded"),
        _only_with_data(name),
    )
    for name in MOVING
)


def alerts(results: Results) -> dict[str, dict[str, list[int]]]:
    """Alerts of each replicate by contestant and series; an empty list where none was measured."""
    return {
        CONTESTANTS[which].name: {
            row.name: [len(one["alerts"]) for one in results.of(row, row.contestants[which])]
            for row in ROWS
        }
        for which in range(len(CONTESTANTS))
    }


def markdown(results: Results) -> Iterator[str]:
    """Mean alerts, and the share of orders with any."""
    yield from ("", "#### Real streams with their days in random order: alerts, all of them false")
    yield ""
    yield f"| mean alerts ± s.e. [orders with any] | orders | {' | '.join(MOVING)} |"
    yield "|---|--:|" + "--:|" * len(MOVING)
    for contestant, by_series in alerts(results).items():
        counts = sorted({len(found) for found in by_series.values()})
        runs = f"{counts[0]}-{counts[-1]}" if len(counts) > 1 else str(counts[0])
        cells = [_cell(found) for found in by_series.values()]
        yield f"| {contestant} | {runs} | {' | '.join(cells)} |"


def _cell(found: Sequence[int]) -> str:
    if not found:
        return "-"
    error = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else np.nan
    any_ = np.mean([n > 0 for n in found])
    return f"{np.mean(found):.2f} ± {error:.2f} [{any_:.2f}]"
