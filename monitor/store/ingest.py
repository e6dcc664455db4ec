"""What the ingest worker reads and writes, one public method a transaction.

Guarantees: a batch's offsets, blocks, dead letters, changes and counts commit together or not at
all, and only while the writer owns every partition it moves (epoch) and stands where it thinks it
stands (old offset); otherwise nothing is written and Fenced is raised.
Must never: repair a difference; the worker throws its memory away and loads again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.bins import EDGES_VERSION
from monitor.core.claims import OutcomeRule, Series
from monitor.core.counting.labelled_sample import LabelledClaims
from monitor.core.counting.losses import LossCells
from monitor.core.counting.series_table import SeriesRules
from monitor.store import tables as t
from monitor.store.blocks import (
    Block,
    LoadedBlock,
    block_row,
    eviction_row,
    tally_rows,
    unpack_block,
)
from monitor.store.delays import delay_columns
from monitor.store.engine import transaction
from monitor.store.labelled_samples import write_sample
from monitor.store.losses import loss_columns
from monitor.store.packing import pack
from monitor.store.positions import Advance, Position, advance, by_number, position_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

    from monitor.core.counting.delay_cells import DelayCells
    from monitor.core.counting.tallies import Tally
    from monitor.core.events import ChangeEvent
    from monitor.core.panes import Cells


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be used, with the reason and the mend."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Flush:
    """Counts since the last flush, and what was forgotten.

    labelled: claims that the sample of labelled rows may need;
    forgotten: of the tallies, those of labels forgotten now, which never matched;
    cutoffs: by shard, ms by model number, up to which rows were evicted; drop_before_ms: by shard,
    blocks older than this hold nothing that is still needed.
    """

    shards: tuple[int, ...]
    cells: Cells
    delays: DelayCells
    tallies: Counter[Tally]
    losses: LossCells = field(default_factory=LossCells.empty)
    labelled: LabelledClaims = field(default_factory=LabelledClaims.empty)
    forgotten: Counter[Tally] = field(default_factory=Counter)
    cutoffs: dict[int, dict[int, int]] = field(default_factory=dict)
    drop_before_ms: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything one transaction writes."""

    advances: Sequence[Advance]
    blocks: Sequence[Block] = ()
    dead_letters: Sequence[DeadLetter] = ()
    changes: Sequence[tuple[str, int, int, ChangeEvent]] = ()
    flush: Flush | None = None


class IngestStore:
    """Postgres as the ingest worker sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def hash_seed(self) -> int:
        """Seed of the join's hash, made on first use; raises ValueError on other micro-bins."""
        with transaction(self._engine) as connection:
            connection.execute(
                upsert(t.deployment)
                .values(only_row=True, hash_seed=secrets.randbits(62), edges_version=EDGES_VERSION)
                .on_conflict_do_nothing()
            )
            row = connection.execute(select(t.deployment)).one()
        if row.edges_version != EDGES_VERSION:
            msg = (
                f"the database counts in micro-bins of version {row.edges_version}, this program "
                f"in version {EDGES_VERSION}: use the program that wrote it, or a new database"
            )
            raise ValueError(msg)
        return int(row.hash_seed)

    def model_ids(self, names: Sequence[str] = ()) -> dict[str, int]:
        """Number of every known model; unknown `names` are registered first."""
        with transaction(self._engine) as connection:
            if names:
                connection.execute(
                    upsert(t.model).on_conflict_do_nothing(),
                    [{"name": name} for name in sorted(set(names))],
                )
            found = connection.execute(select(t.model.c.name, t.model.c.model_id))
            return {row.name: row[1] for row in found}

    def register_series(
        self, wanted: Sequence[tuple[Series, SeriesRules]], *, after: int = -1
    ) -> list[tuple[int, Series, SeriesRules]]:
        """Register `wanted`; returns every known series with an index over `after`."""
        rows = [_series_row(series, rules) for series, rules in wanted]
        with transaction(self._engine) as connection:
            if rows:
                connection.execute(upsert(t.series).on_conflict_do_nothing(), rows)
            found = connection.execute(select(t.model))
            models = {row.name: row.model_id for row in found}
            newer = select(t.series).where(t.series.c.series_id > after)
            return [_series_of(row, models) for row in connection.execute(newer)]

    def acquire(self, owner: str, partitions: Sequence[tuple[str, int]]) -> list[Position]:
        """Take ownership: from here on every earlier owner's commit is refused."""
        if not partitions:
            return []
        table = t.ingest_partition
        with transaction(self._engine) as connection:
            statement = upsert(table).values(
                [
                    {
                        "topic": topic,
                        "partition": partition,
                        "epoch": 1,
                        "owner": owner,
                        "watermarks": {},
                        "counted": {},
                    }
                    # one order for all workers, so that two of them cannot deadlock
                    for topic, partition in sorted(partitions)
                ]
            )
            taken = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["topic", "partition"],
                    set_={"epoch": table.c.epoch + 1, "owner": owner},
                ).returning(table)
            )
            return [position_of(row) for row in taken]

    def record_gap(self, position: Position, to_offset: int, reason: str) -> Position:
        """Note that the messages up to `to_offset` are gone, and stand there. Raises Fenced."""
        with transaction(self._engine) as connection:
            advance(connection, [Advance(position, to_offset, position.watermarks, None)])
            connection.execute(
                insert(t.ingest_gap).values(
                    topic=position.topic,
                    partition=position.partition,
                    from_offset=position.next_offset,
                    to_offset=to_offset,
                    reason=reason,
                )
            )
        return replace(position, next_offset=to_offset)

    def load(
        self, shards: Sequence[int]
    ) -> tuple[dict[int, dict[int, int]], Generator[LoadedBlock, None, None]]:
        """Newest cutoffs (ms by model number) of each shard, and its durable blocks in order."""
        with transaction(self._engine) as connection:
            rows = connection.execute(select(t.join_shard).where(t.join_shard.c.shard.in_(shards)))
            known = {row.shard: row for row in rows}
        cutoffs = {shard: by_number(known[shard].evicted) for shard in known}
        return cutoffs, self._blocks(shards, {s: known[s].flushed_block_id for s in known})

    def evictions(self, shards: Sequence[int]) -> list[tuple[int, dict[int, int]]]:
        """Shard and cutoffs (ms by model number) of every eviction among the blocks, in order."""
        table = t.join_block
        held = select(table.c.shard, table.c.evicted).where(
            table.c.shard.in_(shards), table.c.evicted.is_not(None)
        )
        with transaction(self._engine) as connection:
            rows = connection.execute(held.order_by(table.c.block_id))
            return [(row.shard, by_number(row.evicted)) for row in rows]

    def events_held(self, shards: Sequence[int]) -> int:
        """Events in the durable blocks of these shards."""
        total = select(func.coalesce(func.sum(t.join_block.c.n_events), 0))
        with transaction(self._engine) as connection:
            return int(
                connection.execute(total.where(t.join_block.c.shard.in_(shards))).scalar_one()
            )

    def _blocks(
        self, shards: Sequence[int], flushed: Mapping[int, int]
    ) -> Generator[LoadedBlock, None, None]:
        table = t.join_block
        statement = select(table).where(table.c.shard.in_(shards)).order_by(table.c.block_id)
        with transaction(self._engine) as connection:
            for row in connection.execution_options(yield_per=64).execute(statement):
                yield LoadedBlock(
                    row.shard,
                    unpack_block(row.shard, row.payload, row.tallies),
                    row.block_id <= flushed.get(row.shard, 0),
                    None if row.evicted is None else by_number(row.evicted),
                )

    def commit(self, batch: Batch) -> None:
        """Write one batch whole, or raise Fenced and write nothing."""
        with transaction(self._engine) as connection:
            advance(connection, batch.advances)
            if batch.blocks:
                connection.execute(insert(t.join_block), [block_row(b) for b in batch.blocks])
            if batch.dead_letters:
                connection.execute(insert(t.dead_letter), [_letter(d) for d in batch.dead_letters])
            if batch.changes:
                connection.execute(insert(t.change_event), [_change(*c) for c in batch.changes])
            if batch.flush is not None:
                _flush(connection, batch.flush)


def _flush(connection: Connection, flush: Flush) -> None:
    """Put the counts on their way, and remember which blocks they cover."""
    if len(flush.cells) or len(flush.delays) or len(flush.losses) or flush.tallies:
        connection.execute(
            insert(t.bin_delta).values(
                payload=pack(
                    {"key": flush.cells.key, "sums": flush.cells.sums}
                    | delay_columns(flush.delays)
                    | loss_columns(flush.losses)
                ),
                tallies=tally_rows(flush.tallies),
            )
        )
    write_sample(connection, flush.labelled)
    if flush.cutoffs:
        evictions = [eviction_row(shard, flush.cutoffs[shard]) for shard in sorted(flush.cutoffs)]
        connection.execute(insert(t.join_block), evictions)
    newest = select(func.coalesce(func.max(t.join_block.c.block_id), 0)).where(
        t.join_block.c.shard.in_(flush.shards)
    )
    newest_id = connection.execute(newest).scalar_one()
    for shard in sorted(flush.shards):
        evicted = {str(model): ms for model, ms in flush.cutoffs.get(shard, {}).items()}
        statement = upsert(t.join_shard).values(
            shard=shard, flushed_block_id=newest_id, evicted=evicted
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["shard"],
                set_={
                    "flushed_block_id": newest_id,
                    "evicted": t.join_shard.c.evicted.op("||")(statement.excluded.evicted),
                },
            )
        )
    for shard, before_ms in sorted(flush.drop_before_ms.items()):
        _drop_blocks(connection, shard, before_ms)


def _drop_blocks(connection: Connection, shard: int, before_ms: int) -> None:
    """Delete a shard's oldest blocks, up to the first that is still needed.

    Never one from the middle: a label that came before its prediction must not outlive it.
    """
    table = t.join_block
    needed = select(func.min(table.c.block_id)).where(
        table.c.shard == shard, table.c.newest_ms >= before_ms
    )
    connection.execute(
        delete(table).where(
            table.c.shard == shard,
            table.c.block_id < func.coalesce(needed.scalar_subquery(), 0),
        )
    )


def _series_row(series: Series, rules: SeriesRules) -> dict[str, object]:
    return {
        "model": series.model,
        "version": series.version,
        "claim": series.claim,
        "segment": series.segment,
        "pane_s": rules.pane_s,
        "label_horizon_s": rules.label_horizon_s,
        "correction_horizon_s": rules.correction_horizon_s,
        "sample_ppm": rules.sample_ppm,
        "unlabelled_negative": rules.unlabelled_negative,
        "rule": int(rules.rule),
        "low": rules.low,
        "high": rules.high,
    }


def _series_of(
    row: Row[tuple[object, ...]], models: Mapping[str, int]
) -> tuple[int, Series, SeriesRules]:
    rules = SeriesRules(
        models[row.model],
        row.pane_s,
        row.label_horizon_s,
        row.correction_horizon_s,
        OutcomeRule(row.rule),
        row.low,
        row.high,
        row.sample_ppm,
        row.unlabelled_negative,
    )
    return row.series_id, Series(row.model, row.version, row.claim, row.segment), rules


def _letter(letter: DeadLetter) -> dict[str, object]:
    return {name: getattr(letter, name) for name in letter.__slots__}


def _change(topic: str, partition: int, offset: int, event: ChangeEvent) -> dict[str, object]:
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "model": event.model,
        "version": event.version,
        "kind": str(event.kind),
        "description": event.description,
        "happened_at": event.happened_at,
    }
