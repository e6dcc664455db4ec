"""All tables of the benchmark, and the page they are put on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.detection import (
    delayed_table,
    fleet_table,
    known_table,
    main_table,
    real_table,
    shuffled_table,
    targets,
    wobble_table,
)
from tests.benchmarks.detection.places import PAGE
from tests.benchmarks.ingest.report import write_between_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.detection.results import Results

TABLES = (
    main_table,
    wobble_table,
    delayed_table,
    fleet_table,
    real_table,
    shuffled_table,
    known_table,
)
ROWS = tuple(row for table in TABLES for row in table.ROWS)


def markdown(results: Results) -> Iterator[str]:
    """Every table, of all results that the present code has made."""
    yield from targets.markdown(results)
    for table in TABLES:
        yield from table.markdown(results)


def write_page(lines: Sequence[str]) -> None:
    """Put the tables in their place on the page."""
    write_between_marks(PAGE, lines, "detection")
