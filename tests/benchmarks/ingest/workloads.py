"""The events of the benchmark: 150 bytes of JSON each, the same whenever it is run.

Guarantees: every prediction has one label; events are published in order of their own times, each
topic's partitions by hash of the prediction id. Must never: depend on a clock or on unseeded
randomness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from confluent_kafka import Producer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

START_MS = 1_735_689_600_000
"""2025-01-01, so that every event is older than its message."""
HOUR_MS = 3_600_000
COUNTRIES = ("DE", "FR", "GB", "US")
CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Workload:
    """One stream.

    span_ms: predictions are spread over it; delay_ms: labels come after up to this, uniformly;
    models: number of models, each with four segments if `segmented`.
    """

    name: str
    title: str
    span_ms: int
    delay_ms: int
    models: int = 1
    segmented: bool = False

    @property
    def label_horizon_s(self) -> int:
        return max(48 * 3600, self.delay_ms // 1000)

    @property
    def segments(self) -> tuple[str, ...]:
        return ("country",) if self.segmented else ()


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("at_once", "labels at once", HOUR_MS, 0),
        Workload("spread", "720 hourly panes", 720 * HOUR_MS, 720 * HOUR_MS),
        Workload("fleet", "100 models x 4 segments x 720 panes", 720 * HOUR_MS, 720 * HOUR_MS,
                 models=100, segmented=True),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """What went out: counts are predictions, labels and positive labels."""

    counts: list[int]
    mean_bytes: float


def publish(
    workload: Workload,
    n_predictions: int,
    bootstrap: str,
    topics: tuple[str, str],
    partition_of: Callable[[int], int],
) -> Published:
    """Send the stream to the topics of predictions and labels; all is acknowledged on return."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
            "linger.ms": 20,
        }
    )
    n_bytes = n_positive = 0
    for is_label, key, value, positive in _events(workload, n_predictions):
        while True:
            try:
                producer.produce(topics[is_label], value, key, partition_of(int(key[:8], 16)))
                break
            except BufferError:
                producer.poll(0.05)
        n_bytes += len(value)
        n_positive += positive
    left = producer.flush(120)
    if left:
        msg = f"{left} messages were not acknowledged"
        raise RuntimeError(msg)
    counts = [n_predictions, n_predictions, n_positive]
    return Published(counts, n_bytes / (2 * n_predictions))


def _events(workload: Workload, n: int) -> Iterator[tuple[bool, bytes, bytes, bool]]:
    """(is a label, key, JSON, is a positive label) in order of arrival."""
    rng = np.random.default_rng(20261124)
    predicted_ms = START_MS + np.sort(rng.integers(0, workload.span_ms, n))
    labelled_ms = predicted_ms + 1 + rng.integers(0, workload.delay_ms + 1, n)
    score = np.clip(rng.beta(0.7, 1.6, n), 1e-6, 1 - 1e-6).round(6)
    positive = rng.random(n) < score
    model, country = rng.integers(0, workload.models, n), rng.integers(0, len(COUNTRIES), n)
    hashes: NDArray[np.uint64] = rng.integers(0, 2**64, (n, 2), dtype=np.uint64)
    order = np.argsort(np.concatenate([predicted_ms, labelled_ms]), kind="stable")
    if not workload.delay_ms:  # each label right behind its own prediction
        order = np.arange(2 * n).reshape(2, n).T.ravel()
    for start in range(0, 2 * n, CHUNK):
        chunk = order[start : start + CHUNK]
        row = chunk % n
        for is_label, high, low, m, s, y, ts_ms, y_ms, c in zip(
            (chunk >= n).tolist(), *hashes[row].T.tolist(), model[row].tolist(),
            score[row].tolist(), positive[row].tolist(), predicted_ms[row].tolist(),
            labelled_ms[row].tolist(), country[row].tolist(), strict=True,
        ):  # fmt: skip
            key = f"{high:016x}{low:016x}"
            if is_label:
                text = (
                    f'{{"prediction_id":"{key}","model":"risk-{m:03d}","label":{y:d},'
                    f'"ts":{y_ms},"source":"case-management","reviewer":"team-7"}}'
                )
            else:
                text = (
                    f'{{"prediction_id":"{key}","model":"risk-{m:03d}","version":"2025-01",'
                    f'"ts":{ts_ms},"score":{s},"segments":{{"country":"{COUNTRIES[c]}"}}}}'
                )
            yield is_label, key.encode(), text.encode(), is_label and y
