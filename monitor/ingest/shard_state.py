"""What a worker holds in memory for the partitions it owns.

Guarantees: it is a function of the durable blocks; it is loaded, moved forward by committed
batches, and thrown away as a whole. Must never: be repaired, or run ahead of the database without
the batch that explains it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.join import JoinIndex
from monitor.core.join_rows import NO_TIME
from monitor.core.panes import Cells
from monitor.core.tallies import Tally, TallyKind, count_by_series
from monitor.core.watermarks import advance, too_late
from monitor.store.blocks import Block
from monitor.store.ingest import Flush

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.core.events import LabelColumns, PredictionColumns
    from monitor.ingest.decoding import Decoded
    from monitor.ingest.series_book import SeriesBook
    from monitor.store.ingest import IngestStore
    from monitor.store.positions import Position

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
        self._cells: list[Cells] = []
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
    def has_unflushed(self) -> bool:
        """Whether counts wait for a flush."""
        return any(len(cells) for cells in self._cells) or bool(self._tallies)

    def watermarks(self, topic: str, partition: int) -> dict[int, int]:
        """Newest event time, epoch ms by model index, of one partition."""
        streams = {self._topics.predictions: self.predicted, self._topics.labels: self.labelled}
        return {m: ms for (p, m), ms in streams.get(topic, {}).items() if p == partition}

    def count(self, decoded: Decoded) -> list[Block]:
        """Count one decoded batch; returns what must be made durable for it to have happened."""
        predictions, table = decoded.predictions, self._book.table
        model = table.model[predictions.series]
        allowed_ms = table.correction_horizon_ms[predictions.series]
        late = too_late(self.predicted, predictions.shard, model, predictions.ts_ms, allowed_ms)
        applied = self._index.apply(predictions.take(~late), decoded.labels)
        tallies = applied.tallies
        count_by_series(tallies, TallyKind.LATE_PREDICTION, predictions.series[late], table.model)
        self._cells.append(applied.cells)
        self._tallies += tallies
        self.predicted = advance(self.predicted, predictions.shard, model, predictions.ts_ms)
        labels = decoded.labels
        self.labelled = advance(self.labelled, labels.shard, labels.model, labels.ts_ms)
        return _by_shard(
            applied.predictions, applied.labels, applied.anchor_ms, tallies, self.shards[0]
        )

    def flush(self, *, evict: bool) -> Flush:
        """Take the counts since the last flush; forget what no event can touch any more."""
        cutoffs, drop_before_ms = self._cutoffs() if evict else ({}, None)
        if cutoffs:
            matrix = self._cutoff_matrix(dict.fromkeys(self.shards, cutoffs))
            self._tallies += self._index.evict(matrix)
        flush = Flush(self.shards, Cells.merge(self._cells), self._tallies, cutoffs, drop_before_ms)
        self._cells, self._tallies = [], Counter()
        return flush

    def _load(self, store: IngestStore) -> None:
        cutoffs, blocks = store.load(self.shards)
        matrix = self._cutoff_matrix(cutoffs)
        for loaded in blocks:
            block = loaded.block
            alive = block.anchor_ms >= matrix[block.labels.shard, block.labels.model]
            applied = self._index.apply(block.predictions, block.labels.take(alive))
            if not loaded.flushed:
                self._cells.append(applied.cells)
                self._tallies += block.tallies
        # What is forgotten here was forgotten, and tallied, before the state was lost.
        self._index.evict(matrix)

    def _cutoffs(self) -> tuple[dict[int, int], int | None]:
        """Cutoff by model that every owned stream has passed, and the one all models have."""
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
        complete = cutoffs and len(cutoffs) == len(models)
        return cutoffs, min(cutoffs.values()) if complete else None

    def _cutoff_matrix(self, cutoffs: Mapping[int, Mapping[int, int]]) -> NDArray[np.int64]:
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
    """One block a shard; the tallies go with the first, which may hold nothing else."""
    blocks: list[Block] = []
    touched = np.union1d(predictions.shard, labels.shard).tolist()
    for shard in touched or ([fallback] if tallies else []):
        mine = labels.shard == shard
        blocks.append(
            Block(
                shard,
                predictions.take(predictions.shard == shard),
                labels.take(mine),
                anchor_ms[mine],
                Counter() if blocks else tallies,
            )
        )
    return blocks
