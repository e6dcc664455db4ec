"""Bins on their way to being judged: fold the deltas, seal what is mature, read it back.

Guarantees: every delta is added to the bins once; a pane's revision 0 holds its on-time labels
alone and never changes; a later label makes a later revision. Must never: seal before the model's
streams were read as far as the pane's maturity; the caller's `now` says how far that is.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.bins import SUMS
from monitor.core.claims import Series
from monitor.core.delay_cells import DelayCells
from monitor.core.panes import Cells, cell_key
from monitor.store import tables as t
from monitor.store.blocks import tally_counter
from monitor.store.delays import DelayStore, add_delays, delays_of, seal_delays
from monitor.store.engine import transaction
from monitor.store.packing import unpack
from monitor.store.positions import by_number

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, Row

    from monitor.core.tallies import Tally

DELTAS_A_FOLD = 500
REVISE_AFTER = timedelta(days=1)
"""Event time that a revision of a sealed pane stands before the next one is written."""
_LEADER_LOCK = 0x63616C6D6F6E  # "calmon"


@dataclass(frozen=True, slots=True)
class Reading:
    """How far one partition is counted. counted: newest event by model index."""

    topic: str
    partition: int
    counted_through_at: datetime | None
    counted: dict[int, datetime]


@dataclass(frozen=True, slots=True)
class SeenModel:
    """A model's number, and when (wall clock) its first event was read."""

    number: int
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class SealedCells:
    """On-time cells of some sealed panes, and when each pane was sealed, in epoch seconds."""

    cells: Cells
    sealed_s: dict[tuple[int, int], int]


class PaneStore:
    """Postgres as the watcher sees the counts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def leadership(self) -> Iterator[bool]:
        """Whether this process may act now; held until the block ends, or the connection does."""
        with self._engine.connect() as connection:
            held = connection.execute(
                text("SELECT pg_try_advisory_lock(:key)"), {"key": _LEADER_LOCK}
            ).scalar_one()
            try:
                yield bool(held)
            finally:
                if held:
                    connection.execute(
                        text("SELECT pg_advisory_unlock(:key)"), {"key": _LEADER_LOCK}
                    )
                connection.commit()

    def fold(self) -> int:
        """Add the waiting deltas to the bins; returns how many there were."""
        with transaction(self._engine) as connection:
            oldest = select(t.bin_delta.c.delta_id).order_by(t.bin_delta.c.delta_id)
            taken = connection.execute(
                delete(t.bin_delta)
                .where(t.bin_delta.c.delta_id.in_(oldest.limit(DELTAS_A_FOLD)))
                .returning(t.bin_delta.c.payload, t.bin_delta.c.tallies)
            ).all()
            _add_cells(connection, Cells.merge(_cells(row.payload) for row in taken))
            add_delays(connection, DelayCells.merge(delays_of(row.payload) for row in taken))
            for row in taken:
                _add_tallies(connection, tally_counter(row.tallies))
        return len(taken)

    def readings(self) -> list[Reading]:
        """How far every partition is counted.

        Read it before `fold`: what it promises is then in the bins.
        """
        with transaction(self._engine) as connection:
            return [
                Reading(
                    row.topic,
                    row.partition,
                    row.counted_through_at,
                    {
                        model: datetime.fromtimestamp(ms / 1000, UTC)
                        for model, ms in by_number(row.counted).items()
                    },
                )
                for row in connection.execute(select(t.ingest_partition))
            ]

    @property
    def delays(self) -> DelayStore:
        """The labels' delays, beside their counts."""
        return DelayStore(self._engine)

    def messages(self) -> int:
        """Messages counted, by the stored offsets."""
        offsets = select(func.coalesce(func.sum(t.ingest_partition.c.next_offset), 0))
        with transaction(self._engine) as connection:
            return int(connection.execute(offsets).scalar_one())

    def models(self) -> dict[str, SeenModel]:
        """Every model seen, by name."""
        with transaction(self._engine) as connection:
            found = connection.execute(select(t.model))
            return {row.name: SeenModel(row.model_id, row.recorded_at) for row in found}

    def series(self, model: str) -> dict[int, Series]:
        """Identity of every counted series of a model, by index."""
        with transaction(self._engine) as connection:
            rows = connection.execute(select(t.series).where(t.series.c.model == model))
            return {
                row.series_id: Series(row.model, row.version, row.claim, row.segment)
                for row in rows
            }

    def seal(self, now_at: Mapping[str, datetime]) -> int:
        """Seal the panes that are mature at each model's event time; revise changed old ones."""
        if not now_at:
            return 0
        bound = {"model": list(now_at), "now_at": [int(at.timestamp()) for at in now_at.values()]}
        with transaction(self._engine) as connection:
            revised = connection.execute(
                _REVISE, bound | {"revise_after": REVISE_AFTER.total_seconds()}
            ).rowcount
            sealed = connection.execute(_SEAL, bound).rowcount
            connection.execute(_UNTOUCH)
            seal_delays(connection, now_at)
        return sealed + revised

    def sealed(self, series: Sequence[int], start_at: datetime, end_at: datetime) -> SealedCells:
        """Judged revision of the panes of these series in [start_at, end_at)."""
        table = t.sealed_pane
        with transaction(self._engine) as connection:
            rows = connection.execute(
                select(table).where(
                    table.c.series_id.in_(series),
                    table.c.revision == 0,
                    table.c.pane_at >= start_at,
                    table.c.pane_at < end_at,
                )
            ).all()
        sealed_s = {
            (row.series_id, int(row.pane_at.timestamp())): int(row.sealed_at.timestamp())
            for row in rows
        }
        return SealedCells(Cells.merge(_sealed_cells(row) for row in rows), sealed_s)

    def bins(self, series: Sequence[int]) -> Cells:
        """Everything known now of these series, the deltas not yet folded included."""
        table = t.bin_count
        with transaction(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c.series_id.in_(series))).all()
            waiting = connection.execute(select(t.bin_delta.c.payload)).scalars().all()
        folded = Cells.of(
            cell_key(
                np.array([row.series_id for row in rows], dtype=np.int32),
                np.array([int(row.pane_at.timestamp()) for row in rows], dtype=np.int64),
                np.array([row.late for row in rows], dtype=np.bool_),
                np.array([row.bin for row in rows], dtype=np.int64),
            ),
            np.array([row[4:] for row in rows], dtype=np.int64).reshape(-1, len(SUMS)),
        )
        merged = Cells.merge([folded, *(_cells(payload) for payload in waiting)])
        return merged.take(np.isin(merged.series, series))


def _cells(payload: bytes) -> Cells:
    columns = unpack(payload)
    return Cells(columns["key"].astype(np.int64), columns["sums"].astype(np.int64))


def _sealed_cells(row: Row[tuple[object, ...]]) -> Cells:
    n = len(row.bins)
    return Cells.of(
        cell_key(
            np.full(n, row.series_id, dtype=np.int32),
            np.full(n, int(row.pane_at.timestamp()), dtype=np.int64),
            np.zeros(n, dtype=np.bool_),
            np.array(row.bins, dtype=np.int64),
        ),
        np.array([getattr(row, name) for name in SUMS], dtype=np.int64).T,
    )


def _add_cells(connection: Connection, cells: Cells) -> None:
    if not len(cells):
        return
    columns = {
        "series_id": cells.series.tolist(),
        "pane_s": cells.pane_start.tolist(),
        "late": cells.late.tolist(),
        "bin": cells.bin.tolist(),
    }
    columns |= {name: cells.sums[:, i].tolist() for i, name in enumerate(SUMS)}
    connection.execute(_ADD, columns)
    connection.execute(_TOUCH, {key: columns[key] for key in ("series_id", "pane_s")})


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

_ADD = text(
    f"""
    INSERT INTO calmon.bin_count (series_id, pane_at, late, bin, {_SUM_NAMES})
    SELECT series_id, to_timestamp(pane_s), late, bin, {_SUM_NAMES}
    FROM unnest(:series_id, :pane_s, :late, :bin, {", ".join(f":{name}" for name in SUMS)})
         AS c(series_id, pane_s, late, bin, {_SUM_NAMES})
    ON CONFLICT (series_id, pane_at, late, bin) DO UPDATE SET
    {", ".join(f"{name} = bin_count.{name} + excluded.{name}" for name in SUMS)}
    """  # noqa: S608  # the names are this program's own
).bindparams(
    bindparam("series_id", type_=ARRAY(Integer)),
    bindparam("pane_s", type_=ARRAY(BigInteger)),
    bindparam("late", type_=ARRAY(Boolean)),
    bindparam("bin", type_=ARRAY(Integer)),
    *(bindparam(name, type_=ARRAY(BigInteger)) for name in SUMS),
)

_TOUCH = text(
    """
    INSERT INTO calmon.touched_pane (series_id, pane_at)
    SELECT DISTINCT series_id, to_timestamp(pane_s)
    FROM unnest(:series_id, :pane_s) AS c(series_id, pane_s)
    ON CONFLICT DO NOTHING
    """
).bindparams(
    bindparam("series_id", type_=ARRAY(Integer)), bindparam("pane_s", type_=ARRAY(BigInteger))
)

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
