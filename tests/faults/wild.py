"""A wild stream of events, and what must be counted of it whatever happens on the way.

Labels come before predictions, twice, corrected, retracted, late and past the horizon; predictions
come twice, too late or never; one id stands under two models, and one model has two versions.
Every message names its partition, so that its offset is known, and what is expected depends on
the order within a partition alone.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.core.counting.join import JoinIndex
from tests.naive_join import (
    CORRECTION_S,
    DAY_MS,
    HORIZON_S,
    PANE_S,
    Dictionary,
    Event,
    Label,
    Prediction,
    columns,
    series_table,
)

NAMES = {0: ("m0", "1"), 1: ("m0", "2"), 2: ("m1", "1")}
"""Model and version of the dictionary's series; model m<n> is number n of its table."""

POLICY_YAML = (
    f"{{pane: {PANE_S}s, cohort: 10m, label_horizon: {HORIZON_S}s, "
    f"correction_horizon: {CORRECTION_S}s}}"
)

FIRST_S, LAST_S = 60, 600
"""Prediction times; the newest of all makes those before `FIRST_S` too late, and no other."""
_NEWEST_S = FIRST_S - 10 + CORRECTION_S
_ON_TIME_AGES_S = (-5, 1, 20, 50, 99, 100)
_LATE_AGES_S = (101, 400, 999, 1000, 1001, 1500)
_SPREAD = 300  # ids that are under way at once
_BAD: tuple[tuple[str, bytes, str], ...] = (
    ("predictions", b"not json", "not_json"),
    ("labels", b'{"prediction_id": "2"}', "missing_field"),
    ("changes", b"[]", "bad_value"),
    ("predictions", b"", "empty"),
)

Cell = tuple[int, int, bool, int]


class Message(NamedTuple):
    """One message of the stream. topic: predictions, labels or changes."""

    topic: str
    partition: int
    key: str
    value: bytes


class Letter(NamedTuple):
    """A dead letter that is expected."""

    topic: str
    partition: int
    offset: int
    reason: str


class Item(NamedTuple):
    """A message with its offset, and the event in it, if it is a prediction or a label."""

    message: Message
    offset: int
    event: Event | None


@dataclass(frozen=True)
class Wild:
    """Messages in order of publishing, and what a monitor must make of them.

    tallies: by kind and model name; changes: (partition, offset) of every change event.
    """

    items: list[Item]
    counts: dict[Cell, tuple[int, ...]]
    tallies: Counter[tuple[str, str]]
    letters: list[Letter]
    changes: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def messages(self) -> list[Message]:
        return [item.message for item in self.items]

    def without(self, topic: str, partition: int, from_offset: int, to_offset: int) -> Wild:
        """What is left when one partition lost [from_offset, to_offset); offsets stay."""
        lost = range(from_offset, to_offset)
        return _expected(
            [
                item
                for item in self.items
                if item.message[:2] != (topic, partition) or item.offset not in lost
            ]
        )


def wild(seed: int, ids: int, partitions: int = 4, label_partitions: int | None = None) -> Wild:
    """A stream of about 3.9 messages an id, the same for the same arguments."""
    rng = random.Random(seed)
    events = _shuffled(rng, ids) + _too_late(ids + 1, partitions)
    counts = {"predictions": partitions, "labels": label_partitions or partitions}
    found: list[tuple[Message, Event | None]] = [(_message(e, counts), e) for e in events]
    for number in range(ids // 20):
        place = rng.randrange(len(found))
        found.insert(place, (_not_an_event(rng, number, min(counts.values())), None))
    sent: Counter[tuple[str, int]] = Counter()
    items = []
    for message, event in found:
        items.append(Item(message, sent[message.topic, message.partition], event))
        sent[message.topic, message.partition] += 1
    return _expected(items)


def _shuffled(rng: random.Random, ids: int) -> list[Event]:
    """The events of every id in their own order, those of many ids at once."""
    placed: list[tuple[float, Event]] = []
    for number in range(1, ids + 1):
        for model in {0, rng.choice([0, 1])}:
            mine = _one_key(rng, number * 2 + model, model)
            places = sorted(number + rng.uniform(0, _SPREAD) for _ in mine)
            placed += zip(places, mine, strict=True)
    placed.sort(key=lambda pair: pair[0])
    return [event for _, event in placed]


def _one_key(rng: random.Random, key: int, model: int) -> list[Event]:
    ts_s = rng.randrange(FIRST_S, LAST_S)

    def predicted() -> Prediction:
        series = 2 if model else rng.choice([0, 0, 1])
        return Prediction(key, series, ts_s, rng.choice([0.3, 0.7, 1.0, rng.random()]))

    # A second prediction may have another score or version: the first one counts.
    predictions = [predicted() for _ in range(rng.choice([0, 1, 1, 1, 1, 1, 1, 2, 2]))]
    labels = _labels(rng, key, model, ts_s)
    turns = [True] * len(predictions) + [False] * len(labels)
    if rng.random() < 0.4:
        rng.shuffle(turns)
    # Labels keep their order among themselves, wherever the predictions come.
    first, second = iter(predictions), iter(labels)
    return [next(first) if turn else next(second) for turn in turns]


def _labels(rng: random.Random, key: int, model: int, ts_s: int) -> list[Label]:
    """Labels at different times; one is repeated only where its tally cannot depend on whether
    its prediction came before or after it."""
    ages = rng.sample(_ON_TIME_AGES_S + _LATE_AGES_S, rng.choice([0, 1, 1, 1, 2, 3]))
    if rng.random() < 0.7:
        ages.sort()
    found: list[Label] = []
    for age_s in ages:
        value = rng.choice([0.0, 1.0, 1.0, float("nan")])
        label = Label(key, model, ts_s + age_s, value)
        is_newest = all(label.ts_s > other.ts_s for other in found)
        found.append(label)
        if is_newest and age_s <= HORIZON_S and rng.random() < 0.2:
            found.append(label)
    return found


def _too_late(first_id: int, partitions: int) -> list[Event]:
    """At the end: in every partition a newest prediction, and three that are too old after it."""
    found: list[Event] = []
    for number in range(first_id, first_id + partitions * 4):
        jump = number < first_id + partitions
        found.append(Prediction(number * 2, 0, _NEWEST_S if jump else FIRST_S - 20, 0.5))
    return found


def _message(event: Event, partitions: dict[str, int]) -> Message:
    prediction_id = event.key // 2
    body: dict[str, object] = {"prediction_id": str(prediction_id)}
    body["ts"] = DAY_MS + event.ts_s * 1000
    if isinstance(event, Prediction):
        topic = "predictions"
        model, version = NAMES[event.series]
        body |= {"model": model, "version": version, "score": event.score}
    else:
        topic = "labels"
        body["model"] = f"m{event.model}"
        body |= {"op": "retract"} if np.isnan(event.label) else {"label": int(event.label)}
    value = json.dumps(body).encode()
    return Message(topic, prediction_id % partitions[topic], str(prediction_id), value)


def _not_an_event(rng: random.Random, number: int, partitions: int) -> Message:
    partition = rng.randrange(partitions)
    if number % 5 == 4:
        change = {"model": "m0", "kind": "deploy", "ts": DAY_MS, "description": str(number)}
        return Message("changes", partition, "m0", json.dumps(change).encode())
    topic, value, _ = _BAD[number % len(_BAD)]
    return Message(topic, partition, str(number), value)


def _expected(items: list[Item]) -> Wild:
    tallies: Counter[tuple[str, str]] = Counter()
    newest: dict[tuple[int, int], int] = {}
    timely: list[Event] = []
    for message, _, event in items:
        if isinstance(event, Prediction):
            stream = message.partition, int(event.series == 2)
            before_s = newest.get(stream, event.ts_s)
            newest[stream] = max(before_s, event.ts_s)
            if event.ts_s < before_s - CORRECTION_S:
                tallies["late_prediction", f"m{stream[1]}"] += 1
                continue
        if event is not None:
            timely.append(event)
    dictionary = Dictionary()
    dictionary.feed(timely)
    for tally, n in JoinIndex(series_table()).apply(*columns(timely)).tallies.items():
        tallies[str(tally.kind), f"m{tally.model}"] += n
    others = [(message, offset) for message, offset, event in items if event is None]
    reasons = {value: reason for _, value, reason in _BAD}
    letters = [
        Letter(m.topic, m.partition, offset, reasons[m.value])
        for m, offset in others
        if m.value in reasons
    ]
    changes = [(m.partition, offset) for m, offset in others if m.value not in reasons]
    return Wild(items, dictionary.counts(), +tallies, sorted(letters), sorted(changes))
