"""Losses of quantiles and intervals on their way to being read: fold the deltas, read them back.

Guarantees: losses are folded with the bins of the same delta, in one transaction, so each is added
once. Must never: take part in a verdict; the bins alone decide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Boolean, Integer, bindparam, select, text

from monitor.core.counting.losses import LOSS_SUMS, LossCells
from monitor.core.panes import cell_key
from monitor.store import tables as t
from monitor.store.engine import transaction
from monitor.store.packing import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine


def loss_columns(cells: LossCells) -> dict[str, NDArray[np.int64]]:
    """Losses as columns of a delta's payload; none of a delta without losses."""
    return {"loss_key": cells.key, "loss_sums": cells.sums} if len(cells) else {}


def losses_in(columns: Mapping[str, NDArray[np.generic]]) -> LossCells:
    """Losses in the columns of a delta's payload."""
    if "loss_key" not in columns:
        return LossCells.empty()
    return LossCells(
        columns["loss_key"].astype(np.int64, copy=False),
        columns["loss_sums"].astype(np.int64, copy=False),
    )


def add_losses(connection: Connection, cells: LossCells) -> None:
    """Add losses to what is counted, in the caller's transaction."""
    if len(cells):
        columns: dict[str, object] = {
            "series_id": cells.series.tolist(),
            "pane_s": cells.pane_start.tolist(),
            "late": cells.late.tolist(),
        }
        columns |= {name: cells.sums[:, i].tolist() for i, name in enumerate(LOSS_SUMS)}
        connection.execute(_ADD, columns)


class LossStore:
    """Postgres as those who ask for losses see it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def known(self, series: Sequence[int]) -> LossCells:
        """Everything known now of these series, the deltas not yet folded included."""
        table = t.loss_count
        with transaction(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.series_id.in_(series))).all()
            waiting = connection.execute(select(t.bin_delta.c.payload)).scalars().all()
        folded = LossCells.of(
            cell_key(
                np.array([row.series_id for row in rows], dtype=np.int32),
                np.array([int(row.pane_at.timestamp()) for row in rows], dtype=np.int64),
                np.array([row.late for row in rows], dtype=np.bool_),
                np.zeros(len(rows), dtype=np.int64),
            ),
            np.array([row[3:] for row in rows], dtype=np.int64).reshape(-1, len(LOSS_SUMS)),
        )
        merged = LossCells.merge([folded, *(losses_in(unpack(payload)) for payload in waiting)])
        return merged.take(np.isin(merged.series, series))


_NAMES = ", ".join(LOSS_SUMS)

_ADD = text(
    f"""
    INSERT INTO calmon.loss_count (series_id, pane_at, late, {_NAMES})
    SELECT series_id, to_timestamp(pane_s), late, {_NAMES}
    FROM unnest(:series_id, :pane_s, :late, {", ".join(f":{name}" for name in LOSS_SUMS)})
         AS c(series_id, pane_s, late, {_NAMES})
    ON CONFLICT (series_id, pane_at, late) DO UPDATE SET
    {", ".join(f"{name} = loss_count.{name} + excluded.{name}" for name in LOSS_SUMS)}
    """  # noqa: S608  # the names are this program's own
).bindparams(
    bindparam("series_id", type_=ARRAY(Integer)),
    bindparam("pane_s", type_=ARRAY(BigInteger)),
    bindparam("late", type_=ARRAY(Boolean)),
    *(bindparam(name, type_=ARRAY(BigInteger)) for name in LOSS_SUMS),
)
