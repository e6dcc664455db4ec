"""Any bytes give an event or a dead letter, never an exception, and in bounded memory.

The coverage-guided half is tests/fuzz/fuzz_formats.py; what it finds becomes a case here.
"""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.core.kinds import ClaimSet
from monitor.core.policies import Policy
from monitor.ingest import series_book
from monitor.ingest.decoding import Decoding
from monitor.ingest.formats import (
    MAX_BYTES,
    NEWEST_MS,
    PredictionEvent,
    PredictionOfAnyKind,
    Refusal,
    decode_change,
    decode_label,
    decode_prediction,
    decode_segments,
)
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.stated import label_number, numbers_stated
from monitor.store.ingest import IngestStore
from tests.fuzz.fuzz_formats import TOKENS
from tests.ingest.fuzzed_messages import (
    CHANGE,
    LABEL,
    NOW_MS,
    OTHER_KINDS,
    PREDICTION,
    REASONS,
    SEEDS,
    TEMPLATES,
    check_decoders,
    check_refusal,
    check_segments,
)
from tests.memory_kafka import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

MEMORY_FACTOR = 32
"""Decoding one message allocates at most so many times its own size."""

tokens = st.sampled_from([token.encode() for token in TOKENS])
pieces = tokens | st.binary(max_size=8)
numbers = st.integers() | st.integers(-(2**70), 2**70) | st.floats() | st.integers(10**300, 10**309)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
edges_ms = st.sampled_from([0, 1, NOW_MS, NEWEST_MS, 2**31, 2**53, 2**63, 2**64])
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=offsets | st.just(UTC)).map(datetime.isoformat) | st.sampled_from(
    ["1970-01-01T00:00:00Z", "2096-10-02T07:06:40Z", "2096-10-02T07:06:40.0005Z"]
)
times = moments | st.builds(lambda ms, by: ms + by, edges_ms, st.integers(-2, 2)) | st.text()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid message with some places cut, doubled or overwritten."""
    value = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(value)))
        end = draw(st.integers(start, min(len(value), start + 12)))
        piece = draw(st.sampled_from([value[start:end] * 2, b""]) | pieces)
        value = value[:start] + piece + value[end:]
    return value


@given(value=st.binary(max_size=200) | mutated())
def test_any_bytes_have_an_answer(value: bytes) -> None:
    check_decoders(value)
    check_segments(value)


@given(template=st.sampled_from(TEMPLATES), found=json_values)
def test_any_json_in_any_field_has_an_answer(template: tuple[bytes, bytes], found: object) -> None:
    text = json.dumps(found).encode()  # writes NaN and Infinity too, as many senders do
    check_decoders(template[0] + text + template[1])
    check_segments(text)


@given(template=st.sampled_from(TEMPLATES), found=st.lists(pieces, max_size=6).map(b"".join))
def test_any_bytes_in_any_field_have_an_answer(template: tuple[bytes, bytes], found: bytes) -> None:
    check_decoders(template[0] + found + template[1])
    check_segments(b'{"country": ' + found + b"}")


@given(ts=times)
def test_any_time_has_an_answer(ts: object) -> None:
    for body in (PREDICTION, LABEL, CHANGE):
        check_decoders(json.dumps(body | {"ts": ts}).encode())


names = st.text(max_size=12) | st.sampled_from(["a", "b", "judge", "token_prob", "0.05", "0.95"])
few = st.floats(0, 1) | st.floats() | st.integers()
KINDS = (
    ClaimSet(classes=("a", "b")),
    ClaimSet(sources=("judge", "token_prob")),
    ClaimSet(quantiles=(0.05, 0.95), intervals=(0.9,)),
)


@given(
    template=st.sampled_from(OTHER_KINDS),
    field=st.sampled_from(["probs", "confidences", "logprobs", "quantiles", "interval"]),
    found=json_values | st.dictionaries(names, few, max_size=4) | st.lists(few, max_size=4),
    label=json_values,
)
def test_whatever_is_stated_is_numbers_or_a_refusal(
    template: dict[str, object], field: str, found: object, label: object
) -> None:
    stated = decode_prediction(json.dumps(template | {field: found}).encode(), NOW_MS)
    given_label = decode_label(json.dumps(LABEL | {"label": label}).encode(), NOW_MS)
    for claims in KINDS:
        if isinstance(stated, PredictionOfAnyKind):
            numbers = numbers_stated(stated, claims)
            if isinstance(numbers, Refusal):
                check_refusal(numbers)
            assert not isinstance(numbers, list) or len(numbers) == len(claims.columns)
        if not isinstance(given_label, Refusal):
            number = label_number(given_label, claims)
            if isinstance(number, Refusal):
                check_refusal(number)


def test_of_two_equal_keys_the_last_one_wins() -> None:
    twice = SEEDS[0].replace(b'"score": 0.83', b'"score": 0.5, "score": 0.83')
    event = decode_prediction(twice, NOW_MS)
    assert isinstance(event, PredictionEvent)
    assert event.score == 0.83
    check_decoders(twice)


def field(name: str, value: bytes, body: dict[str, object] = PREDICTION) -> bytes:
    """The message with these bytes as one field's value."""
    return json.dumps(body | {name: "\x01"}).encode().replace(b'"\\u0001"', value)


DEEP = 100_000
HUGE = {
    "open brackets": b"[" * DEEP,
    "nested segments": field("segments", b"[" * DEEP + b"]" * DEEP),
    "nested objects": field("segments", b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "nested in a field of no meaning": field("segments", b"{}")[:-1]
    + b', "x": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "many segments": field(
        "segments", b"{" + b",".join(b'"%x":1' % i for i in range(88_000)) + b"}"
    ),
    "many segments of numbers": field(
        "segments", b"{" + b",".join(b'"%x":%d' % (i, i + 1000) for i in range(64_000)) + b"}"
    ),
    "one long segment": field("segments", b'{"country": "' + b"x" * 1_000_000 + b'"}'),
    "one wide character": field(
        "segments", b'{"country": "' + b"x" * 1_000_000 + "\U0001f600".encode() + b'"}'
    ),
    "escapes": field("segments", b'{"country": "' + b"\\u0041" * 170_000 + b'"}'),
    "many probs": field("probs", b"[" + b"1," * 500_000 + b"1]"),
    "many named probs": field(
        "probs", b"{" + b",".join(b'"%x":1' % i for i in range(88_000)) + b"}"
    ),
    "many intervals": field(
        "interval", b"[" + b",".join([b'{"level":0.5,"lower":1,"upper":2}'] * 29_000) + b"]"
    ),
    "a long id": field("prediction_id", b'"' + b"x" * 1_000_000 + b'"'),
    "a wide id": field("prediction_id", '"{}\U0001f600"'.format("x" * 1_000_000).encode()),
    "a long op": field("op", b'"' + b"x" * 1_000_000 + b'"', LABEL),
    "a long kind": field("kind", b'"' + b"\\u0000" * 170_000 + b'"', CHANGE),
    "a long description": field("description", b'"' + b"x" * 1_000_000 + b'"', CHANGE),
    "a million digits": field("label", b"9" * 1_000_000, LABEL),
    "digits that are still an integer": field("label", b"9" * 4300, LABEL),
    "a million decimals": field("label", b"0." + b"9" * 1_000_000, LABEL),
    "repeated keys": b"{" + b",".join([b'"model": "m"'] * 80_000) + b"}",
    "too large": b" " * (MAX_BYTES + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_message_has_an_answer_in_bounded_memory(name: str) -> None:
    value = HUGE[name]
    assert len(value) <= MAX_BYTES + 1
    check_decoders(value)
    for decode in (decode_prediction, decode_label, decode_change):
        tracemalloc.start()
        found = decode(value, NOW_MS)
        if isinstance(found, PredictionEvent):
            decode_segments(bytes(found.segments))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MEMORY_FACTOR * max(len(value), 10_000)


def prediction(number: int, **changes: object) -> bytes:
    return json.dumps(PREDICTION | {"prediction_id": str(number)} | changes).encode()


def record(value: bytes | None, offset: int = 0, timestamp: int = -1) -> MemoryRecord:
    return MemoryRecord("predictions", 0, offset, timestamp, b"k" * (offset % 3), value)


def policy_for(model: str) -> Policy | None:
    return Policy(segments=("country",)) if model == "m" else None


def decoding(engine: Engine, policies: Callable[[str], Policy | None] = policy_for) -> Decoding:
    return Decoding(SeriesBook(IngestStore(engine), policies), 7, timedelta(minutes=5))


kafka_times = st.sampled_from(
    [
        -1,
        0,
        NOW_MS,
        NEWEST_MS,
        NEWEST_MS + 1,
        NOW_MS * 1000,
        NOW_MS * 1_000_000,
        2**63 - 1,
        -(2**63),
    ]
)
values = (
    st.sampled_from(SEEDS)
    | mutated()
    | st.none()
    | st.builds(
        lambda body, name, found: json.dumps(body | {name: found}).encode(),
        st.sampled_from([PREDICTION, LABEL, CHANGE]),
        st.sampled_from(["model", "version", "segments", "label", "ts", "prediction_id"]),
        json_values | st.sampled_from(["other", {"country": "x"}, {"country": None}]),
    )
)
batches = st.lists(st.builds(record, values, st.just(0), kafka_times), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(predictions=batches, labels=batches, changes=batches)
def test_of_any_batch_every_message_is_an_event_or_a_dead_letter(
    engine: Engine,
    predictions: list[MemoryRecord],
    labels: list[MemoryRecord],
    changes: list[MemoryRecord],
) -> None:
    decoder = decoding(engine)
    whole = decoder.decode(predictions, labels, changes)
    events = len(whole.predictions) + len(whole.labels) + len(whole.changes)
    assert events + len(whole.dead_letters) == len(predictions) + len(labels) + len(changes)
    for letter in whole.dead_letters:
        check_refusal(Refusal(letter.reason, letter.detail))
        assert "\x00" not in letter.detail
    # A bad message changes nothing for its neighbours, nor does the size of the batch.
    single = [decoder.decode([r], [], []) for r in predictions]
    single += [decoder.decode([], [r], []) for r in labels]
    single += [decoder.decode([], [], [r]) for r in changes]
    assert Counter(d.reason for d in whole.dead_letters) == Counter(
        d.reason for one in single for d in one.dead_letters
    )
    assert whole.predictions.key.tolist() == [k for one in single for k in one.predictions.key]
    assert whole.predictions.ts_ms.tolist() == [t for one in single for t in one.predictions.ts_ms]
    assert whole.labels.key.tolist() == [k for one in single for k in one.labels.key]


@pytest.mark.parametrize("bad", [b"x", b"{}"])
def test_of_two_faults_the_same_one_is_told_whatever_stands_beside(
    engine: Engine, bad: bytes
) -> None:
    """Published before its own time, and of another kind than its model: both are true."""
    stated = {"probs": {"a": 0.25, "b": 0.75}}
    other = {k: v for k, v in json.loads(prediction(1)).items() if k != "score"} | stated
    text = LABEL | {"label": "a"}
    early, late = record(json.dumps(other).encode(), 0, 0), record(json.dumps(text).encode(), 0, 0)
    decoder = decoding(engine)
    for beside in ([], [record(bad)]):
        found = decoder.decode([*beside, early], [*beside, late], []).dead_letters
        assert [each.reason for each in found if each.value != bad] == ["future_time"] * 2


@pytest.mark.parametrize("first", ["other", "m\x00"])
def test_the_first_message_of_all_may_be_refused(engine: Engine, first: str) -> None:
    """It stopped ingest for ever: nothing was known yet, not even one series."""
    decoder = decoding(engine)
    refused = decoder.decode([record(prediction(1, model=first))], [], []).dead_letters
    refused += decoder.decode([record(prediction(1, segments=[1]))], [], []).dead_letters
    assert len(refused) == 2


@pytest.mark.parametrize("timestamp", [NOW_MS * 1000, NOW_MS * 1_000_000, 2**63 - 1])
def test_a_publishing_time_that_cannot_be_meant_is_none(engine: Engine, timestamp: int) -> None:
    """It stopped ingest for ever: some senders write micro- or nanoseconds there."""
    sent = [record(b"x", 0, timestamp), record(prediction(1), 1, timestamp)]
    found = decoding(engine).decode(sent, [], [])
    assert [letter.published_at for letter in found.dead_letters] == [None]
    assert len(found.predictions) == 1


@pytest.mark.parametrize("value", ["x" * 900_000, "\U0001f600" * 700, "=" * 500])
def test_a_segment_that_no_index_can_hold_is_refused(engine: Engine, value: str) -> None:
    """It stopped ingest for ever: the database said no, as it does when it is away."""
    wide = "\U0001f600" * 200
    sent = [
        record(prediction(1, segments={"country": value})),
        record(prediction(2, version=wide, segments={"country": "\U0001f600" * 190})),
    ]
    found = decoding(engine).decode(sent, [], [])
    assert [letter.reason for letter in found.dead_letters] == ["bad_segments"]
    assert len(found.predictions) == 1


FLOODS: dict[str, Callable[[int], bytes]] = {
    "undeclared models": lambda i: prediction(i, model=f"model-{i}"),
    "models that cannot be stored": lambda i: prediction(i, model=f"\x00{i}"),
    "segments that are refused": lambda i: prediction(i, segments=[i]),
    "spellings of one segment": lambda i: prediction(i, segments={"country": "DE", "id": i}),
    "long spellings of one segment": lambda i: prediction(i, segments={"id": f"{i:09}" * 1000}),
    "versions": lambda i: prediction(i, version=f"version-{i}"),
    "values of a segment": lambda i: prediction(i, segments={"country": f"{i}"}),
}


@pytest.mark.parametrize("name", [*FLOODS, "models that register themselves"])
def test_a_flood_of_names_fills_no_memory(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the bounds a hundredth of what they are, to be quick."""
    for bound in ("SIGHTINGS", "SIGHTING_BYTES", "REFUSALS", "MODELS", "SERIES"):
        known = getattr(series_book, f"MAX_{bound}")
        monkeypatch.setattr(series_book, f"MAX_{bound}", known // 100)
    registers = name not in FLOODS
    make = FLOODS["undeclared models" if registers else name]
    decoder = decoding(engine, (lambda _: Policy()) if registers else policy_for)

    def flood(numbers: Sequence[int]) -> int:
        for start in range(numbers[0], numbers[-1] + 1, 100):
            decoder.decode([record(make(i)) for i in range(start, start + 100)], [], [])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    filled = flood(range(2500))
    after = flood(range(2500, 5000))
    tracemalloc.stop()
    assert after - filled < 300_000  # without the bounds 600,000 and more
    found = decoder.decode([record(make(9999)), record(prediction(0))], [], [])
    assert {letter.reason for letter in found.dead_letters} <= REASONS
