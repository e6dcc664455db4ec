"""Contestant `bare`: kafka-python's poll and msgspec's decoding, and nothing else.

Guarantees: consumer settings, batch size and event structs are the product's own; each decoded
batch is dropped at once.
"""

from __future__ import annotations

from monitor.daemon.memory import tune_memory
from monitor.ingest.consumer import open_consumer, require_topics
from monitor.ingest.formats import decode_labels, decode_predictions
from tests.benchmarks.ingest.contest import BATCH_EVENTS, Stopwatch, Task, answer


def main() -> None:
    task = Task.read()
    consumer = open_consumer(task.kafka, task.group, BATCH_EVENTS, without_offset="earliest")
    topics = (task.predictions, task.labels, task.changes)
    consumer.subscribe(list(topics))
    require_topics(consumer, topics)
    tune_memory()
    watch = Stopwatch()
    n_predicted = n_labelled = n_positive = 0
    while n_predicted + n_labelled < task.n_events:
        predictions: list[bytes | None] = []
        labels: list[bytes | None] = []
        wanted, timeout_ms = BATCH_EVENTS, 1000
        while wanted > 0:
            polled = consumer.poll(timeout_ms=timeout_ms, max_records=wanted)
            for partition, records in polled.items():
                into = predictions if partition.topic == task.predictions else labels
                into.extend([record.value for record in records])
                wanted -= len(records)
            if not polled:
                break
            watch.received()
            timeout_ms = 100
        n_predicted += len(decode_predictions(predictions))
        events = decode_labels(labels)
        n_labelled += len(events)
        n_positive += sum(event.label == 1 for event in events)
        seconds = watch.seconds
    consumer.close(autocommit=False)
    answer(seconds=seconds, counts=[n_predicted, n_labelled, n_positive])


if __name__ == "__main__":
    main()
