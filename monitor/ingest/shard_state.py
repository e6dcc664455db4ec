"""What a worker holds in memory for the partitions it owns.

Guarantees: it is a function of the durable blocks; it is loaded, moved forward by committed
batches, and thrown away as a whole. Must never: be repaired, or run ahead of the database without
the batch that explains it.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.delay_cells import DelayCells
from monitor.core.counting.join import JoinIndex
from monitor.core.counting.join_rows import NO_TIME
from monitor.core.counting.labelled_sample import SampleDraft
from monitor.core.counting.losses import LossCells
from monitor.core.counting.tallies import Tally, TallyKind, count_by_series
from monitor.core.counting.watermarks import advance, too_late
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.panes import Cells
from monitor.store.blocks import Block
from monitor.store.ingest import Flush
from monitor.store.positions import Fenced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.ingest.decoding import Decoded
    from monitor.ingest.series_book import SeriesBook
    from monitor.store.blocks import LoadedBlock
    from monitor.store.ingest import IngestStore
    from monitor.store.positions import Position

CHUNK_EVENTS = 400_000
"""Events applied at once when the index is loaded."""

WORTH_FORGETTING = 0.2
"""Share of old rows from which on forgetting them is worth a pass over all."""

Streams = dict[tuple[int, int], int]
"""Newest event time, epoch ms, by (partition, model index)."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of the three topics."""

    predictions: str = "predictions"
    labels: str = "labels"
    changes: str = "changes"

    @property
    def names(self) -> tuple[str, str, str]:
        """All three."""
        return self.predictions, self.labels, self.changes


@dataclass(frozen=True, slots=True)
class Counted:
    """One batch, counted: what makes it durable, its tallies, and its labels' delays."""

    blocks: list[Block]
    tallies: Counter[Tally]
    delay_ms: NDArray[np.int64]


class ShardState:
    """The join index of the owned shards, the counts not yet flushed, and the watermarks."""

    def __init__(
        self,
        store: IngestStore,
        book: SeriesBook,
        topics: Topics,
        positions: Sequence[Position],
    ) -> None:
        self._book = book
        self._index = JoinIndex(book.table)
        self._evicted: dict[int, dict[int, int]] = {}
        self._cells: list[Cells] = []
        self._delays: list[DelayCells] = []
        self._losses: list[LossCells] = []
        self._sample = SampleDraft()
        self._tallies: Counter[Tally] = Counter()
        self.predicted = _streams(positions, topics.predictions)
        self.labelled = _streams(positions, topics.labels)
        self._topics = topics
        self._sources = {(p.topic == topics.predictions, p.partition) for p in positions
                         if p.topic != topics.changes}  # fmt: skip
        self.shards = tuple(sorted({partition for _, partition in self._sources}))
        self._load(store)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def unflushed(self) -> int:
        """Cells that wait for a flush."""
        return sum(map(len, self._cells))

    def watermarks(self, topic: str, partition: int) -> dict[int, int]:
        """Newest event time, epoch ms by model index, of one partition."""
        streams = {self._topics.predictions: self.predicted, self._topics.labels: self.labelled}
        return {m: ms for (p, m), ms in streams.get(topic, {}).items() if p == partition}

    def count(self, decoded: Decoded) -> Counted:
        """Count one decoded batch; its blocks must be made durable for it to have happened."""
        predictions, table = decoded.predictions, self._book.table
        model = table.model[predictions.series]
        allowed_ms = table.correction_horizon_ms[predictions.series]
        late = too_late(self.predicted, predictions.shard, model, predictions.ts_ms, allowed_ms)
        applied = self._index.apply(predictions.take(~late), decoded.labels)
        tallies = applied.tallies + decoded.tallies
        count_by_series(tallies, TallyKind.LATE_PREDICTION, predictions.series[late], table.model)
        self._cells.append(applied.cells)
        self._delays.append(applied.delays)
        self._losses.append(applied.losses)
        self._sample.offer(applied.labelled)
        self._tallies += tallies
        self.predicted = advance(self.predicted, predictions.shard, model, predictions.ts_ms)
        labels = decoded.labels
        self.labelled = advance(self.labelled, labels.shard, labels.model, labels.ts_ms)
        return Counted(
            _by_shard(
                applied.predictions, applied.labels, applied.anchor_ms, tallies, decoded.shard
            ),
            tallies,
            applied.delay_ms,
        )

    def flush(self, *, evict: bool) -> Flush:
        """Take the counts since the last flush; forget what no event can touch any more."""
        cutoffs = self._cutoffs() if evict else {}
        forgotten: Counter[Tally] = Counter()
        if cutoffs:
            for shard in self.shards:
                self._evicted.setdefault(shard, {}).update(
                    {
                        m: max(ms, self._evicted.get(shard, {}).get(m, ms))
                        for m, ms in cutoffs.items()
                    }
                )
            forgotten = self._index.evict(self._matrix(self._evicted))
            self._tallies += forgotten
        flush = Flush(
            self.shards,
            Cells.merge(self._cells),
            DelayCells.merge(self._delays),
            self._tallies,
            LossCells.merge(self._losses),
            self._sample.take(),
            forgotten,
            {shard: dict(self._evicted[shard]) for shard in self.shards} if cutoffs else {},
            self._drop_before_ms(cutoffs),
        )
        self._cells, self._delays, self._losses = [], [], []
        self._tallies = Counter()
        return flush

    def is_worth_forgetting(self) -> bool:
        """Whether so many rows are old that going through all of them pays."""
        cutoffs = self._cutoffs()
        if not cutoffs:
            return False
        matrix = self._matrix(dict.fromkeys(self.shards, cutoffs))
        return self._index.share_evictable(matrix) >= WORTH_FORGETTING

    def _load(self, store: IngestStore) -> None:
        """Apply the durable blocks again, many at once: how they are cut changes nothing.

        Rows are forgotten where they were forgotten, and tallied, before the state was lost.
        """
        self._index.reserve(store.events_held(self.shards))
        self._evicted, blocks = store.load(self.shards)
        to_come = deque(store.evictions(self.shards))
        with closing(blocks):
            self._apply_again(blocks, to_come)
        self._index.fit()

    def _apply_again(
        self, blocks: Iterable[LoadedBlock], to_come: deque[tuple[int, dict[int, int]]]
    ) -> None:
        """Apply blocks, and forget where they say so. to_come: what they forget, in order."""
        for evicted, run in groupby(blocks, key=lambda loaded: loaded.evicted is not None):
            if evicted:
                for loaded in run:
                    if not to_come or to_come[0] != (loaded.shard, loaded.evicted):
                        msg = f"another worker took shard {loaded.shard} over while it was loaded"
                        raise Fenced(msg)
                    shard, cutoffs = to_come.popleft()
                    self._index.evict(self._matrix({shard: cutoffs}))
                continue
            doomed = self._matrix(_newest(to_come))
            for is_flushed, same in groupby(run, key=lambda loaded: loaded.flushed):
                for chunk in _chunks(loaded.block for loaded in same):
                    self._restore(chunk, doomed, is_flushed=is_flushed)

    def _restore(
        self, chunk: Sequence[Block], doomed: NDArray[np.int64], *, is_flushed: bool
    ) -> None:
        """Apply blocks again. doomed: cutoffs [shard, model] of the evictions that come later."""
        predictions = PredictionColumns.concatenated([b.predictions for b in chunk])
        labels = LabelColumns.concatenated([b.labels for b in chunk])
        anchor_ms = np.concatenate([b.anchor_ms for b in chunk])
        # A label may stand here without what its row began with, whose block was dropped: such a
        # row was forgotten later on, and must not be taken for a younger one meanwhile.
        alive = labels.take(anchor_ms >= doomed[labels.shard, labels.model])
        if is_flushed:
            self._index.restore(predictions, alive)
            return
        applied = self._index.apply(predictions, alive)
        self._cells.append(applied.cells)
        self._delays.append(applied.delays)
        self._losses.append(applied.losses)
        self._sample.offer(applied.labelled)
        for block in chunk:
            self._tallies += block.tallies

    def _cutoffs(self) -> dict[int, int]:
        """Cutoff by model: the time that every owned stream has passed, less the horizon."""
        horizon_ms = self._book.correction_ms()
        models = {model for _, model in self.predicted} | {model for _, model in self.labelled}
        cutoffs: dict[int, int] = {}
        for model in models:
            reached = [
                (self.predicted if is_prediction else self.labelled).get((partition, model))
                for is_prediction, partition in self._sources
            ]
            if all(ms is not None for ms in reached):
                newest = min(ms for ms in reached if ms is not None)
                cutoffs[model] = newest - int(horizon_ms[model])
        return cutoffs

    def _drop_before_ms(self, cutoffs: Mapping[int, int]) -> dict[int, int]:
        """By shard, the time before which no model has a row; nothing while one has no cutoff."""
        models = {model for _, model in self.predicted} | {model for _, model in self.labelled}
        if not cutoffs or len(cutoffs) < len(models):
            return {}
        return {shard: min(self._evicted[shard].values()) for shard in self.shards}

    def _matrix(self, cutoffs: Mapping[int, Mapping[int, int]]) -> NDArray[np.int64]:
        """Cutoffs, ms by model by shard, as an array [shard, model]."""
        shape = (max(self.shards, default=0) + 1, len(self._book.correction_ms()))
        matrix = np.full(shape, NO_TIME, dtype=np.int64)
        for shard, by_model in cutoffs.items():
            for model, ms in by_model.items():
                matrix[shard, model] = ms
        return matrix


def _streams(positions: Sequence[Position], topic: str) -> Streams:
    return {
        (position.partition, model): ms
        for position in positions
        if position.topic == topic
        for model, ms in position.watermarks.items()
    }


def _by_shard(
    predictions: PredictionColumns,
    labels: LabelColumns,
    anchor_ms: NDArray[np.int64],
    tallies: Counter[Tally],
    fallback: int,
) -> list[Block]:
    """One block a shard; the tallies go with the first, which may hold nothing else.

    fallback: a shard of this batch: only such a one moves with it, and is refused with it.
    """
    by_shard = np.argsort(predictions.shard, kind="stable")
    predictions = predictions.take(by_shard)
    of_labels = np.argsort(labels.shard, kind="stable")
    labels, anchor_ms = labels.take(of_labels), anchor_ms[of_labels]
    blocks: list[Block] = []
    touched = np.union1d(predictions.shard, labels.shard).tolist()
    for shard in touched or ([fallback] if tallies else []):
        mine = slice(*np.searchsorted(predictions.shard, [shard, shard + 1]).tolist())
        its = slice(*np.searchsorted(labels.shard, [shard, shard + 1]).tolist())
        blocks.append(
            Block(
                shard,
                predictions.take(mine),
                labels.take(its),
                anchor_ms[its],
                Counter() if blocks else tallies,
            )
        )
    return blocks


def _newest(evictions: Iterable[tuple[int, dict[int, int]]]) -> dict[int, dict[int, int]]:
    """Newest cutoff of each model by shard, ms."""
    newest: dict[int, dict[int, int]] = {}
    for shard, cutoffs in evictions:
        known = newest.setdefault(shard, {})
        known |= {model: max(ms, known.get(model, ms)) for model, ms in cutoffs.items()}
    return newest


def _chunks(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks in lists that are large enough to pay for a call, and small enough for memory."""
    chunk: list[Block] = []
    size = 0
    for block in blocks:
        chunk.append(block)
        size += len(block.predictions) + len(block.labels)
        if size >= CHUNK_EVENTS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
