"""A polled batch to columns: every record becomes an event, or a dead letter with its reason.

Guarantees: len(records) = predictions + labels + changes + dead letters; order within a partition
is kept. Must never: let one bad record hold up the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np
from xxhash import xxh3_64_intdigest

from monitor.core.events import ChangeEvent, LabelColumns, PredictionColumns
from monitor.ingest.formats import (
    MAX_BYTES,
    NEWEST_MS,
    LabelEvent,
    PredictionEvent,
    Refusal,
    decode_change,
    decode_label,
    decode_prediction,
    epoch_ms,
)
from monitor.store.ingest import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.ingest.series_book import SeriesBook


class Record(Protocol):
    """What is used of a consumer's record; timestamp is epoch milliseconds, negative if none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Decoded:
    """One batch, decoded. Changes are (topic, partition, offset, event)."""

    predictions: PredictionColumns
    labels: LabelColumns
    changes: list[tuple[str, int, int, ChangeEvent]]
    dead_letters: list[DeadLetter]


class Decoding:
    """Decoder of batches: the hash seed, the allowed clock skew and the series book."""

    def __init__(self, book: SeriesBook, hash_seed: int, max_future_skew: timedelta) -> None:
        self._book = book
        self._seed = hash_seed
        self._skew_ms = int(max_future_skew.total_seconds() * 1000)

    def decode(
        self,
        predictions: Sequence[Record],
        labels: Sequence[Record],
        changes: Sequence[Record],
    ) -> Decoded:
        """Decode records that are sorted by offset within each partition."""
        dead: list[DeadLetter] = []
        p_events: list[tuple[Record, PredictionEvent]] = []
        y_events: list[tuple[Record, LabelEvent]] = []
        c_events: list[tuple[str, int, int, ChangeEvent]] = []
        for record in predictions:
            prediction = decode_prediction(record.value, self._latest_ms(record))
            if isinstance(prediction, Refusal):
                dead.append(dead_letter(record, prediction))
            else:
                p_events.append((record, prediction))
        for record in labels:
            label = decode_label(record.value, self._latest_ms(record))
            if isinstance(label, Refusal):
                dead.append(dead_letter(record, label))
            else:
                y_events.append((record, label))
        for record in changes:
            change = decode_change(record.value, self._latest_ms(record))
            if isinstance(change, Refusal):
                dead.append(dead_letter(record, change))
            else:
                c_events.append((record.topic, record.partition, record.offset, change))
        self._book.learn(
            ((e.model, e.version, bytes(e.segments)) for _, e in p_events),
            (e.model for _, e in y_events),
        )
        return Decoded(
            self._prediction_columns(p_events, dead),
            self._label_columns(y_events, dead),
            c_events,
            dead,
        )

    def key(self, model: str, prediction_id: str) -> int:
        """Seeded 64-bit hash of what joins a label to its prediction."""
        return int(xxh3_64_intdigest(f"{len(model)}:{model}{prediction_id}".encode(), self._seed))

    def _latest_ms(self, record: Record) -> int:
        return record.timestamp + self._skew_ms if record.timestamp >= 0 else NEWEST_MS

    def _prediction_columns(
        self, events: list[tuple[Record, PredictionEvent]], dead: list[DeadLetter]
    ) -> PredictionColumns:
        rows = []
        for record, event in events:
            series = self._book.series((event.model, event.version, bytes(event.segments)))
            if isinstance(series, Refusal):
                dead.append(dead_letter(record, series))
                continue
            key = self.key(event.model, event.prediction_id)
            rows.append((key, record.partition, series, epoch_ms(event.ts), event.score))
        key_, shard, series_, ts_ms, score = zip(*rows, strict=True) if rows else ((),) * 5
        return PredictionColumns(
            np.array(key_, dtype=np.uint64),
            np.array(shard, dtype=np.int32),
            np.array(series_, dtype=np.int32),
            np.array(ts_ms, dtype=np.int64),
            np.array(score, dtype=np.float64),
        )

    def _label_columns(
        self, events: list[tuple[Record, LabelEvent]], dead: list[DeadLetter]
    ) -> LabelColumns:
        rows = []
        for record, event in events:
            model = self._book.model(event.model)
            if isinstance(model, Refusal):
                dead.append(dead_letter(record, model))
                continue
            retracted = event.op == "retract" or event.label is None
            label = float("nan") if retracted or event.label is None else float(event.label)
            key = self.key(event.model, event.prediction_id)
            rows.append((key, record.partition, model, epoch_ms(event.ts), label))
        key_, shard, model_, ts_ms, labels = zip(*rows, strict=True) if rows else ((),) * 5
        return LabelColumns(
            np.array(key_, dtype=np.uint64),
            np.array(shard, dtype=np.int32),
            np.array(model_, dtype=np.int32),
            np.array(ts_ms, dtype=np.int64),
            np.array(labels, dtype=np.float64),
        )


def dead_letter(record: Record, refusal: Refusal) -> DeadLetter:
    """The record with the reason it cannot be used; at most MAX_BYTES of it are kept."""
    return DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        refusal.reason,
        refusal.detail.replace("\x00", "\\0"),
        None if record.key is None else record.key[:MAX_BYTES],
        None if record.value is None else record.value[:MAX_BYTES],
        datetime.fromtimestamp(record.timestamp / 1000, UTC) if record.timestamp >= 0 else None,
    )
