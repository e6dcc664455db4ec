"""Delays of labels on their way to being judged: fold the deltas, seal what is mature, read it.

Guarantees: delays are folded with the bins of the same delta, in one transaction, so each is added
once; a pane's sealed delays never change: the first row holds the labels within the label horizon,
the second all within the correction horizon. Must never: seal before the model's streams were read
as far as that; the caller's `now` says how far that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Boolean, Integer, Text, bindparam, select, text

from monitor.core.counting.delay_cells import DelayCells, delay_key
from monitor.core.delays import BUCKETS
from monitor.store import tables as t
from monitor.store.engine import transaction
from monitor.store.packing import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine, Row

_OVER_S = int(BUCKETS[-1]) + 1
"""A delay beyond the longest bucket."""
_EDGES_MS: NDArray[np.int64] = np.append(BUCKETS, _OVER_S) * 1000


@dataclass(frozen=True, slots=True)
class SealedDelays:
    """Sealed delays, and by (series, pane start) when each pane was sealed, epoch seconds.

    complete: of labels within the correction horizon, all as on-time cells; else of those within
    the label horizon.
    """

    cells: DelayCells
    sealed_s: dict[tuple[int, int], int]


def delay_columns(cells: DelayCells) -> dict[str, NDArray[np.int64]]:
    """Delays as columns of a delta's payload."""
    return {"delay_key": cells.key, "delay_n": cells.n}


def delays_in(columns: Mapping[str, NDArray[np.generic]]) -> DelayCells:
    """Delays in a delta's columns; none in one that was written before delays were counted."""
    if "delay_key" not in columns:
        return DelayCells.empty()
    return DelayCells(
        columns["delay_key"].astype(np.int64, copy=False),
        columns["delay_n"].astype(np.int64, copy=False),
    )


def add_delays(connection: Connection, cells: DelayCells) -> None:
    """Add delays to what is counted, in the caller's transaction."""
    if not len(cells):
        return
    columns = {
        "series_id": cells.series.tolist(),
        "pane_s": cells.pane_start.tolist(),
        "late": cells.late.tolist(),
        "outcome": cells.outcome.tolist(),
        "bucket": cells.bucket.tolist(),
        "n": cells.n.tolist(),
    }
    connection.execute(_ADD, columns)
    connection.execute(_TOUCH, {name: columns[name] for name in ("series_id", "pane_s")})


def seal_delays(connection: Connection, now_at: Mapping[str, datetime]) -> None:
    """Seal the delays that are mature at each model's event time, in the caller's transaction."""
    bound = {"model": list(now_at), "now_at": [int(at.timestamp()) for at in now_at.values()]}
    for complete in (False, True):
        connection.execute(_SEAL, bound | {"complete": complete})
    connection.execute(_UNTOUCH, bound)


class DelayStore:
    """Postgres as those who ask for delays see it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sealed(
        self, series: Sequence[int], start_at: datetime, end_at: datetime, *, complete: bool
    ) -> SealedDelays:
        """Sealed delays of the panes of these series that start in [start_at, end_at)."""
        table = t.sealed_delay
        with transaction(self._engine) as connection:
            rows = connection.execute(
                select(table).where(
                    table.c.series_id.in_(series),
                    table.c.complete == complete,
                    table.c.pane_at >= start_at,
                    table.c.pane_at < end_at,
                )
            ).all()
        sealed_s = {
            (row.series_id, int(row.pane_at.timestamp())): int(row.sealed_at.timestamp())
            for row in rows
        }
        return SealedDelays(DelayCells.merge(_sealed_cells(row) for row in rows), sealed_s)

    def known(self, series: Sequence[int]) -> DelayCells:
        """Everything known now of these series, the deltas not yet folded included."""
        table = t.delay_count
        with transaction(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.series_id.in_(series))).all()
            waiting = connection.execute(select(t.bin_delta.c.payload)).scalars().all()
        folded = DelayCells.of(
            _keys(
                np.array([row.series_id for row in rows], dtype=np.int32),
                np.array([int(row.pane_at.timestamp()) for row in rows], dtype=np.int64),
                np.array([row.late for row in rows], dtype=np.bool_),
                np.array([row.outcome for row in rows], dtype=np.bool_),
                np.array([row.bucket for row in rows], dtype=np.int64),
            ),
            np.array([row.n for row in rows], dtype=np.int64),
        )
        merged = DelayCells.merge([folded, *(delays_in(unpack(payload)) for payload in waiting)])
        return merged.take(np.isin(merged.series, series))


def _keys(
    series: NDArray[np.int32],
    pane_start: NDArray[np.int64],
    late: NDArray[np.bool_],
    outcome: NDArray[np.bool_],
    bucket: NDArray[np.int64],
) -> NDArray[np.int64]:
    return delay_key(series, pane_start, late, outcome, _EDGES_MS[bucket])


def _sealed_cells(row: Row[tuple[object, ...]]) -> DelayCells:
    n = len(row.buckets)
    return DelayCells.of(
        _keys(
            np.full(n, row.series_id, dtype=np.int32),
            np.full(n, int(row.pane_at.timestamp()), dtype=np.int64),
            np.zeros(n, dtype=np.bool_),
            np.array(row.outcomes, dtype=np.bool_),
            np.array(row.buckets, dtype=np.int64),
        ),
        np.array(row.n_labels, dtype=np.int64),
    )


_ADD = text(
    """
    INSERT INTO calmon.delay_count (series_id, pane_at, late, outcome, bucket, n)
    SELECT series_id, to_timestamp(pane_s), late, outcome, bucket, n
    FROM unnest(:series_id, :pane_s, :late, :outcome, :bucket, :n)
         AS c(series_id, pane_s, late, outcome, bucket, n)
    ON CONFLICT (series_id, pane_at, late, outcome, bucket)
    DO UPDATE SET n = delay_count.n + excluded.n
    """
).bindparams(
    bindparam("series_id", type_=ARRAY(Integer)),
    bindparam("pane_s", type_=ARRAY(BigInteger)),
    bindparam("late", type_=ARRAY(Boolean)),
    bindparam("outcome", type_=ARRAY(Integer)),
    bindparam("bucket", type_=ARRAY(Integer)),
    bindparam("n", type_=ARRAY(BigInteger)),
)

# A delay's panes are whole days where the counts' panes divide a day: core/counting/delay_cells.py.
_PANE_S = "CASE WHEN 86400 % s.pane_s = 0 THEN 86400 ELSE s.pane_s END"

_TOUCH = text(
    f"""
    INSERT INTO calmon.touched_delay (series_id, pane_at, due_at)
    SELECT DISTINCT c.series_id, to_timestamp(c.pane_s),
           to_timestamp(c.pane_s + {_PANE_S} + s.label_horizon_s)
    FROM unnest(:series_id, :pane_s) AS c(series_id, pane_s)
    JOIN calmon.series s USING (series_id)
    ON CONFLICT DO NOTHING
    """  # noqa: S608  # its parts are this program's own
).bindparams(
    bindparam("series_id", type_=ARRAY(Integer)), bindparam("pane_s", type_=ARRAY(BigInteger))
)

_NOW_AT = (
    bindparam("model", type_=ARRAY(Text)),
    bindparam("now_at", type_=ARRAY(BigInteger)),
)

_DUE = f"""
    SELECT p.series_id, p.pane_at, to_timestamp(n.now_s) AS now_at, w.judged_through_at,
           p.pane_at + make_interval(secs => {_PANE_S} + s.label_horizon_s) AS on_time_at,
           p.pane_at + make_interval(secs => {_PANE_S} + s.correction_horizon_s) AS complete_at
    FROM calmon.touched_delay p
    JOIN calmon.series s USING (series_id)
    JOIN unnest(:model, :now_at) AS n(model, now_s) ON n.model = s.model
    JOIN calmon.model m ON m.name = s.model
    LEFT JOIN calmon.watch_progress w ON w.model_id = m.model_id
    WHERE p.due_at <= to_timestamp(n.now_s)
"""  # noqa: S608  # its parts are this program's own

# As with bins, what only appears after its time was judged is sealed at that later time.
_SEAL = text(
    f"""
    INSERT INTO calmon.sealed_delay
        (series_id, pane_at, complete, sealed_at, outcomes, buckets, n_labels)
    SELECT series_id, pane_at, :complete,
           CASE WHEN mature_at <= judged_through_at THEN now_at ELSE mature_at END,
           array_agg(outcome ORDER BY outcome, bucket), array_agg(bucket ORDER BY outcome, bucket),
           array_agg(n ORDER BY outcome, bucket)
    FROM (
        SELECT d.series_id, d.pane_at, d.now_at, d.judged_through_at, d.mature_at,
               c.outcome, c.bucket, sum(c.n)::bigint AS n
        FROM (
            SELECT due.*, CASE WHEN :complete THEN complete_at ELSE on_time_at END AS mature_at
            FROM ({_DUE}) due
        ) d
        JOIN calmon.delay_count c USING (series_id, pane_at)
        WHERE d.mature_at <= d.now_at AND (:complete OR NOT c.late)
        GROUP BY d.series_id, d.pane_at, d.now_at, d.judged_through_at, d.mature_at,
                 c.outcome, c.bucket
        HAVING sum(c.n) <> 0
    ) counted
    GROUP BY series_id, pane_at, now_at, judged_through_at, mature_at
    ON CONFLICT DO NOTHING
    """  # noqa: S608  # its parts are this program's own
).bindparams(bindparam("complete", type_=Boolean), *_NOW_AT)

# What is sealed for good needs no more looking at; what is sealed on time is due once more.
_UNTOUCH = text(
    f"""
    WITH due AS ({_DUE}), gone AS (
        DELETE FROM calmon.touched_delay p USING due
        WHERE due.series_id = p.series_id AND due.pane_at = p.pane_at
          AND due.complete_at <= due.now_at
    )
    UPDATE calmon.touched_delay p SET due_at = due.complete_at
    FROM due
    WHERE due.series_id = p.series_id AND due.pane_at = p.pane_at
      AND due.on_time_at <= due.now_at AND due.complete_at > due.now_at
    """  # noqa: S608  # its parts are this program's own
).bindparams(*_NOW_AT)
