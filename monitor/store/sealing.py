"""Seal panes that are mature, and revise those that labels still changed.

Guarantees: revision 0 holds on-time labels alone; a later label makes a later revision, at most one
a REVISE_AFTER. Must never: write a revision again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, BigInteger, Text, bindparam, text

from monitor.core.bins import SUMS
from monitor.store.delays import seal_delays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

REVISE_AFTER = timedelta(days=1)
"""Event time that a revision of a sealed pane stands before the next one is written."""


def seal_panes(connection: Connection, now_at: Mapping[str, datetime]) -> int:
    """Seal and revise what each model's event time makes mature; returns how many panes."""
    bound = {"model": list(now_at), "now_at": [int(at.timestamp()) for at in now_at.values()]}
    sealed = connection.execute(
        _SEAL, bound | {"revise_after": REVISE_AFTER.total_seconds()}
    ).rowcount
    seal_delays(connection, now_at)
    return sealed


_SUM_NAMES = ", ".join(SUMS)
_ARRAYS = ", ".join(
    f"array_agg({name} ORDER BY bin) AS {as_name}"
    for name, as_name in (("bin", "bins"), *((name, name) for name in SUMS))
)
_ADDED = ", ".join(f"sum({name})::bigint AS {name}" for name in SUMS)

# Each series is asked for its mature panes by the index, so that what waits for its labels costs
# nothing; subqueries that are sorted or aggregated are not joined in another way, which the
# planner, who knows little of tables that are filled and emptied all day, would do badly.
#
# A pane that only appears after its maturity was judged is sealed at that later time, so that the
# cohorts judged before stay what they were. A pane sealed or revised here is done; one that waits
# for REVISE_AFTER stays touched.
_SEAL = text(
    f"""
    WITH mature AS MATERIALIZED (
        SELECT p.row, s.series_id, p.pane_at, to_timestamp(n.now_s) AS now_at,
               p.pane_at + s.until_mature AS mature_at, w.judged_through_at,
               o.revision, o.sealed_at
        FROM (SELECT series_id, model, make_interval(secs => pane_s + label_horizon_s)
                     AS until_mature
              FROM calmon.series) s
        JOIN unnest(:model, :now_at) AS n(model, now_s) ON n.model = s.model
        JOIN calmon.model m ON m.name = s.model
        LEFT JOIN calmon.watch_progress w ON w.model_id = m.model_id
        CROSS JOIN LATERAL (
            SELECT t.ctid AS row, t.pane_at FROM calmon.touched_pane t
            WHERE t.series_id = s.series_id
              AND t.pane_at <= to_timestamp(n.now_s) - s.until_mature
            ORDER BY t.pane_at
        ) p
        LEFT JOIN LATERAL (
            SELECT o.revision, o.sealed_at FROM calmon.sealed_pane o
            WHERE o.series_id = s.series_id AND o.pane_at = p.pane_at
            ORDER BY o.revision DESC LIMIT 1
        ) o ON true
    ), known AS MATERIALIZED (
        SELECT m.row, m.series_id, m.pane_at, 0 AS revision,
               CASE WHEN m.mature_at <= m.judged_through_at THEN m.now_at ELSE m.mature_at END
                   AS sealed_at, b.*
        FROM mature m CROSS JOIN LATERAL (
            SELECT {_ARRAYS} FROM calmon.bin_count c
            WHERE c.series_id = m.series_id AND c.pane_at = m.pane_at AND NOT c.late
            HAVING count(*) > 0
        ) b
        WHERE m.revision IS NULL
        UNION ALL
        SELECT m.row, m.series_id, m.pane_at, m.revision + 1, m.now_at, b.*
        FROM mature m CROSS JOIN LATERAL (
            SELECT {_ARRAYS} FROM (
                SELECT c.bin, {_ADDED} FROM calmon.bin_count c
                WHERE c.series_id = m.series_id AND c.pane_at = m.pane_at GROUP BY c.bin
            ) added
            HAVING count(*) > 0
        ) b
        WHERE m.now_at >= m.sealed_at + make_interval(secs => :revise_after)
    ), untouched AS (
        DELETE FROM calmon.touched_pane WHERE ctid = ANY(ARRAY(SELECT row FROM known))
    )
    INSERT INTO calmon.sealed_pane (series_id, pane_at, revision, sealed_at, bins, {_SUM_NAMES})
    SELECT series_id, pane_at, revision, sealed_at, bins, {_SUM_NAMES}
    FROM known ORDER BY revision, series_id, pane_at
    """  # noqa: S608  # the names are this program's own
).bindparams(
    bindparam("model", type_=ARRAY(Text)),
    bindparam("now_at", type_=ARRAY(BigInteger)),
)
