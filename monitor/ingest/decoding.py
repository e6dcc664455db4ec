"""A polled batch to columns: every record becomes an event, or a dead letter with its reason.

Guarantees: every record is a prediction, a label, a change, a dead letter, or what sampling left
out (tallied); order within a partition is kept. A prediction of another kind than binary, and each
of its labels, is a row for each of its model's claims. Must never: let one bad record hold up the
others.

A batch without a fault, which is nearly every one, is decoded and checked as a whole; one with a
fault is decoded record by record. Both give the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from xxhash import xxh3_64_intdigest

from monitor.core.counting.tallies import Tally, TallyKind, count_by_model
from monitor.core.events import ChangeEvent, LabelColumns, PredictionColumns
from monitor.ingest.formats import (
    NEWEST_MS,
    UNUSABLE,
    LabelEvent,
    LabelOfAnyKind,
    PredictionEvent,
    PredictionOfAnyKind,
    Refusal,
    decode_change,
    decode_label,
    decode_labels,
    decode_prediction,
    decode_predictions,
    refused_label,
    refused_time,
    times_ms,
)
from monitor.ingest.other_kinds import OtherKinds
from monitor.ingest.records import dead_letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from numpy.typing import NDArray

    from monitor.ingest.records import Record
    from monitor.ingest.series_book import SeriesBook
    from monitor.store.ingest import DeadLetter


_Prediction: TypeAlias = PredictionEvent | PredictionOfAnyKind
_Label: TypeAlias = LabelEvent | LabelOfAnyKind
_PLAIN = (PredictionEvent, LabelEvent)
_Event = TypeVar("_Event")
_Decoded = TypeVar("_Decoded")


@dataclass(frozen=True, slots=True)
class Decoded:
    """One batch, decoded. Changes are (topic, partition, offset, event).

    shard: a partition that sent one of the predictions or labels, -1 without any.
    """

    predictions: PredictionColumns
    labels: LabelColumns
    changes: list[tuple[str, int, int, ChangeEvent]]
    dead_letters: list[DeadLetter]
    tallies: Counter[Tally]
    shard: int = -1


class Decoding:
    """Decoder of batches: the hash seed, the allowed clock skew and the series book."""

    def __init__(self, book: SeriesBook, hash_seed: int, max_future_skew: timedelta) -> None:
        self._book = book
        self._seed = hash_seed
        self._skew_ms = int(max_future_skew.total_seconds() * 1000)
        self._others = OtherKinds(book, self.keys, self._latest_ms)

    def decode(
        self,
        predictions: Sequence[Record],
        labels: Sequence[Record],
        changes: Sequence[Record],
    ) -> Decoded:
        """Decode records that are sorted by offset within each partition."""
        dead: list[DeadLetter] = []
        tallies: Counter[Tally] = Counter()
        changed = [
            (record.topic, record.partition, record.offset, change)
            for record, change in self._one_by_one(changes, decode_change, dead)
        ]
        return Decoded(
            self._predictions(predictions, dead, tallies),
            self._labels(labels, dead, tallies),
            changed,
            dead,
            tallies,
            next((record.partition for record in (*predictions[:1], *labels[:1])), -1),
        )

    def keys(self, prediction_ids: Sequence[str], model: NDArray[np.int32]) -> NDArray[np.uint64]:
        """Seeded 64-bit hashes of what joins a label to its prediction; one an event."""
        encoded = map(str.encode, prediction_ids)
        hashed = np.fromiter(
            map(xxh3_64_intdigest, encoded, repeat(self._seed)), np.uint64, len(prediction_ids)
        )
        return hashed ^ self._salts(model)

    def _salts(self, model: NDArray[np.int32]) -> NDArray[np.uint64]:
        """A constant a model, so that one id under two models makes two keys."""
        distinct, inverse = np.unique(model, return_inverse=True)
        salts = [
            xxh3_64_intdigest(number.to_bytes(4, "big", signed=True), self._seed)
            for number in distinct.tolist()
        ]
        return np.array(salts, dtype=np.uint64)[inverse]

    def _predictions(
        self, records: Sequence[Record], dead: list[DeadLetter], tallies: Counter[Tally]
    ) -> PredictionColumns:
        records, events, plain = self._events(records, decode_predictions, decode_prediction, dead)
        if plain:
            return self._scores(records, events, dead, tallies)
        binary: list[tuple[Record, _Prediction]] = []
        others: list[tuple[Record, PredictionOfAnyKind]] = []
        for record, event in zip(records, events, strict=True):
            if isinstance(event, PredictionOfAnyKind) and event.score is None:
                others.append((record, event))
            else:
                binary.append((record, event))
        scores = self._scores([r for r, _ in binary], [e for _, e in binary], dead, tallies)
        stated = self._others.predictions(others, dead, tallies)
        return PredictionColumns.concatenated([scores, stated])

    def _scores(
        self,
        records: Sequence[Record],
        events: Sequence[_Prediction],
        dead: list[DeadLetter],
        tallies: Counter[Tally],
    ) -> PredictionColumns:
        """Binary predictions."""
        series = self._book.series([(e.model, e.version, bytes(e.segments)) for e in events])
        ts_ms = times_ms([e.ts for e in events])
        refused = self._untimely(records, ts_ms) | (series < 0)
        for i in np.flatnonzero(refused).tolist():
            why = refused_time(events[i].ts, self._latest_ms(records[i]))
            dead.append(dead_letter(records[i], why or self._book.refusal(series[i])))
        model = self._book.model_of(series)
        key = self.keys([e.prediction_id for e in events], model)
        columns = PredictionColumns(
            key,
            np.array([r.partition for r in records], dtype=np.int32),
            series,
            ts_ms,
            np.array([e.score for e in events], dtype=np.float64),
        )
        unsampled = ~refused & (key > self._book.sample_limit(model))
        count_by_model(tallies, TallyKind.UNSAMPLED_PREDICTION, model[unsampled])
        dropped = refused | unsampled
        return columns.take(~dropped) if dropped.any() else columns

    def _labels(
        self, records: Sequence[Record], dead: list[DeadLetter], tallies: Counter[Tally]
    ) -> LabelColumns:
        records, events, plain = self._events(records, decode_labels, decode_label, dead)
        model = self._book.models([e.model for e in events])
        if plain and not self._book.claims:
            return self._answers(records, events, model, dead, tallies)
        is_other = np.isin(model, list(self._book.claims))
        numeric = self._numeric(records, events, ~is_other, dead)
        own = ([records[i] for i in numeric], [events[i] for i in numeric], model[numeric])
        others = [(records[i], events[i]) for i in np.flatnonzero(is_other).tolist()]
        return LabelColumns.concatenated(
            [
                self._answers(*own, dead, tallies),
                *self._others.labels(others, model[is_other], dead, tallies),
            ]
        )

    def _numeric(
        self,
        records: Sequence[Record],
        events: Sequence[_Label],
        chosen: NDArray[np.bool_],
        dead: list[DeadLetter],
    ) -> list[int]:
        """Which of the chosen labels are no text; those that are cannot be used."""
        numeric = []
        for i in np.flatnonzero(chosen).tolist():
            refused = refused_label(events[i]) if isinstance(events[i].label, str) else None
            if refused is None:
                numeric.append(i)
            else:
                untimely = refused_time(events[i].ts, self._latest_ms(records[i]))
                dead.append(dead_letter(records[i], untimely or refused))
        return numeric

    def _answers(
        self,
        records: Sequence[Record],
        events: Sequence[_Label],
        model: NDArray[np.int32],
        dead: list[DeadLetter],
        tallies: Counter[Tally],
    ) -> LabelColumns:
        """Labels of binary predictions."""
        ts_ms = times_ms([e.ts for e in events])
        retracted = np.array([e.op == "retract" for e in events], dtype=np.bool_)
        label = _numbers([e.label for e in events])  # type: ignore[misc]  # texts were refused
        label[retracted] = np.nan
        refused = self._untimely(records, ts_ms) | (model < 0)
        refused |= ~retracted & (label != 0) & (label != 1)
        for i in np.flatnonzero(refused).tolist():
            why = refused_time(events[i].ts, self._latest_ms(records[i]))
            why = why or refused_label(events[i]) or self._book.refusal(model[i])
            dead.append(dead_letter(records[i], why))
        key = self.keys([e.prediction_id for e in events], model)
        columns = LabelColumns(
            key, np.array([r.partition for r in records], dtype=np.int32), model, ts_ms, label
        )
        unsampled = ~refused & (key > self._book.sample_limit(model))
        count_by_model(tallies, TallyKind.UNSAMPLED_LABEL, model[unsampled])
        dropped = refused | unsampled
        return columns.take(~dropped) if dropped.any() else columns

    def _events(
        self,
        records: Sequence[Record],
        decode_all: Callable[[Sequence[bytes | None]], Sequence[_Event]],
        decode_one: Callable[[bytes | None, int], _Event | Refusal],
        dead: list[DeadLetter],
    ) -> tuple[Sequence[Record], Sequence[_Event], bool]:
        """The records that can be decoded, their events, and whether all are of the plain form."""
        try:
            events = decode_all([record.value for record in records])
        except UNUSABLE:
            # Which of them it is, and why, is found record by record.
            found = list(self._one_by_one(records, decode_one, dead))
            plain = all(isinstance(event, _PLAIN) for _, event in found)
            return [record for record, _ in found], [event for _, event in found], plain
        return records, events, isinstance(next(iter(events), None), _PLAIN)  # all are of one type

    def _one_by_one(
        self,
        records: Sequence[Record],
        decode: Callable[[bytes | None, int], _Decoded | Refusal],
        dead: list[DeadLetter],
    ) -> Iterator[tuple[Record, _Decoded]]:
        for record in records:
            found = decode(record.value, self._latest_ms(record))
            if isinstance(found, Refusal):
                dead.append(dead_letter(record, found))
            else:
                yield record, found

    def _untimely(self, records: Sequence[Record], ts_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which events are newer than their message allows, or outside the times that are kept."""
        published_ms = np.array([record.timestamp for record in records], dtype=np.int64)
        told = (published_ms >= 0) & (published_ms <= NEWEST_MS)
        latest_ms = np.where(told, published_ms + self._skew_ms, NEWEST_MS)
        return (ts_ms > latest_ms) | (ts_ms < 0) | (ts_ms > NEWEST_MS)

    def _latest_ms(self, record: Record) -> int:
        told = 0 <= record.timestamp <= NEWEST_MS
        return record.timestamp + self._skew_ms if told else NEWEST_MS


def _numbers(labels: Sequence[bool | float | None]) -> NDArray[np.float64]:
    """Labels as doubles; NaN where there is none, infinite where a double cannot hold it."""
    try:
        return np.array(labels, dtype=np.float64)
    except OverflowError:
        return np.array([_double(label) for label in labels], dtype=np.float64)


def _double(label: float | None) -> float:
    try:
        return float("nan") if label is None else float(label)
    except OverflowError:
        return float("inf")
