"""Bins on their way to being judged: fold the deltas, seal what is mature, read it back.

Guarantees: every delta is added to the bins once; a pane's revision 0 holds its on-time labels
alone and never changes; a later label makes a later revision. Must never: seal before the model's
streams were read as far as the pane's maturity; the caller's `now` says how far that is.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, Text, bindparam, func, select, text

from monitor.core.bins import SUMS
from monitor.core.claims import Series
from monitor.core.panes import Cells, cell_key
from monitor.store import tables as t
from monitor.store.delays import DelayStore
from monitor.store.engine import transaction
from monitor.store.folding import cells_in, fold_deltas
from monitor.store.losses import LossStore
from monitor.store.packing import unpack
from monitor.store.positions import by_number
from monitor.store.sealed import sealed_cells
from monitor.store.sealing import seal_panes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Engine

    from monitor.store.sealed import SealedSpan

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
            return fold_deltas(connection)

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
        with transaction(self._engine) as connection:
            return seal_panes(connection, now_at)

    def sealed(self, spans: Sequence[SealedSpan]) -> Cells:
        """On-time cells of the judged revision of the panes asked for."""
        with transaction(self._engine) as connection:
            return sealed_cells(connection, spans)

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
        merged = Cells.merge([folded, *(cells_in(unpack(payload)) for payload in waiting)])
        return merged.take(np.isin(merged.series, series))


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
