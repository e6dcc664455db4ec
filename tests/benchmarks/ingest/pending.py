"""What pending predictions cost: memory, Postgres, a restart, and the batches counted beside them.

Guarantees: the product's own state and store are used, fed with generated columns where Kafka would
only add its own time; resident memory is the kernel's number. Modes of the task (`options.mode`):
`fill` counts and commits predictions that get no label; `rebuild`, in a process of its own, loads
what `fill` left in the database; `resident` counts like batches beside few and beside many rows.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import text

from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.policies import Policy
from monitor.daemon.memory import tune_memory
from monitor.ingest.decoding import Decoded, Decoding
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import ShardState, Topics
from monitor.store.engine import connect
from monitor.store.ingest import Batch, IngestStore
from tests.benchmarks.ingest.contest import BATCH_EVENTS, Task, answer
from tests.benchmarks.ingest.workloads import COUNTRIES, HOUR_MS, START_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARDS = 8
MODELS = 100
SPAN_MS = 720 * HOUR_MS
FLUSH_EVERY = 16
"""Batches from flush to flush: the worker's 2 s at 160,000 events a second."""
SAMPLE_EVERY = 3 * FLUSH_EVERY
RESIDENT = (100_000, 10_000_000)
RESIDENT_BATCHES = 25
RELOADS = 3


@dataclass(slots=True)
class Message:
    """A record as decoding sees it."""

    value: bytes | None
    topic: str = "predictions"
    partition: int = 0
    offset: int = 0
    timestamp: int = -1
    key: bytes | None = None


class Product:
    """The product's store, book and state of all shards on one database."""

    def __init__(self, url: str) -> None:
        policy = Policy(label_horizon=timedelta(days=30), segments=("country",))
        self.engine = connect(url)
        self.store = IngestStore(self.engine)
        self.book = SeriesBook(self.store, lambda _model: policy)

    def loaded(self) -> ShardState:
        """The state as a worker has it after it took over all partitions."""
        topics = Topics()
        wanted = [(topic, shard) for topic in topics.names for shard in range(SHARDS)]
        positions = self.store.acquire("bench", wanted)
        return ShardState(self.store, self.book, topics, positions)

    def series(self) -> NDArray[np.int32]:
        """Numbers of the series of MODELS models in four segments each."""
        messages = [
            Message(
                f'{{"prediction_id":"x","model":"risk-{m:03d}","version":"1","score":0.5,'
                f'"ts":{START_MS},"segments":{{"country":"{country}"}}}}'.encode()
            )
            for m in range(MODELS)
            for country in COUNTRIES
        ]
        decoding = Decoding(self.book, self.store.hash_seed(), timedelta(minutes=5))
        return decoding.decode(messages, [], []).predictions.series


@dataclass(slots=True)
class Stream:
    """Seeded columns of predictions in order of time, and labels of any of them."""

    product: Product
    series: NDArray[np.int32]
    total: int
    rng: np.random.Generator
    made: int = 0

    def predictions(self, n: int) -> PredictionColumns:
        key = self.rng.integers(0, 2**64, n, dtype=np.uint64)
        first = START_MS + SPAN_MS * self.made // self.total
        last = START_MS + SPAN_MS * (self.made + n) // self.total
        self.made += n
        return PredictionColumns(
            key,
            (key % SHARDS).astype(np.int32),
            self.rng.choice(self.series, n),
            np.sort(self.rng.integers(first, last, n)),
            self.rng.beta(0.7, 1.6, n),
        )

    def labels(self, of: PredictionColumns) -> LabelColumns:
        model = self.product.book.table.model[of.series]
        delay_ms = self.rng.integers(0, SPAN_MS, len(of))
        label = (self.rng.random(len(of)) < of.score).astype(np.float64)
        return LabelColumns(of.key, of.shard, model, of.ts_ms + delay_ms, label)


def decoded(predictions: PredictionColumns, labels: LabelColumns) -> Decoded:
    return Decoded(predictions, labels, [], [], Counter())


def resident_bytes() -> int:
    """Rss of this process, after a collection."""
    gc.collect()
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    msg = "no Rss in /proc/self/smaps_rollup"
    raise LookupError(msg)


def fill(task: Task) -> None:
    """Count and commit predictions as the worker does; memory is read right after flushes."""
    product = Product(task.database_url)
    stream = Stream(product, product.series(), task.n_events, np.random.default_rng(7))
    state = product.loaded()
    tune_memory()
    # The first flush makes the buffers of driver, compression and allocator: they are not per row.
    before, uncounted = 0, 0
    bytes_a_row: dict[int, float] = {}
    for batch in range(task.n_events // BATCH_EVENTS):
        counted = state.count(decoded(stream.predictions(BATCH_EVENTS), LabelColumns.empty()))
        flush = state.flush(evict=False) if batch % FLUSH_EVERY == 0 else None
        product.store.commit(Batch((), counted.blocks, flush=flush))
        del counted, flush
        rows = len(state)
        if batch == 0:
            before, uncounted = resident_bytes(), rows
        elif batch % SAMPLE_EVERY == 0:
            bytes_a_row[rows] = (resident_bytes() - before) / (rows - uncounted)
    product.store.commit(Batch((), flush=state.flush(evict=False)))
    with product.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        size = connection.execute(
            text("SELECT pg_total_relation_size('calmon.join_block')")
        ).scalar_one()
    answer(
        seconds=0.0,
        rows=len(state),
        memory={str(rows): used for rows, used in bytes_a_row.items()},
        postgres=size / len(state),
    )


def rebuild(task: Task) -> None:
    """Take over and load, again and again."""
    product = Product(task.database_url)
    tune_memory()
    rates = []
    for _ in range(RELOADS):
        began = time.perf_counter()
        rows = len(product.loaded())
        rates.append(rows / (time.perf_counter() - began))
    answer(seconds=0.0, rows=rows, rates=rates)


def resident(task: Task) -> None:
    """Count batches, half predictions and half labels of rows chosen at random; no database."""
    product = Product(task.database_url)
    stream = Stream(product, product.series(), RESIDENT[-1], np.random.default_rng(11))
    state = product.loaded()
    tune_memory()
    batch_ms: dict[str, list[float]] = {}
    held: list[PredictionColumns] = []
    half = BATCH_EVENTS // 2
    for rows in RESIDENT:
        while len(state) < rows:
            held.append(stream.predictions(BATCH_EVENTS))
            state.count(decoded(held[-1], LabelColumns.empty()))
            state.flush(evict=False)
        batch_ms[str(rows)] = []
        every = PredictionColumns.concatenated(held)
        for _ in range(RESIDENT_BATCHES):
            labels = stream.labels(every.take(stream.rng.integers(0, len(every), half)))
            batch = decoded(stream.predictions(half), labels)
            began = time.perf_counter()
            state.count(batch)
            state.flush(evict=False)
            batch_ms[str(rows)].append(1000 * (time.perf_counter() - began))
    answer(seconds=0.0, batch_ms=batch_ms)


if __name__ == "__main__":
    given = Task.read()
    {"fill": fill, "rebuild": rebuild, "resident": resident}[str(given.options["mode"])](given)
