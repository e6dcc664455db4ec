"""The figures that Prometheus reads: every event in one outcome, and none of them twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitor.core.counting.tallies import NO_SERIES, Tally, TallyKind
from monitor.daemon.observability import DELAY_BUCKETS_S, OUTCOMES, Metrics
from monitor.ingest.observed import Committed

if TYPE_CHECKING:
    from monitor.ingest.observed import Observer

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = {1: "fraud", 2: 'odd "name"\\\n'}


def batch(**values: object) -> Committed:
    plain: dict[str, object] = {
        "at": AT,
        "messages": {},
        "dead_letters": {},
        "tallies": Counter(),
        "label_delays_s": np.array([]),
        "lag": {},
        "seconds": 0.1,
        "rows": 0,
    }
    return Committed(**(plain | values))  # type: ignore[arg-type]  # a test names what it needs


def tallies(**by_kind: int) -> Counter[Tally]:
    return Counter({Tally(TallyKind(kind), 1, NO_SERIES): n for kind, n in by_kind.items()})


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(NAMES.__getitem__, now=lambda: AT)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    found = metrics.registry.get_sample_value(name, labels)
    return None if found is None else float(found)


def outcomes(metrics: Metrics, topic: str) -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
        if sample.name == "calmon_events_total" and sample.labels["topic"] == topic
    }


def test_it_is_an_observer(metrics: Metrics) -> None:
    observer: Observer = metrics
    observer.assigned(4, 1000)
    assert value(metrics, "calmon_assigned_partitions") == 4
    assert value(metrics, "calmon_join_rows") == 1000
    observer.paused("the database is away")
    assert value(metrics, "calmon_paused_total") == 1
    observer.fenced()
    assert value(metrics, "calmon_fenced_total") == 1
    assert value(metrics, "calmon_assigned_partitions") == 0


def test_every_message_has_one_outcome(metrics: Metrics) -> None:
    metrics.committed(
        batch(
            messages={"predictions": 100, "labels": 50, "changes": 2},
            dead_letters={("predictions", "not_json"): 3, ("predictions", "empty"): 1,
                          ("changes", "bad_value"): 1},
            tallies=tallies(duplicate_prediction=5, late_prediction=2, unsampled_label=10,
                            corrected_label=4, late_label=1),
        )
    )  # fmt: skip
    assert outcomes(metrics, "predictions") == {
        "counted": 89, "dead_letter": 4, "duplicate": 5, "late": 2,
    }  # fmt: skip
    assert outcomes(metrics, "labels") == {
        "counted": 35, "unsampled": 10, "corrected": 4, "late": 1,
    }  # fmt: skip
    assert outcomes(metrics, "changes") == {"counted": 1, "dead_letter": 1}
    assert value(metrics, "calmon_dead_letters_total", topic="predictions", reason="not_json") == 3


def test_a_label_that_waited_and_then_expired_is_not_counted_twice(metrics: Metrics) -> None:
    """What became of it is known in a later batch, which may have no labels at all."""
    metrics.committed(batch(messages={"labels": 10}))
    assert outcomes(metrics, "labels") == {"counted": 10}
    metrics.committed(batch(messages={"predictions": 5}, tallies=tallies(expired_label=4)))
    assert outcomes(metrics, "labels") == {"counted": 10, "expired": 4}
    metrics.committed(batch(messages={"labels": 10}))
    assert outcomes(metrics, "labels") == {"counted": 16, "expired": 4}


@pytest.mark.parametrize("kind", TallyKind)
def test_every_kind_of_tally_has_a_place(metrics: Metrics, kind: TallyKind) -> None:
    before = generate_latest(metrics.registry)
    metrics.committed(batch(tallies=tallies(**{str(kind): 7})))
    assert generate_latest(metrics.registry) != before
    assert kind in OUTCOMES


def test_late_expired_and_orphan_labels_are_told_by_model(metrics: Metrics) -> None:
    found = tallies(late_label=2, expired_label=3, unmatched_label=4)
    found[Tally(TallyKind.LATE_LABEL, 1, 17)] = 5
    found[Tally(TallyKind.LATE_LABEL, 2, 18)] = 1
    metrics.committed(batch(tallies=found))
    assert value(metrics, "calmon_late_labels_total", model="fraud") == 7
    assert value(metrics, "calmon_late_labels_total", model=NAMES[2]) == 1
    assert value(metrics, "calmon_expired_labels_total", model="fraud") == 3
    assert value(metrics, "calmon_orphan_labels_total", model="fraud") == 4


def test_delays_are_a_histogram_from_a_second_to_90_days(metrics: Metrics) -> None:
    delays = np.array([-5.0, 0.5, 1.0, 1.5, 86_400.0, 86_401.0, 91 * 86_400.0])
    metrics.committed(batch(label_delays_s=delays))
    metrics.committed(batch(label_delays_s=np.array([2.0])))
    assert (DELAY_BUCKETS_S[0], DELAY_BUCKETS_S[-1]) == (1, 90 * 86_400)
    assert tuple(sorted(DELAY_BUCKETS_S)) == DELAY_BUCKETS_S
    found = {
        le: value(metrics, "calmon_label_delay_seconds_bucket", le=le)
        for le in ("1.0", "86400.0", "7.776e+06", "+Inf")
    }
    assert found == {"1.0": 3, "86400.0": 6, "7.776e+06": 7, "+Inf": 8}
    assert value(metrics, "calmon_label_delay_seconds_count") == 8
    assert value(metrics, "calmon_label_delay_seconds_sum") == pytest.approx(
        0.5 + 1 + 1.5 + 86_400 + 86_401 + 91 * 86_400 + 2
    )


def test_a_batch_tells_its_time_its_rows_and_the_lag(metrics: Metrics) -> None:
    metrics.committed(batch(seconds=0.0))  # a flush alone is no batch
    assert value(metrics, "calmon_batch_seconds_count") == 0
    read = {"messages": {"predictions": 5}, "lag": {"predictions": 12, "labels": 0}}
    metrics.committed(batch(seconds=0.25, rows=7, **read))
    assert value(metrics, "calmon_batch_seconds_count") == 1
    assert value(metrics, "calmon_batch_seconds_bucket", le="0.3") == 1
    assert value(metrics, "calmon_join_rows") == 7
    assert value(metrics, "calmon_consumer_lag", topic="predictions") == 12
    assert value(metrics, "calmon_last_commit_timestamp_seconds") == AT.timestamp()
    metrics.assigned(0, 0)
    assert value(metrics, "calmon_consumer_lag", topic="predictions") is None


def test_the_watcher_tells_its_ticks_alerts_and_notifications(metrics: Metrics) -> None:
    metrics.ticked(AT, seconds=1.5, series_judged=12)
    metrics.alerted("fired")
    metrics.notified("slack", "delivered")
    metrics.notified("slack", "retry")
    assert value(metrics, "calmon_tick_seconds_sum") == 1.5
    assert value(metrics, "calmon_last_tick_timestamp_seconds") == AT.timestamp()
    assert value(metrics, "calmon_series_judged_total") == 12
    assert value(metrics, "calmon_alerts_total", kind="fired") == 1
    assert value(metrics, "calmon_notifications_total", route="slack", outcome="retry") == 1
    assert value(metrics, "calmon_watch_leader") == 1
    metrics.stood_by(AT + timedelta(minutes=1))
    assert value(metrics, "calmon_watch_leader") == 0
    assert value(metrics, "calmon_series_judged_total") == 12


def test_the_facts_for_health_follow(metrics: Metrics) -> None:
    assert metrics.progress.started_at == AT
    assert (metrics.progress.last_commit_at, metrics.progress.last_tick_at) == (None, None)
    metrics.assigned(3, 0)
    metrics.committed(batch(at=AT + timedelta(seconds=5)))
    metrics.stood_by(AT + timedelta(seconds=6))
    progress = metrics.progress
    assert progress.assigned_partitions == 3
    assert progress.last_commit_at == AT + timedelta(seconds=5)
    assert progress.last_tick_at == AT + timedelta(seconds=6)
    metrics.fenced()
    assert metrics.progress.assigned_partitions == 0


def test_a_pause_is_a_sign_of_life() -> None:
    clock = [AT]
    metrics = Metrics(NAMES.__getitem__, now=lambda: clock[0])
    clock[0] = AT + timedelta(minutes=3)
    metrics.paused("away")
    assert metrics.progress.ingest_alive_at == clock[0]
    assert value(
        metrics, "calmon_heartbeat_timestamp_seconds", part="ingest"
    ) == clock[0].timestamp()  # fmt: skip
    assert metrics.progress.watch_alive_at is None
    metrics.tick_failed()
    assert metrics.progress.watch_alive_at == clock[0]
    assert value(metrics, "calmon_tick_failures_total") == 1


def test_two_registries_do_not_meet() -> None:
    one, other = Metrics(NAMES.__getitem__), Metrics(NAMES.__getitem__)
    one.fenced()
    assert value(other, "calmon_fenced_total") == 0


def test_delays_are_counted_a_batch_at_once(metrics: Metrics) -> None:
    """Two million delays one by one would take seconds; together they take milliseconds."""
    big = batch(
        messages={"labels": 20_000},
        label_delays_s=np.linspace(0, 1e6, 20_000),
        tallies=tallies(duplicate_label=3),
    )
    for _ in range(100):
        metrics.committed(big)
    assert value(metrics, "calmon_label_delay_seconds_count") == 2_000_000
