"""Dead letters published again, to a real Kafka and out of a real database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import insert

from monitor.ingest.dead_letter_replay import Replayed, replay_letters, replay_producer
from monitor.ingest.faults import PublishError
from monitor.ingest.formats import MAX_BYTES
from monitor.store import tables
from monitor.store.dead_letters import DeadLetterStore, Place, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kafka import KafkaProducer
    from sqlalchemy import Engine

    from tests.servers import TestKafka

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def sender(kafka: TestKafka) -> Iterator[KafkaProducer]:
    server = kafka.server
    options = {"bootstrap_servers": [server.bootstrap], "api_version": server.api_version}
    with replay_producer(options, max_block_ms=3000) as made:
        yield made


def put(
    engine: Engine, place: Place, key: bytes | None, value: bytes | None, reason: str = "not_json"
) -> Place:
    row = {
        "topic": place.topic, "partition": place.partition, "offset": place.offset,
        "reason": reason, "detail": "d", "key": key, "value": value,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(tables.dead_letter).values(row))
    return place


def published(
    kafka: TestKafka, topic: str, n: int
) -> list[tuple[int, int, bytes | None, bytes | None]]:
    """(partition, offset, key, value) of all that stands in the topic, `n` messages at least."""
    server = kafka.server
    consumer = KafkaConsumer(
        bootstrap_servers=server.bootstrap,
        api_version=server.api_version,
        enable_auto_commit=False,
        consumer_timeout_ms=10_000,
    )
    try:
        found = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(found)
        consumer.seek_to_beginning(*found)
        ends = sum(consumer.end_offsets(found).values())
        assert ends == n
        records = [next(consumer) for _ in range(n)]
        return sorted((r.partition, r.offset, r.key, r.value) for r in records)
    finally:
        consumer.close(autocommit=False)


def replay(store: DeadLetterStore, sender: KafkaProducer, selection: Selection) -> Replayed:
    return replay_letters(store, sender, selection, by="ana", now=lambda: NOW)


def test_the_bytes_and_the_key_go_to_the_partition_they_came_from(
    kafka: TestKafka, engine: Engine, sender: KafkaProducer
) -> None:
    topic = kafka.topic("labels", 3)
    store = DeadLetterStore(engine)
    garbage = bytes(range(256))
    place = put(engine, Place(topic, 2, 40), b"\x00k", garbage)
    put(engine, Place(topic, 0, 7), None, b"{}")
    put(engine, Place(topic, 1, 9), b"only a key", None, "empty")
    assert replay(store, sender, Selection()) == Replayed(3, 3, ())
    assert published(kafka, topic, 3) == [
        (0, 0, None, b"{}"), (1, 0, b"only a key", None), (2, 0, b"\x00k", garbage),
    ]  # fmt: skip
    found = store.get(place)
    assert found is not None
    assert found.value == garbage
    resolution = found.letter.resolution
    assert resolution is not None
    assert (resolution.outcome, resolution.by, resolution.at) == ("replayed", "ana", NOW)
    assert resolution.because == f"published again at {topic}/2 offset 0"
    assert replay(store, sender, Selection()) == Replayed(0, 0, ())


def test_only_what_is_selected_is_replayed(
    kafka: TestKafka, engine: Engine, sender: KafkaProducer
) -> None:
    topic = kafka.topic("labels", 1)
    store = DeadLetterStore(engine)
    put(engine, Place(topic, 0, 1), b"a", b"1")
    put(engine, Place(topic, 0, 2), b"b", b"2", "future_time")
    assert replay(store, sender, Selection(reason="future_time")).published == 1
    assert published(kafka, topic, 1) == [(0, 0, b"b", b"2")]
    assert [letter.place.offset for letter in store.find(Selection(), 9)] == [1]


def test_what_was_cut_or_has_nothing_to_publish_is_named_and_left(
    kafka: TestKafka, engine: Engine, sender: KafkaProducer
) -> None:
    topic = kafka.topic("labels", 1)
    store = DeadLetterStore(engine)
    cut = put(engine, Place(topic, 0, 1), b"k", b"x" * MAX_BYTES, "too_large")
    cut_key = put(engine, Place(topic, 0, 2), b"k" * MAX_BYTES, b"{}", "not_json")
    nothing = put(engine, Place(topic, 0, 3), None, None, "empty")
    whole = put(engine, Place(topic, 0, 4), b"k", b"x" * MAX_BYTES, "not_json")
    done = replay(store, sender, Selection())
    assert (done.published, done.marked) == (1, 1)
    assert [skipped.place for skipped in done.skipped] == [cut, cut_key, nothing]
    assert "more than 1048576 bytes" in done.skipped[0].why
    assert "neither key nor value" in done.skipped[2].why
    assert [letter.place for letter in store.find(Selection(), 9)] == [nothing, cut_key, cut]
    found = store.get(whole)
    assert found is not None
    assert found.letter.resolution is not None


def test_letters_that_come_while_it_runs_wait_for_the_next_replay(
    kafka: TestKafka, engine: Engine, sender: KafkaProducer
) -> None:
    """A message that is bad again comes back as a letter; a replay must not chase its own tail."""
    topic = kafka.topic("labels", 1)
    store = DeadLetterStore(engine)
    for offset in range(3):
        put(engine, Place(topic, 0, offset), b"k", b"bad")
    again = iter(range(100, 200))

    def now() -> datetime:
        put(engine, Place(topic, 0, next(again)), b"k", b"bad")  # as a worker would
        return NOW

    done = replay_letters(store, sender, Selection(), by="ana", now=now, chunk=1)
    assert (done.published, done.marked) == (3, 3)
    assert len(store.find(Selection(), 9)) == 3


def test_a_topic_or_partition_that_is_gone_marks_nothing_and_says_so(
    kafka: TestKafka, engine: Engine, sender: KafkaProducer
) -> None:
    topic = kafka.topic("labels", 1)
    store = DeadLetterStore(engine)
    put(engine, Place(topic, 0, 1), b"k", b"1")
    gone = put(engine, Place(topic, 7, 1), b"k", b"2")
    with pytest.raises(PublishError, match=rf"{topic}/7 offset 1.*no partition 7"):
        replay(store, sender, Selection())
    # What Kafka had acknowledged before is marked.
    assert [letter.place for letter in store.find(Selection(), 9)] == [gone]
    assert published(kafka, topic, 1) == [(0, 0, b"k", b"1")]


def test_a_topic_that_does_not_exist_is_named(engine: Engine, sender: KafkaProducer) -> None:
    store = DeadLetterStore(engine)
    put(engine, Place("calmon-no-such-topic", 0, 1), b"k", b"1")
    with pytest.raises(PublishError, match="no topic calmon-no-such-topic"):
        replay(store, sender, Selection())
    assert len(store.find(Selection(), 9)) == 1


def test_a_letter_dropped_meanwhile_stays_dropped(
    kafka: TestKafka, engine: Engine, sender: KafkaProducer
) -> None:
    topic = kafka.topic("labels", 1)
    store = DeadLetterStore(engine)
    place = put(engine, Place(topic, 0, 1), b"k", b"1")

    def now() -> datetime:
        store.drop(Selection(), by="bob", because="erased", at=NOW)
        return NOW

    done = replay_letters(store, sender, Selection(), by="ana", now=now)
    assert (done.published, done.marked) == (1, 0)
    found = store.get(place)
    assert found is not None
    assert found.letter.resolution is not None
    assert found.letter.resolution.outcome == "dropped"
