"""What Prometheus and Kubernetes see of a worker: real Kafka, real Postgres, real HTTP."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from prometheus_client.parser import text_string_to_metric_families

from monitor.config.addresses import Address
from monitor.core.policies import Policy
from monitor.daemon.health import Facts, Health, livez, readyz
from monitor.daemon.http import HttpServer, application
from monitor.daemon.observability import Metrics
from monitor.ingest.consumer import open_consumer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.store.ingest import IngestStore
from monitor.store.reachable import Reachable
from tests.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.servers import TestKafka

Message = tuple[str, str, bytes]
START_MS = 1_767_225_600_000  # 2026-01-01
TICK_EVERY = timedelta(seconds=30)


def messages(n: int, seed: int) -> list[Message]:
    """Predictions, then labels: repeated, corrected, late, expired, and two that are no use."""
    rng = random.Random(seed)
    found: list[Message] = []
    for i in range(n):
        ts = START_MS + i * 1000
        event = {"prediction_id": f"p{i}", "model": "m", "ts": ts}
        prediction = json.dumps(event | {"version": "1", "score": rng.random()}).encode()
        mine: list[Message] = [("predictions", f"p{i}", prediction)] * rng.choice([1, 1, 2])
        for _ in range(rng.choice([0, 1, 2])):
            delay_ms = rng.choice([500, 3_600_000, 3 * 86_400_000, 100 * 86_400_000])
            label = event | {"ts": ts + delay_ms, "label": rng.choice([0, 1])}
            mine.append(("labels", f"p{i}", json.dumps(label).encode()))
        found += mine
    found += [("predictions", "x", b"not json"), ("labels", "y", b"")]
    return sorted(found, key=lambda message: message[0], reverse=True)


def page(address: Address, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Figures:
    """What a scrape found."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def one(self, name: str, **labels: str) -> float:
        [found] = [s.value for s in self._samples if (s.name, s.labels) == (name, labels)]
        return float(found)

    def by(self, label: str, name: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for sample in self._samples:
            if sample.name == name:
                found[sample.labels[label]] += int(sample.value)
        return found


def facts(metrics: Metrics, reachable: Reachable) -> Facts:
    seen = metrics.progress
    return Facts(
        ingests=True,
        watches=False,
        started_at=seen.started_at,
        assigned_partitions=seen.assigned_partitions,
        database_reachable=reachable(),
        last_commit_at=seen.last_commit_at,
        last_tick_at=seen.last_tick_at,
        ingest_alive_at=seen.ingest_alive_at,
        watch_alive_at=seen.watch_alive_at,
        tick_every=TICK_EVERY,
    )


def test_every_message_is_in_one_outcome_and_health_follows_the_work(
    kafka: TestKafka, engine: Engine
) -> None:
    pipeline = Pipeline.on(kafka, engine, lambda _: Policy(), partitions=2)
    sent = messages(300, seed=1)
    predictions = [message for message in sent if message[0] == "predictions"]
    pipeline.publish(predictions)
    store = IngestStore(engine)
    book = SeriesBook(store, pipeline.policy_for)
    metrics = Metrics(lambda number: {v: k for k, v in store.model_ids().items()}[number])
    reachable = Reachable(engine.url.render_as_string(hide_password=False))

    def asked(decide: Callable[[Facts, datetime], Health]) -> Health:
        return decide(facts(metrics, reachable), datetime.now(UTC))

    pages = application(metrics.registry, lambda: asked(livez), lambda: asked(readyz))
    options: dict[str, object] = {"bootstrap_servers": [kafka.server.bootstrap]}
    if kafka.server.api_version is not None:
        options["api_version"] = kafka.server.api_version
    consumer = open_consumer(options, pipeline.group, 50)
    with HttpServer(Address("127.0.0.1", 0), pages) as server:
        assert page(server.address, "/readyz") == (
            503, "no partition is assigned\nnothing was committed yet\n",
        )  # fmt: skip
        assert page(server.address, "/livez")[0] == 200
        settings = WorkerSettings(pipeline.topics, "test", batch_events=50)
        worker = Worker(consumer, store, book, settings, metrics)
        try:
            # A label that waits for its prediction would be in two outcomes for a while.
            pipeline.drain(worker, len(predictions))
            pipeline.publish(sent[len(predictions) :])
            pipeline.drain(worker, len(sent))
            assert page(server.address, "/readyz") == (200, "ok\n")
            text = page(server.address, "/metrics")[1]
        finally:
            consumer.close(autocommit=False, timeout_ms=300)
    figures = Figures(text)
    outcomes = figures.by("topic", "calmon_events_total")
    assert outcomes == Counter(kind for kind, _, _ in sent)
    assert figures.one("calmon_dead_letters_total", topic="predictions", reason="not_json") == 1
    assert figures.one("calmon_dead_letters_total", topic="labels", reason="empty") == 1
    assert figures.one("calmon_late_labels_total", model="m") > 0
    expired = figures.one("calmon_events_total", topic="labels", outcome="expired")
    assert figures.one("calmon_expired_labels_total", model="m") == expired > 0
    assert figures.one("calmon_assigned_partitions") == 6
    assert figures.one("calmon_consumer_lag", topic="predictions") == 0
    assert figures.one("calmon_join_rows") == worker.rows
    assert figures.one("calmon_batch_seconds_count") >= len(sent) / 50
    assert 0 <= time.time() - figures.one("calmon_last_commit_timestamp_seconds") < 60
    usable = outcomes["labels"] - 1  # all but the empty one
    assert 0 < figures.one("calmon_label_delay_seconds_count") <= usable
    assert figures.one("calmon_label_delay_seconds_bucket", le="1.0") > 0
