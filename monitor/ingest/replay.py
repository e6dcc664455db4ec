"""Replay: prediction and label files to Kafka, as events in the order they would have arrived.

Guarantees: events leave in order of their own time, predictions before labels at the same
millisecond, the file's order within that; scores arrive as the same doubles; `publish` returns
only when the broker has acknowledged every message. Must never: set a record's timestamp (an
event may not be newer than its record, and replayed events are old), or lose an error.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
from kafka import KafkaProducer
from kafka.errors import KafkaError

from monitor.core.kinds import Kind
from monitor.ingest.faults import PublishError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from monitor.ingest.files import LabelFile, PredictionFile

CHUNK = 5_000
"""Messages that may be unacknowledged at once: bounds memory, costs a few ms a chunk."""

PACE_S = 0.5
"""Longest wait between two calls of `pace` while `speed` holds events back."""
TICK_S = 0.01
"""Shortest wait: events due within it are sent together."""

Topic = Literal["predictions", "labels"]


class ReplayEvent(NamedTuple):
    """One message: kind of topic, key (the prediction id), JSON, and event time in epoch ms."""

    topic: Topic
    key: bytes
    value: bytes
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is: messages acknowledged, and event time of the last, in epoch ms."""

    published: int
    ts_ms: int


class _Prediction(msgspec.Struct, frozen=True, gc=False):
    prediction_id: str
    model: str
    version: str
    ts: int
    score: float
    segments: dict[str, str]


class _Stated(msgspec.Struct, frozen=True, omit_defaults=True):
    """A prediction of another kind, in one of the fields after `ts`."""

    prediction_id: str
    model: str
    version: str
    ts: int
    probs: dict[str, float] | None = None
    confidences: dict[str, float] | None = None
    quantiles: dict[str, float] | None = None
    segments: dict[str, str] = {}


class _Label(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    prediction_id: str
    model: str
    ts: int
    label: int | float | str | None = None
    op: str = "upsert"


def arrival_order(
    predictions: PredictionFile, labels: LabelFile, *, segments: Collection[str] | None = None
) -> Iterator[ReplayEvent]:
    """All events of two files, merged by time.

    segments: names of the segment columns to send; None sends all that the file has. A label
    whose model is `""` (no prediction has its id) cannot be sent and is left out: callers report
    `labels.unmatched`. Raises ValueError for labels without models: use `with_models` first.
    """
    if labels.model is None:
        msg = f"{labels.source} names no models; resolve them with with_models"
        raise ValueError(msg)
    return _merged(predictions, labels, labels.model, segments)


def producer(
    bootstrap: str, *, api_version: tuple[int, int] | None = None, **settings: object
) -> KafkaProducer:
    """A producer for `publish`: lz4, idempotent, all acknowledgements.

    bootstrap: `host:port`, several joined by commas; api_version: None asks the broker;
    settings: further ones of kafka-python, as security_protocol. Raises PublishError if no
    broker answers.
    """
    chosen: dict[str, object] = {
        "bootstrap_servers": bootstrap.split(","),
        "api_version": api_version,
        "compression_type": "lz4",
        "batch_size": 128 * 1024,
        "linger_ms": 20,
    }
    try:
        return KafkaProducer(**(chosen | settings))
    except KafkaError as error:
        msg = f"no Kafka answers at {bootstrap}: {error}; check the address and that it runs"
        raise PublishError(msg) from error


def publish(  # noqa: PLR0913  # three optional hooks, by name only
    events: Iterable[ReplayEvent],
    kafka: KafkaProducer,
    topics: Mapping[Topic, str],
    *,
    speed: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    pace: Callable[[int], None] | None = None,
) -> int:
    """Send events and return how many, all of them acknowledged.

    topics: name of the topic for each kind. Both are keyed by the prediction id, so topics with
    equal partition counts hold an id in partitions of the same number.
    speed: event seconds per wall second; None sends as fast as Kafka takes them.
    pace: called with the number acknowledged so far, at least twice a second while waiting and
    before every chunk; it may block to hold the replay back, or raise to end it.
    Raises PublishError for the first message that Kafka did not take; later ones may be sent.
    """
    if speed is not None and speed <= 0:
        msg = f"speed is {speed}; give event seconds per second, above 0"
        raise ValueError(msg)
    published = 0
    for chunk in _chunks(events, speed):
        if pace:
            pace(published)
        if not chunk:
            continue
        _deliver(chunk, kafka, topics, published)
        published += len(chunk)
        if on_progress:
            on_progress(Progress(published, chunk[-1].ts_ms))
    return published


def _merged(
    predictions: PredictionFile,
    labels: LabelFile,
    label_model: NDArray[np.object_],
    segments: Collection[str] | None,
) -> Iterator[ReplayEvent]:
    encode = msgspec.json.Encoder().encode
    n = len(predictions)
    ts_ms = np.concatenate([predictions.ts_ms, labels.ts_ms])
    order = np.argsort(ts_ms, kind="stable")  # predictions come first in ts_ms, and so in ties
    for row in order.tolist():
        ts = int(ts_ms[row])
        if row < n:
            key = predictions.prediction_id[row]
            value = encode(_prediction(predictions, row, ts, segments))
            yield ReplayEvent("predictions", key.encode(), value, ts)
        elif label_model[row - n]:
            key, model = labels.prediction_id[row - n], label_model[row - n]
            label = _label(labels, row - n)
            if label is None:
                message = _Label(key, model, ts, op="retract")
            else:
                message = _Label(key, model, ts, label)
            yield ReplayEvent("labels", key.encode(), encode(message), ts)


def _prediction(
    predictions: PredictionFile, row: int, ts: int, segments: Collection[str] | None
) -> _Prediction | _Stated:
    """One row as the message that it was."""
    own = {
        name: values[row]
        for name, values in predictions.segments.items()
        if values[row] and (segments is None or name in segments)
    }
    identity = (predictions.prediction_id[row], predictions.model[row], predictions.version[row])
    if predictions.claims.kind is Kind.BINARY:
        return _Prediction(*identity, ts, float(predictions.score[row]), own)
    numbers = {
        name.split("_", 1)[1]: float(values[row])
        for name, values in predictions.numbers.items()
        if not np.isnan(values[row])
    }
    kind = predictions.claims.kind
    return _Stated(
        *identity,
        ts,
        probs=numbers if kind is Kind.MULTICLASS else None,
        confidences=numbers if kind is Kind.LLM else None,
        quantiles=numbers if kind is Kind.REGRESSION else None,
        segments=own,
    )


def _label(labels: LabelFile, row: int) -> float | str | None:
    """The label as it is sent: a class by name, a whole number as one; None for a retraction."""
    label = float(labels.label[row])
    if np.isnan(label):
        return None
    if labels.names is not None:
        return str(labels.names[row])
    return int(label) if label.is_integer() else label


def _chunks(events: Iterable[ReplayEvent], speed: float | None) -> Iterator[list[ReplayEvent]]:
    """Events that may be sent now, a chunk at a time; an empty chunk before each wait."""
    remaining = iter(events)
    waiting = next(remaining, None)
    if waiting is None:
        return
    started_s, first_ms = time.monotonic(), waiting.ts_ms
    while waiting is not None:
        due_ms = float("inf")
        if speed is not None:
            due_ms = first_ms + (time.monotonic() - started_s) * speed * 1000
            early_s = (waiting.ts_ms - due_ms) / 1000 / speed
            if early_s > 0:
                yield []
                time.sleep(min(max(early_s, TICK_S), PACE_S))
                continue
        chunk: list[ReplayEvent] = []
        while waiting is not None and waiting.ts_ms <= due_ms and len(chunk) < CHUNK:
            chunk.append(waiting)
            waiting = next(remaining, None)
        yield chunk


def _deliver(
    chunk: list[ReplayEvent], kafka: KafkaProducer, topics: Mapping[Topic, str], before: int
) -> None:
    """Send a chunk and wait for every acknowledgement."""
    try:
        pending = [kafka.send(topics[e.topic], key=e.key, value=e.value) for e in chunk]
        kafka.flush()
        for future in pending:
            future.get()
    except KafkaError as error:
        msg = f"Kafka refused a message after {before} were acknowledged: {error!r}"
        raise PublishError(msg) from error
