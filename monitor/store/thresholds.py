"""Thresholds of a fleet as they were set, and what its rule named.

Guarantees: rows are only added, each once for a series and an event time. Must never: be written
outside the transaction of the verdicts that were given under them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from monitor.core.judging.fleet import Threshold
from monitor.core.verdicts import BudgetShare
from monitor.store import tables as t
from monitor.store.identities import identity, series_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from monitor.core.claims import Series


@dataclass(frozen=True, slots=True)
class Naming:
    """A series that was named below its threshold, of which it had reached `of_threshold`."""

    series: Series
    named_at: datetime
    of_threshold: float


def insert_thresholds(connection: Connection, thresholds: Sequence[Threshold]) -> None:
    """Add thresholds."""
    rows = [
        {
            **identity(one.series),
            "effective_at": one.effective_at,
            "alarm_at": one.alarm_at,
            "weight": one.weight,
            "labels_per_month": one.share.labels_per_month,
            "false_alarms_per_month": one.share.false_alarms_per_month,
            "fleet_size": one.share.series,
            "budget": one.share.budget,
            "rule": one.share.rule,
        }
        for one in thresholds
    ]
    if rows:
        connection.execute(insert(t.threshold), rows)


def insert_namings(connection: Connection, namings: Sequence[Naming]) -> None:
    """Add namings."""
    rows = [
        {**identity(one.series), "named_at": one.named_at, "of_threshold": one.of_threshold}
        for one in namings
    ]
    if rows:
        connection.execute(insert(t.fleet_naming), rows)


def thresholds(connection: Connection) -> list[Threshold]:
    """Every threshold that was set, oldest first."""
    order = (t.threshold.c.effective_at, t.threshold.c.threshold_id)
    return [_threshold(row) for row in connection.execute(select(t.threshold).order_by(*order))]


def namings(connection: Connection) -> list[Naming]:
    """Everything that was named, oldest first."""
    found = connection.execute(select(t.fleet_naming).order_by(t.fleet_naming.c.naming_id))
    return [Naming(series_of(row), row.named_at, row.of_threshold) for row in found]


def _threshold(row: Row[tuple[object, ...]]) -> Threshold:
    share = BudgetShare(
        budget=row.budget,
        rule=row.rule,
        series=row.fleet_size,
        labels_per_month=row.labels_per_month,
        false_alarms_per_month=row.false_alarms_per_month,
        since_at=row.effective_at,
    )
    return Threshold(series_of(row), row.effective_at, row.alarm_at, row.weight, share)
