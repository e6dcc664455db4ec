from __future__ import annotations

import gc
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from monitor.demo.embedded import KafkaServer, embedded_kafka
from monitor.ingest.faults import PublishError
from monitor.ingest.files import LabelFile, PredictionFile
from monitor.ingest.formats import (
    NEWEST_MS,
    LabelEvent,
    PredictionEvent,
    decode_label,
    decode_prediction,
    decode_segments,
)
from monitor.ingest.replay import (
    CHUNK,
    Progress,
    ReplayEvent,
    Topic,
    arrival_order,
    producer,
    publish,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TOPICS: dict[Topic, str] = {"predictions": "p", "labels": "y"}
PARTITIONS = 4


def texts(values: list[str]) -> NDArray[np.object_]:
    return np.array(values, dtype=np.object_)


def prediction_file(rows: list[tuple[str, int, float, str]]) -> PredictionFile:
    """Rows of (id, ts_ms, score, country)."""
    return PredictionFile(
        "p",
        texts([row[0] for row in rows]),
        texts(["m"] * len(rows)),
        texts(["1"] * len(rows)),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.float64),
        {"country": texts([row[3] for row in rows]), "plan": texts(["free"] * len(rows))},
    )


def label_file(rows: list[tuple[str, int, float]], model: str = "m") -> LabelFile:
    """Rows of (id, ts_ms, label)."""
    return LabelFile(
        "l",
        texts([row[0] for row in rows]),
        texts([model] * len(rows)),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.float64),
    )


ids = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=5)
moments = st.integers(0, 5)


@settings(deadline=None)
@given(
    predicted=st.lists(
        st.tuples(ids, moments, st.floats(0, 1), st.sampled_from(["", "DE", "é"])), min_size=1
    ),
    labelled=st.lists(st.tuples(ids, moments, st.sampled_from([0.0, 1.0, math.nan]))),
)
def test_events_arrive_in_order_and_decode_to_what_the_files_hold(
    predicted: list[tuple[str, int, float, str]], labelled: list[tuple[str, int, float]]
) -> None:
    events = list(arrival_order(prediction_file(predicted), label_file(labelled)))

    order = [(event.ts_ms, event.topic == "labels") for event in events]
    assert order == sorted(order)
    sent = [decode_prediction(e.value, NEWEST_MS) for e in events if e.topic == "predictions"]
    for row, event in zip(sorted(predicted, key=lambda row: row[1]), sent, strict=True):
        assert isinstance(event, PredictionEvent)
        assert (event.prediction_id, event.ts, event.score) == row[:3]
        assert (event.model, event.version) == ("m", "1")
        country = {"country": row[3]} if row[3] else {}
        assert decode_segments(bytes(event.segments)) == country | {"plan": "free"}
    answers = [decode_label(e.value, NEWEST_MS) for e in events if e.topic == "labels"]
    for (name, ts, value), answer in zip(
        sorted(labelled, key=lambda row: row[1]), answers, strict=True
    ):
        assert isinstance(answer, LabelEvent)
        assert (answer.prediction_id, answer.model, answer.ts) == (name, "m", ts)
        retracted = math.isnan(value)
        assert answer.op == ("retract" if retracted else "upsert")
        assert answer.label == (None if retracted else value)
    assert [e.key.decode() for e in events] == [
        e.prediction_id
        for e in (
            decode_prediction(e.value, NEWEST_MS)
            if e.topic == "predictions"
            else decode_label(e.value, NEWEST_MS)
            for e in events
        )
        if isinstance(e, PredictionEvent | LabelEvent)
    ]


def test_the_bytes_are_those_of_the_documented_format() -> None:
    events = arrival_order(
        prediction_file([("a", 7, 0.1, "DE")]), label_file([("a", 8, 1.0), ("b", 9, math.nan)])
    )
    assert [event.value for event in events] == [
        (
            b'{"prediction_id":"a","model":"m","version":"1","ts":7,"score":0.1,'
            b'"segments":{"country":"DE","plan":"free"}}'
        ),
        b'{"prediction_id":"a","model":"m","ts":8,"label":1}',
        b'{"prediction_id":"b","model":"m","ts":9,"op":"retract"}',
    ]


def test_only_the_named_segments_are_sent() -> None:
    rows = prediction_file([("a", 7, 0.1, "DE")])
    (event,) = arrival_order(rows, label_file([]), segments=["plan", "absent"])
    assert event.value.endswith(b'"segments":{"plan":"free"}}')


def test_labels_without_a_prediction_are_left_to_the_caller_to_count() -> None:
    labels = label_file([("a", 8, 1.0)], model="")
    assert labels.unmatched == 1
    assert [e.topic for e in arrival_order(prediction_file([("b", 7, 0.1, "")]), labels)] == [
        "predictions"
    ]


def test_labels_must_have_models() -> None:
    nameless = LabelFile("l", texts([]), None, np.array([], np.int64), np.array([]))
    with pytest.raises(ValueError, match="resolve them with with_models"):
        arrival_order(prediction_file([]), nameless)


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    with embedded_kafka(TOPICS.values(), PARTITIONS) as started:
        yield started


@pytest.fixture
def consumer(server: KafkaServer) -> Iterator[KafkaConsumer]:
    """A consumer of both topics that starts after what earlier tests have sent."""
    reader = KafkaConsumer(
        bootstrap_servers=server.bootstrap,
        api_version=server.api_version,
        enable_auto_commit=False,
    )
    partitions = [TopicPartition(t, n) for t in TOPICS.values() for n in range(PARTITIONS)]
    reader.assign(partitions)
    reader.seek_to_end()
    for partition in partitions:
        reader.position(partition)
    yield reader
    reader.close()


def read(consumer: KafkaConsumer, n: int) -> list[Any]:
    records: list[Any] = []
    give_up_at = time.monotonic() + 30
    while len(records) < n and time.monotonic() < give_up_at:
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    return records


def numbered(n: int, *, step_ms: int = 1) -> list[ReplayEvent]:
    """n predictions and a label for each, `step_ms` apart."""
    predictions = prediction_file([(f"id-{i}", i * step_ms, i / n, "DE") for i in range(n)])
    return list(
        arrival_order(predictions, label_file([(f"id-{i}", i * step_ms, i % 2) for i in range(n)]))
    )


def test_everything_published_is_read_back_in_order(
    server: KafkaServer, consumer: KafkaConsumer
) -> None:
    events = numbered(CHUNK)
    progress: list[Progress] = []
    paced: list[int] = []
    started_ms = time.time() * 1000
    with producer(server.bootstrap, api_version=server.api_version) as kafka:
        n = publish(events, kafka, TOPICS, on_progress=progress.append, pace=paced.append)
    records = read(consumer, n)

    assert n == len(events) == len(records)
    assert progress == [
        Progress(CHUNK, events[CHUNK - 1].ts_ms),
        Progress(2 * CHUNK, events[-1].ts_ms),
    ]
    assert paced == [0, CHUNK]
    for kind, topic in TOPICS.items():
        by_partition = [
            [(r.key, r.value) for r in records if (r.topic, r.partition) == (topic, number)]
            for number in range(PARTITIONS)
        ]
        assert all(by_partition)
        sent = {(e.key, e.value): i for i, e in enumerate(events) if e.topic == kind}
        for found in by_partition:
            places = [sent[pair] for pair in found]
            assert places == sorted(places)
    home = {r.key: r.partition for r in records if r.topic == TOPICS["predictions"]}
    assert all(home[r.key] == r.partition for r in records)
    assert all(r.timestamp >= started_ms - 1000 for r in records)


def test_speed_is_kept_while_pace_is_asked(server: KafkaServer) -> None:
    events = numbered(5, step_ms=1000)
    paced: list[int] = []
    arrived: list[tuple[Progress, float]] = []
    with producer(server.bootstrap, api_version=server.api_version) as kafka:
        started_s = time.monotonic()
        publish(
            events,
            kafka,
            TOPICS,
            speed=4,
            on_progress=lambda done: arrived.append((done, time.monotonic() - started_s)),
            pace=paced.append,
        )
    assert arrived[-1][0] == Progress(10, 4000)
    assert all(at_s >= done.ts_ms / 1000 / 4 for done, at_s in arrived)
    assert arrived[-1][1] < 10
    assert paced == sorted(paced)
    assert {0, *(done.published for done, _ in arrived[:-1])} == set(paced)


def test_a_long_wait_is_interrupted_for_pace(server: KafkaServer) -> None:
    class EnoughError(Exception):
        pass

    calls: list[int] = []

    def pace(published: int) -> None:
        calls.append(published)
        if len(calls) == 4:
            raise EnoughError

    started_s = time.monotonic()
    with (
        producer(server.bootstrap, api_version=server.api_version) as kafka,
        pytest.raises(EnoughError),
    ):
        publish(numbered(2, step_ms=3_600_000), kafka, TOPICS, speed=1, pace=pace)
    assert calls == [0, 2, 2, 2]
    assert time.monotonic() - started_s < 10


def test_nothing_to_publish_is_nothing_published(server: KafkaServer) -> None:
    with producer(server.bootstrap, api_version=server.api_version) as kafka:
        assert publish([], kafka, TOPICS) == 0


@pytest.mark.parametrize("speed", [0, -1])
def test_an_impossible_speed_is_refused(server: KafkaServer, speed: float) -> None:
    with (
        producer(server.bootstrap, api_version=server.api_version) as kafka,
        pytest.raises(ValueError, match="above 0"),
    ):
        publish([], kafka, TOPICS, speed=speed)


def test_a_message_that_kafka_refuses_ends_the_replay(server: KafkaServer) -> None:
    events = [*numbered(CHUNK // 2), ReplayEvent("labels", b"a", b"x" * 2_000_000, 10**6)]
    with (
        producer(server.bootstrap, api_version=server.api_version) as kafka,
        pytest.raises(PublishError, match=rf"after {CHUNK} were acknowledged: .*MessageSize"),
    ):
        publish(events, kafka, TOPICS)


@pytest.fixture
def abandoned_sockets(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """kafka-python leaves the sockets of failed connections to the collector: run it here."""
    yield
    caplog.get_records("call").clear()  # what it logged holds on to the connections
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("abandoned_sockets")
def test_a_broker_that_goes_away_is_an_error_and_not_a_loss() -> None:
    settings = {"delivery_timeout_ms": 2000, "request_timeout_ms": 1000}
    with embedded_kafka(TOPICS.values(), PARTITIONS) as short_lived:
        kafka = producer(short_lived.bootstrap, api_version=short_lived.api_version, **settings)
        publish(numbered(10), kafka, TOPICS)
    with pytest.raises(PublishError, match="after 0 were acknowledged"):
        publish(numbered(10), kafka, TOPICS)
    kafka.close(timeout=1)


@pytest.mark.usefixtures("abandoned_sockets")
def test_a_missing_broker_is_named() -> None:
    with pytest.raises(PublishError, match=r"no Kafka answers at 127\.0\.0\.1:9"):
        producer("127.0.0.1:9", bootstrap_timeout_ms=1000)
