"""Deltas of the workers into the bins, their delays, losses and tallies.

Guarantees: a delta taken is added and gone in one transaction, or neither. Must never: seal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.bins import SUMS
from monitor.core.counting.delay_cells import DelayCells
from monitor.core.counting.losses import LossCells
from monitor.core.panes import Cells
from monitor.store import tables as t
from monitor.store.blocks import tally_counter
from monitor.store.delays import add_delays, delays_in
from monitor.store.losses import add_losses, losses_in
from monitor.store.packing import unpack

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from monitor.core.counting.tallies import Tally

DELTAS_A_FOLD = 500


def fold_deltas(connection: Connection) -> int:
    """Add the oldest waiting deltas to the bins; returns how many there were."""
    oldest = select(t.bin_delta.c.delta_id).order_by(t.bin_delta.c.delta_id)
    taken = connection.execute(
        delete(t.bin_delta)
        .where(t.bin_delta.c.delta_id.in_(oldest.limit(DELTAS_A_FOLD)))
        .returning(t.bin_delta.c.payload, t.bin_delta.c.tallies)
    ).all()
    deltas = [unpack(row.payload) for row in taken]
    _add_cells(connection, Cells.merge(map(cells_in, deltas)))
    add_delays(connection, DelayCells.merge(map(delays_in, deltas)))
    add_losses(connection, LossCells.merge(map(losses_in, deltas)))
    for row in taken:
        _add_tallies(connection, tally_counter(row.tallies))
    return len(taken)


def cells_in(columns: Mapping[str, NDArray[np.generic]]) -> Cells:
    """The cells of a delta's columns."""
    return Cells(columns["key"].astype(np.int64), columns["sums"].astype(np.int64))


def _add_cells(connection: Connection, cells: Cells) -> None:
    if not len(cells):
        return
    columns = {
        "series_id": _array(cells.series),
        "pane_s": _array(cells.pane_start),
        "late": _array(cells.late.astype(np.int64)),
        "bin": _array(cells.bin),
    }
    columns |= {name: _array(cells.sums[:, i]) for i, name in enumerate(SUMS)}
    connection.execute(_ADD, columns)
    connection.execute(_TOUCH, {key: columns[key] for key in ("series_id", "pane_s")})


def _array(values: NDArray[np.int64]) -> str:
    """Integers as the text of a Postgres array: ten times faster than the driver's own way."""
    return f"{{{str(values.tolist())[1:-1]}}}"


def _add_tallies(connection: Connection, tallies: Counter[Tally]) -> None:
    for (kind, model, series), n in sorted(tallies.items()):
        statement = upsert(t.tally).values(kind=kind, model_id=model, series_id=series, n=n)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "model_id", "series_id"],
                set_={"n": t.tally.c.n + n},
            )
        )


_SUM_NAMES = ", ".join(SUMS)
_BIGINTS = ", ".join(f"CAST(:{name} AS bigint[])" for name in SUMS)

_ADD = text(
    f"""
    INSERT INTO calmon.bin_count (series_id, pane_at, late, bin, {_SUM_NAMES})
    SELECT series_id, to_timestamp(pane_s), late <> 0, bin, {_SUM_NAMES}
    FROM unnest(CAST(:series_id AS int[]), CAST(:pane_s AS bigint[]), CAST(:late AS int[]),
                CAST(:bin AS int[]), {_BIGINTS})
         AS c(series_id, pane_s, late, bin, {_SUM_NAMES})
    ON CONFLICT (series_id, pane_at, late, bin) DO UPDATE SET
    {", ".join(f"{name} = bin_count.{name} + excluded.{name}" for name in SUMS)}
    """  # noqa: S608  # the names are this program's own
)

_TOUCH = text(
    """
    INSERT INTO calmon.touched_pane (series_id, pane_at)
    SELECT DISTINCT series_id, to_timestamp(pane_s)
    FROM unnest(CAST(:series_id AS int[]), CAST(:pane_s AS bigint[])) AS c(series_id, pane_s)
    ON CONFLICT DO NOTHING
    """
)
