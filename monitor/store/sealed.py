"""Panes as they were judged, read back by the hundred thousand.

Guarantees: revision 0 alone, and only of panes that were sealed when their cohort was judged.
Must never: change anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, TIMESTAMP, BigInteger, Integer, bindparam, text

from monitor.core.bins import SUMS
from monitor.core.panes import Cells, cell_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class SealedSpan:
    """Which sealed panes of a series are asked for: prediction time in [start_at, end_at).

    A pane that was sealed after its cohort of cohort_s seconds was mature, horizon_s after its
    end, is left out: the cohort was judged without it.
    """

    series_id: int
    start_at: datetime
    end_at: datetime
    cohort_s: int
    horizon_s: int


def sealed_cells(connection: Connection, spans: Sequence[SealedSpan]) -> Cells:
    """On-time cells of the judged revision of the panes asked for."""
    bound = {
        "series": [span.series_id for span in spans],
        "start_at": [span.start_at for span in spans],
        "end_at": [span.end_at for span in spans],
        "cohort_s": [span.cohort_s for span in spans],
        "horizon_s": [span.horizon_s for span in spans],
    }
    row = connection.execute(_SEALED, bound).one()
    if row.series is None:
        return Cells.empty()
    n = np.array(row.n, dtype=np.int64)
    series = np.array(row.series, dtype=np.int32)
    pane_start = np.array(row.pane_s, dtype=np.int64)
    bins = np.frombuffer(row.bins, dtype=_SENT_SMALL)["value"].astype(np.int64)
    sums = [np.frombuffer(getattr(row, name), dtype=_SENT_BIG)["value"] for name in SUMS]
    late = np.zeros(len(bins), dtype=np.bool_)
    key = cell_key(np.repeat(series, n), np.repeat(pane_start, n), late, bins)
    return Cells.of(key, np.column_stack(sums).astype(np.int64))


_SENT_SMALL = np.dtype([("length", ">i4"), ("value", ">i2")])
_SENT_BIG = np.dtype([("length", ">i4"), ("value", ">i8")])
"""One element of an array as Postgres sends it; 20 bytes come before the first (array_send)."""


def _sent(name: str) -> str:
    return f"string_agg(substring(array_send(p.{name}) FROM 21), ''::bytea) AS {name}"


# The panes of a span come from the index, in a subquery that is sorted so that the planner keeps to
# it: it would read the whole of a table that grows every day.
_SEALED = text(
    f"""
    SELECT array_agg(r.series_id) AS series,
           array_agg(extract(epoch FROM p.pane_at)::bigint) AS pane_s,
           array_agg(cardinality(p.bins)) AS n,
           {", ".join(_sent(name) for name in ("bins", *SUMS))}
    FROM unnest(:series, :start_at, :end_at, :cohort_s, :horizon_s)
         AS r(series_id, start_at, end_at, cohort_s, horizon_s)
    CROSS JOIN LATERAL (
        SELECT o.pane_at, o.sealed_at, o.bins, {", ".join(f"o.{name}" for name in SUMS)}
        FROM calmon.sealed_pane o
        WHERE o.series_id = r.series_id AND o.pane_at >= r.start_at AND o.pane_at < r.end_at
          AND o.revision = 0
        ORDER BY o.pane_at
    ) p
    WHERE p.sealed_at
          <= date_bin(make_interval(secs => r.cohort_s), p.pane_at, to_timestamp(0))
             + make_interval(secs => r.cohort_s + r.horizon_s)
    """  # noqa: S608  # the names are this program's own
).bindparams(
    bindparam("series", type_=ARRAY(Integer)),
    bindparam("start_at", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("end_at", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("cohort_s", type_=ARRAY(BigInteger)),
    bindparam("horizon_s", type_=ARRAY(BigInteger)),
)
