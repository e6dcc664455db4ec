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
    revised = connection.execute(
        _REVISE, bound | {"revise_after": REVISE_AFTER.total_seconds()}
    ).rowcount
    sealed = connection.execute(_SEAL, bound).rowcount
    connection.execute(_UNTOUCH)
    seal_delays(connection, now_at)
    return sealed + revised


_MATURE = """
    SELECT p.series_id, p.pane_at, to_timestamp(n.now_s) AS now_at,
           p.pane_at + make_interval(secs => s.pane_s + s.label_horizon_s) AS mature_at,
           (SELECT max(revision) FROM calmon.sealed_pane o
            WHERE o.series_id = p.series_id AND o.pane_at = p.pane_at) AS revision,
           (SELECT max(sealed_at) FROM calmon.sealed_pane o
            WHERE o.series_id = p.series_id AND o.pane_at = p.pane_at) AS sealed_at,
           w.judged_through_at
    FROM calmon.touched_pane p
    JOIN calmon.series s USING (series_id)
    JOIN unnest(:model, :now_at) AS n(model, now_s) ON n.model = s.model
    JOIN calmon.model m ON m.name = s.model
    LEFT JOIN calmon.watch_progress w ON w.model_id = m.model_id
    WHERE p.pane_at + make_interval(secs => s.pane_s + s.label_horizon_s)
          <= to_timestamp(n.now_s)
"""

_NOW_AT = (
    bindparam("model", type_=ARRAY(Text)),
    bindparam("now_at", type_=ARRAY(BigInteger)),
)

_SUM_NAMES = ", ".join(SUMS)
_ARRAYS = ", ".join(f"array_agg({name} ORDER BY bin)" for name in SUMS)
_ADDED = ", ".join(f"sum({name})::bigint AS {name}" for name in SUMS)

# A pane that only appears after its maturity was judged is sealed at that later time, so that the
# cohorts judged before stay what they were.
_SEAL = text(
    f"""
    INSERT INTO calmon.sealed_pane (series_id, pane_at, revision, sealed_at, bins, {_SUM_NAMES})
    SELECT b.series_id, b.pane_at, 0,
           CASE WHEN m.mature_at <= m.judged_through_at THEN m.now_at ELSE m.mature_at END,
           array_agg(bin ORDER BY bin), {_ARRAYS}
    FROM ({_MATURE}) m JOIN calmon.bin_count b USING (series_id, pane_at)
    WHERE m.revision IS NULL AND NOT b.late
    GROUP BY b.series_id, b.pane_at, m.mature_at, m.judged_through_at, m.now_at
    """  # noqa: S608  # the names are this program's own
).bindparams(*_NOW_AT)

_REVISE = text(
    f"""
    INSERT INTO calmon.sealed_pane (series_id, pane_at, revision, sealed_at, bins, {_SUM_NAMES})
    SELECT series_id, pane_at, revision + 1, now_at, array_agg(bin ORDER BY bin), {_ARRAYS}
    FROM (
        SELECT b.series_id, b.pane_at, m.revision, m.now_at, b.bin, {_ADDED}
        FROM ({_MATURE}) m JOIN calmon.bin_count b USING (series_id, pane_at)
        WHERE m.now_at >= m.sealed_at + make_interval(secs => :revise_after)
        GROUP BY b.series_id, b.pane_at, m.revision, m.now_at, b.bin
    ) known
    GROUP BY series_id, pane_at, revision, now_at
    """  # noqa: S608  # the names are this program's own
).bindparams(*_NOW_AT)

# A pane sealed in this transaction, or revised, is done; one that waits for REVISE_AFTER stays.
_UNTOUCH = text(
    """
    DELETE FROM calmon.touched_pane p
    USING calmon.sealed_pane o
    WHERE o.series_id = p.series_id AND o.pane_at = p.pane_at
      AND o.recorded_at >= transaction_timestamp()
    """
)
