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
    TIMESTAMP,
    BigInteger,
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
from monitor.core.losses import LossCells
from monitor.core.panes import Cells, cell_key
from monitor.store import tables as t
from monitor.store.blocks import tally_counter
from monitor.store.delays import DelayStore, add_delays, delays_in, seal_delays
from monitor.store.engine import transaction
from monitor.store.losses import LossStore, add_losses, losses_in
from monitor.store.packing import unpack
from monitor.store.positions import by_number

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine

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
            deltas = [unpack(row.payload) for row in taken]
            _add_cells(connection, Cells.merge(map(_cells, deltas)))
            add_delays(connection, DelayCells.merge(map(delays_in, deltas)))
            add_losses(connection, LossCells.merge(map(losses_in, deltas)))
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
    def losses(self) -> LossStore:
        """Losses of quantiles and intervals, beside their counts."""
        return LossStore(self._engine)

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
        return {i: series for i, series in self.all_series().items() if series.model == model}

    def all_series(self, *, after: int = -1) -> dict[int, Series]:
        """Identity of every counted series with an index beyond `after`, by index."""
        with transaction(self._engine) as connection:
            rows = connection.execute(select(t.series).where(t.series.c.series_id > after))
            return {
                row.series_id: Series(row.model, row.version, row.claim, row.segment)
                for row in rows
            }

    def oldest(self, models: Sequence[str]) -> dict[str, datetime]:
        """Start of the oldest sealed pane of each model that has one."""
        with transaction(self._engine) as connection:
            return {
                row.model: row.pane_at for row in connection.execute(_OLDEST, {"model": models})
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

    def sealed(self, spans: Sequence[SealedSpan]) -> Cells:
        """On-time cells of the judged revision of the panes asked for."""
        bound = {
            "series": [span.series_id for span in spans],
            "start_at": [span.start_at for span in spans],
            "end_at": [span.end_at for span in spans],
            "cohort_s": [span.cohort_s for span in spans],
            "horizon_s": [span.horizon_s for span in spans],
        }
        with transaction(self._engine) as connection:
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
        merged = Cells.merge([folded, *(_cells(unpack(payload)) for payload in waiting)])
        return merged.take(np.isin(merged.series, series))


def _cells(columns: Mapping[str, NDArray[np.generic]]) -> Cells:
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

# A model's series that no longer are counted have their panes too: all of them are asked.
_OLDEST = text(
    """
    SELECT s.model, min(p.pane_at) AS pane_at
    FROM calmon.series s CROSS JOIN LATERAL (
        SELECT pane_at FROM calmon.sealed_pane o
        WHERE o.series_id = s.series_id ORDER BY pane_at LIMIT 1
    ) p
    WHERE s.model = ANY(:model) GROUP BY s.model
    """
).bindparams(bindparam("model", type_=ARRAY(Text)))

_SENT_SMALL = np.dtype([("length", ">i4"), ("value", ">i2")])
_SENT_BIG = np.dtype([("length", ">i4"), ("value", ">i8")])
"""One element of an array as Postgres sends it; 20 bytes come before the first (array_send)."""


def _sent(name: str) -> str:
    order = "ORDER BY p.series_id, p.pane_at"
    return f"string_agg(substring(array_send(p.{name}) FROM 21), ''::bytea {order}) AS {name}"


_SEALED = text(
    f"""
    SELECT array_agg(p.series_id ORDER BY p.series_id, p.pane_at) AS series,
           array_agg(extract(epoch FROM p.pane_at)::bigint ORDER BY p.series_id, p.pane_at)
               AS pane_s,
           array_agg(cardinality(p.bins) ORDER BY p.series_id, p.pane_at) AS n,
           {", ".join(_sent(name) for name in ("bins", *SUMS))}
    FROM unnest(:series, :start_at, :end_at, :cohort_s, :horizon_s)
         AS r(series_id, start_at, end_at, cohort_s, horizon_s)
    JOIN calmon.sealed_pane p ON p.series_id = r.series_id
         AND p.pane_at >= r.start_at AND p.pane_at < r.end_at AND p.revision = 0
    WHERE extract(epoch FROM p.sealed_at)
          <= floor(extract(epoch FROM p.pane_at) / r.cohort_s) * r.cohort_s
             + r.cohort_s + r.horizon_s
    """  # noqa: S608  # the names are this program's own
).bindparams(
    bindparam("series", type_=ARRAY(Integer)),
    bindparam("start_at", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("end_at", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("cohort_s", type_=ARRAY(BigInteger)),
    bindparam("horizon_s", type_=ARRAY(BigInteger)),
)

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
