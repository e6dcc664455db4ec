"""Names to numbers: what is refused, what is bounded, and which events a sample holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.counting.tallies import Tally, TallyKind
from monitor.core.policies import Policy
from monitor.ingest import series_book
from monitor.ingest.decoding import Decoding
from monitor.ingest.series_book import SeriesBook
from monitor.store.ingest import IngestStore

if TYPE_CHECKING:
    from sqlalchemy import Engine

POLICY = Policy(segments=("country",))


@dataclass
class Message:
    value: bytes | None
    offset: int = 0
    topic: str = "topic"
    partition: int = 0
    timestamp: int = -1
    key: bytes | None = None


def prediction(number: int, model: str = "m") -> Message:
    text = f'{{"prediction_id":"{number}","model":"{model}","version":"1","ts":1000,"score":0.5}}'
    return Message(text.encode(), number)


def label(number: int, model: str = "m") -> Message:
    text = f'{{"prediction_id":"{number}","model":"{model}","ts":2000,"label":1}}'
    return Message(text.encode(), number)


def book(engine: Engine, policy: Policy | None = POLICY) -> SeriesBook:
    return SeriesBook(IngestStore(engine), lambda _: policy)


def test_numbers_are_the_same_for_every_worker(engine: Engine) -> None:
    one, other = book(engine), book(engine)
    sightings = [("m", "1", b"{}"), ("m", "2", b"{}"), ("m", "1", b'{"country":"DE"}')]
    mine = one.series(sightings)
    assert len(set(mine.tolist())) == 3
    assert np.array_equal(other.series(sightings[::-1]), mine[::-1])
    assert one.models(["m", "m"]).tolist() == other.models(["m", "m"]).tolist()


def test_a_worker_learns_what_another_registered(engine: Engine) -> None:
    """Its blocks may name them when partitions move."""
    one, other = book(engine), book(engine)
    [series] = one.series([("new", "1", b"{}")])
    other.refresh()
    assert other.model_of(np.array([series])) == one.models(["new"])
    assert len(other.correction_ms()) == len(one.correction_ms())


@pytest.mark.parametrize(
    ("sighting", "reason"),
    [
        (("m", "1", b"[1]"), "bad_segments"),
        (("m", "1", b'{"country":"' + 801 * b"x" + b'"}'), "bad_segments"),
        (("m", "a\x00b", b"{}"), "bad_text"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    engine: Engine, sighting: tuple[str, str, bytes], reason: str
) -> None:
    known = book(engine)
    [code] = known.series([sighting])
    assert code < 0
    assert known.refusal(code).reason == reason
    assert known.model_of(np.array([code], dtype=np.int32)) < 0


def test_an_undeclared_model_may_come_first(engine: Engine) -> None:
    known = book(engine, None)
    [of_series], [of_model] = known.series([("x", "1", b"{}")]), known.models(["x"])
    assert known.refusal(of_series).reason == known.refusal(of_model).reason == "unknown_model"


def test_a_flood_of_names_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_book, "MAX_SERIES", 5)
    monkeypatch.setattr(series_book, "MAX_MODELS", 3)
    known = book(engine)
    found = known.series([("m", str(version), b"{}") for version in range(9)])
    assert (found >= 0).tolist() == 5 * [True] + 4 * [False]
    [more] = known.series([("m", "one more", b"{}")])
    assert known.refusal(more).reason == "too_many_series"
    codes = known.models([f"m{i}" for i in range(9)])
    assert (codes >= 0).sum() == 2
    assert known.refusal(codes[-1]).reason == "too_many_models"


def test_values_beyond_the_first_are_pooled_by_every_worker_alike(engine: Engine) -> None:
    policy = Policy(segments=("country",), max_segment_values=2)
    one, other = book(engine, policy), book(engine, policy)
    raw = [f'{{"country":"{name}"}}'.encode() for name in ("DE", "FR", "IT", "ES", "DE")]
    found = one.series([("m", "1", each) for each in raw])
    names = {index: series.segment for index, series, _ in one.table.items()}
    assert [names[index] for index in found.tolist()] == [
        "country=DE", "country=FR", "country=other", "country=other", "country=DE",
    ]  # fmt: skip
    other.refresh()
    assert other.series([("m", "1", raw[3])]).tolist() == [found[3]]
    assert other.series([("m", "2", raw[4])]).tolist() != [found[4]]


def test_spellings_are_forgotten_before_they_fill_the_memory(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_book, "MAX_SIGHTING_BYTES", 10_000)
    known = book(engine)
    first = known.series([("m", "1", b"{}")])
    for i in range(100):
        spelling = b'{"other":"' + str(i).encode() + 1000 * b"x" + b'"}'
        assert known.series([("m", "1", spelling)]) == first
    assert known.sightings < 20


def test_a_sample_holds_a_prediction_and_its_label_or_neither(engine: Engine) -> None:
    decoding = Decoding(book(engine, Policy(sample_rate=0.3)), 42, timedelta())
    numbers = range(4000)
    found = decoding.decode([prediction(n) for n in numbers], [label(n) for n in numbers], [])
    assert set(found.predictions.key.tolist()) == set(found.labels.key.tolist())
    # 0.3 of 4000, four standard deviations of a binomial either way
    assert abs(len(found.labels) - 1200) < 4 * (4000 * 0.3 * 0.7) ** 0.5
    left_out = 4000 - len(found.labels)
    [model] = set(found.labels.model.tolist())
    assert found.tallies == {
        Tally(TallyKind.UNSAMPLED_PREDICTION, model, -1): left_out,
        Tally(TallyKind.UNSAMPLED_LABEL, model, -1): left_out,
    }


def test_a_larger_sample_holds_the_smaller_one(engine: Engine) -> None:
    keys = []
    for rate in (0.1, 0.4, 1.0):
        decoding = Decoding(book(engine, Policy(sample_rate=rate)), 42, timedelta())
        found = decoding.decode([prediction(n) for n in range(1000)], [], [])
        keys.append(set(found.predictions.key.tolist()))
    assert keys[0] < keys[1] < keys[2]
    assert len(keys[2]) == 1000


def test_one_id_under_two_models_is_two_predictions(engine: Engine) -> None:
    decoding = Decoding(book(engine), 42, timedelta())
    found = decoding.decode([prediction(1, "a"), prediction(1, "b")], [label(1, "b")], [])
    of_a, of_b = found.predictions.key.tolist()
    assert of_a != of_b
    assert found.labels.key.tolist() == [of_b]


def test_a_batch_with_a_fault_gives_what_the_others_give_without_it(engine: Engine) -> None:
    """A whole batch is decoded at once; with a fault in it, record by record."""
    decoding = Decoding(book(engine), 42, timedelta())
    messages = [prediction(n) for n in range(50)], [label(n) for n in range(50)]
    clean = decoding.decode(*messages, [])
    broken = Message(b"{", 99)
    spoilt = decoding.decode([broken, *messages[0]], [*messages[1], broken], [])
    assert np.array_equal(clean.predictions.key, spoilt.predictions.key)
    assert np.array_equal(clean.labels.label, spoilt.labels.label)
    assert clean.dead_letters == []
    assert [letter.reason for letter in spoilt.dead_letters] == ["not_json"] * 2
