"""Contestant `ours`: one worker of the product, composed as the daemon does it.

Guarantees: done means counted, committed and flushed, every event exactly once; the counts it
answers with are read back from the database.

With `options.members` it is one of several workers of one group: it waits at the gate until all
hold their share of the partitions, and works until its own are read to their ends.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from monitor.core.bins import SUMS
from monitor.core.policies import Policy
from monitor.daemon.memory import tune_memory
from monitor.ingest.consumer import open_consumer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.store.engine import connect
from monitor.store.ingest import IngestStore
from monitor.store.panes import PaneStore
from tests.benchmarks.ingest.contest import BATCH_EVENTS, Stopwatch, Task, answer
from tests.benchmarks.ingest.sampling import sampled

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from monitor.ingest.observed import Committed


class Watched:
    """The consumer with a stopwatch at its mouth, and a gate; all else is the consumer's own."""

    def __init__(self, consumer: KafkaConsumer, watch: Stopwatch, gate: Path | None) -> None:
        self._consumer = consumer
        self._watch = watch
        self._gate = gate

    def poll(self, **options: object) -> Any:  # noqa: ANN401  # the client is untyped
        if self._gate is not None:
            if not self._gate.exists():
                return self._hold_back(options)
            self._gate = None
            self._consumer.resume(*self._consumer.paused())
        records = self._consumer.poll(**options)
        if records:
            self._watch.received()
        return records

    def _hold_back(self, options: dict[str, object]) -> dict[object, object]:
        self._consumer.pause(*self._consumer.assignment())
        for partition, records in self._consumer.poll(**options).items():
            # assigned by this very poll, and so not yet paused
            self._consumer.seek(partition, records[0].offset)
        return {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._consumer, name)


class BatchTimes:
    """An observer that keeps each batch's seconds from the end of its poll to its commit."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def committed(self, batch: Committed) -> None:
        if batch.messages:
            self.seconds.append(batch.seconds)

    def assigned(self, partitions: int, rows: int) -> None:
        pass

    def paused(self, why: str) -> None:
        raise AssertionError(why)

    def fenced(self) -> None:
        pass


def main() -> None:
    task = Task.read()
    policy = Policy(label_horizon=timedelta(seconds=task.label_horizon_s), segments=task.segments)
    store = IngestStore(connect(task.database_url, name="calmon ingest"))
    members = int(str(task.options.get("members", 1)))
    watch = Stopwatch()
    gate = Path(task.state_dir) / "go" if members > 1 else None
    consumer = Watched(open_consumer(task.kafka, task.group, BATCH_EVENTS), watch, gate)
    times = BatchTimes()
    topics = Topics(task.predictions, task.labels, task.changes)
    worker = Worker(
        consumer,
        store,
        SeriesBook(store, lambda _model: policy),
        WorkerSettings(topics, task.group, batch_events=BATCH_EVENTS),
        times,
    )
    n_events = _wait(worker, consumer, task, members) if members > 1 else task.n_events
    tune_memory()
    counted = 0
    with sampled(wanted=bool(task.options.get("profile"))) as profile:
        while counted < n_events:
            counted += worker.step()
            seconds = watch.seconds
        worker.flush()
        seconds = watch.seconds
    rows = worker.rows
    stop = Event()
    stop.set()
    worker.run(stop)  # leaves the group and closes
    answer(
        seconds=seconds,
        started=watch.started,
        counts=_counts(task.database_url),
        batch_s=times.seconds,
        rows=rows,
        profile=profile,
    )


def _wait(worker: Worker, consumer: Watched, task: Task, members: int) -> int:
    """Join the group and hold a share of the partitions; returns how many events they have."""
    wanted = len(consumer.partitions_for_topic(task.predictions)) // members
    while not (Path(task.state_dir) / "go").exists():
        worker.step()
        held = consumer.assignment()
        if sum(tp.topic == task.predictions for tp in held) == wanted:
            ready = Path(task.state_dir) / f"ready-{task.options['member']}"
            ready.touch()
    return int(sum(consumer.end_offsets(list(held)).values()))


def _counts(url: str) -> list[int]:
    """Predictions, labels and positive labels in the database's bins."""
    engine = connect(url)
    known = [index for index, _, _ in IngestStore(engine).register_series([])]
    sums = PaneStore(engine).bins(known).sums.sum(axis=0)
    by_name = dict(zip(SUMS, sums.tolist(), strict=True))
    return [by_name[name] for name in ("n_predicted", "n_labelled", "n_positive")]


if __name__ == "__main__":
    main()
