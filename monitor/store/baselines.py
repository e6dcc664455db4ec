"""Baselines as they were pinned; the newest of a series holds.

Guarantees: a baseline is kept whole, cohort by cohort, so that verdicts can be given again.
Must never: change one that was pinned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from monitor.core.bins import N_BINS, N_SUMS, SUMS, BinCounts
from monitor.core.judging.series_state import IMPORTED, Baseline, Cohort
from monitor.core.judging.verdict_json import restart_from_json
from monitor.core.verdicts import as_plain
from monitor.store import tables as t
from monitor.store.identities import identity, identity_columns, series_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from monitor.core.claims import Series

Json = dict[str, object]


def insert_baseline(
    connection: Connection, baseline: Baseline, pinned_at: datetime, author: str
) -> None:
    """Pin a baseline; it holds from event time `pinned_at`."""
    connection.execute(
        insert(t.baseline).values(
            **identity(baseline.series),
            source=baseline.source,
            start_at=baseline.start_at,
            end_at=baseline.end_at,
            n_labelled=baseline.counts.n_labelled,
            cohorts=[_cohort_json(cohort) for cohort in baseline.cohorts],
            pinned_at=pinned_at,
            author=author,
            restart=None if baseline.restart is None else as_plain(baseline.restart),
        )
    )


def newest_baselines(
    connection: Connection, models: Sequence[str]
) -> dict[Series, tuple[Baseline, datetime]]:
    """Newest baseline of each series of some models, and the event time it holds from."""
    table = t.baseline
    rows = connection.execute(
        select(table)
        .ext(distinct_on(*identity_columns(table)))
        .where(table.c.model.in_(models))
        .order_by(*identity_columns(table), table.c.baseline_id.desc())
    ).all()
    return {series_of(row): (_baseline(row), row.pinned_at) for row in rows}


def imported_baselines(connection: Connection) -> dict[Series, datetime]:
    """Series whose newest baseline was imported, and the event time it holds from."""
    table = t.baseline
    newest = (
        select(*identity_columns(table), table.c.source, table.c.pinned_at)
        .ext(distinct_on(*identity_columns(table)))
        .order_by(*identity_columns(table), table.c.baseline_id.desc())
        .subquery()
    )
    rows = connection.execute(select(newest).where(newest.c.source == IMPORTED))
    return {series_of(row): row.pinned_at for row in rows}


def _cohort_json(cohort: Cohort) -> Json:
    bins = np.flatnonzero(cohort.counts.sums.any(axis=1))
    found: Json = {"start_s": cohort.start_s, "end_s": cohort.end_s, "bins": bins.tolist()}
    for i, name in enumerate(SUMS):
        found[name] = cohort.counts.sums[bins, i].tolist()
    return found


def _cohort(stored: Json) -> Cohort:
    sums = np.zeros((N_BINS, N_SUMS), dtype=np.int64)
    sums[np.array(stored["bins"], dtype=np.int64)] = np.array(
        [stored[name] for name in SUMS], dtype=np.int64
    ).T
    return Cohort(int(str(stored["start_s"])), int(str(stored["end_s"])), BinCounts(sums))


def _baseline(row: Row[tuple[object, ...]]) -> Baseline:
    cohorts = tuple(_cohort(c) for c in row.cohorts)
    restart = restart_from_json(row.restart) if row.restart else None
    return Baseline(series_of(row), row.source, cohorts, restart)
