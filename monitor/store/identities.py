"""How rows name a series: model, version, claim and segment.

Must never: use a series' number; these names outlive it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.claims import Series

if TYPE_CHECKING:
    from sqlalchemy import Column, Row, Table


def identity(series: Series) -> dict[str, str]:
    """Columns that name a series."""
    return {
        "model": series.model,
        "version": series.version,
        "claim": series.claim,
        "segment": series.segment,
    }


def series_of(row: Row[tuple[object, ...]]) -> Series:
    """The series that a row names."""
    return Series(row.model, row.version, row.claim, row.segment)


def identity_columns(table: Table) -> tuple[Column[str], ...]:
    """Columns that name a series."""
    return (table.c.model, table.c.version, table.c.claim, table.c.segment)
