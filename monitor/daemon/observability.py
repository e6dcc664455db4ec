"""Figures for Prometheus: what the worker and the watcher did, as they report it.

Guarantees: what is reported is taken note of at once, from any thread, and labels are few: topics,
outcomes, reasons and models, never a version, a segment or an id. Every message read is in one
outcome of calmon_events_total. Must never: ask the database or Kafka, or change what is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from monitor import __version__
from monitor.core.counting.tallies import TallyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from monitor.ingest.observed import Committed

OUTCOMES: dict[TallyKind, tuple[str, str] | None] = {
    TallyKind.DUPLICATE_PREDICTION: ("predictions", "duplicate"),
    TallyKind.LATE_PREDICTION: ("predictions", "late"),
    TallyKind.UNSAMPLED_PREDICTION: ("predictions", "unsampled"),
    TallyKind.DUPLICATE_LABEL: ("labels", "duplicate"),
    TallyKind.CORRECTED_LABEL: ("labels", "corrected"),
    TallyKind.RETRACTED_LABEL: ("labels", "retracted"),
    TallyKind.STALE_LABEL: ("labels", "stale"),
    TallyKind.LATE_LABEL: ("labels", "late"),
    TallyKind.EXPIRED_LABEL: ("labels", "expired"),
    TallyKind.UNSAMPLED_LABEL: ("labels", "unsampled"),
    TallyKind.UNMATCHED_LABEL: None,  # read and counted as an event long before
    TallyKind.CROSSED_QUANTILES: None,  # counted as it is stated
}
"""Kind of topic and outcome of what a tally counts."""

DELAY_BUCKETS_S = tuple(
    float(s)
    for s in (
        *(1, 5, 15, 60, 300, 900),
        *(3600 * hours for hours in (1, 3, 6, 12)),
        *(86_400 * days for days in (1, 2, 3, 7, 14, 30, 60, 90)),
    )
)
_BATCH_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10)
_TICK_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Progress:
    """What `health` needs to know of this process; None for what has not happened yet."""

    started_at: datetime
    assigned_partitions: int = 0
    last_commit_at: datetime | None = None
    last_tick_at: datetime | None = None
    ingest_alive_at: datetime | None = None
    watch_alive_at: datetime | None = None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Metrics:
    """The figures of one process; an Observer of its worker."""

    def __init__(
        self, model_name: Callable[[int], str], *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.registry = CollectorRegistry()
        self._model_name = model_name
        self._now = now
        self._lock = Lock()
        self._progress = Progress(now())
        self._plain: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._declare_ingest()
        self._declare_watch()
        ProcessCollector(registry=self.registry)
        self._gauge("build_info", "The program's version", "version").labels(__version__).set(1)

    @property
    def progress(self) -> Progress:
        """What happened when, as of this moment."""
        return self._progress

    def committed(self, batch: Committed) -> None:
        """Take note of a committed batch."""
        for (topic, reason), n in batch.dead_letters.items():
            self._dead_letters.labels(topic, reason).inc(n)
        self._count_events(batch)
        self._delays.observe(batch.label_delays_s)
        for topic, messages in batch.lag.items():
            self._lag.labels(topic).set(messages)
        if batch.messages:  # else it was a flush alone, which has no poll to count from
            self._batch_seconds.observe(batch.seconds)
        self._rows.set(batch.rows)
        self._last_commit.set(batch.at.timestamp())
        self._note(last_commit_at=batch.at)
        self._beat("ingest")

    def assigned(self, partitions: int, rows: int) -> None:
        """Take note that the worker holds this many partitions, loaded with this many rows."""
        self._assigned.set(partitions)
        self._rows.set(rows)
        self._lag.clear()  # of topics that are another worker's now
        self._note(assigned_partitions=partitions)
        self._beat("ingest")

    def paused(self, why: str) -> None:
        """Take note that counting waits for the database; `why` is for the log."""
        del why
        self._paused.inc()
        self._beat("ingest")

    def fenced(self) -> None:
        """Take note that another worker took over, and that this one stops."""
        self._fenced.inc()
        self._assigned.set(0)
        self._note(assigned_partitions=0)

    def ticked(self, at: datetime, *, seconds: float, series_judged: int) -> None:
        """Take note of a tick of the leading watcher that came to its end."""
        self._tick_seconds.observe(seconds)
        self._judged.inc(series_judged)
        if series_judged:
            self._last_judged.set(at.timestamp())
        self._leader.set(1)
        self._end_of_tick(at)

    def stood_by(self, at: datetime) -> None:
        """Take note of a tick that did nothing, since another process leads."""
        self._leader.set(0)
        self._end_of_tick(at)

    def tick_failed(self) -> None:
        """Take note of a tick that ended with an error."""
        self._tick_failures.inc()
        self._beat("watch")

    def alerted(self, kind: str) -> None:
        """Take note of an alert that was decided. kind: `fired`, `changed` or `resolved`."""
        self._alerts.labels(kind).inc()

    def notified(self, route: str, outcome: str) -> None:
        """Take note of an attempt to deliver. outcome: an `AttemptOutcome`."""
        self._notifications.labels(route, outcome).inc()

    def pinged(self, outcome: str) -> None:
        """Take note of a ping of the heartbeat's address. outcome: `answered` or `failed`."""
        self._pings.labels(outcome).inc()

    def _end_of_tick(self, at: datetime) -> None:
        self._last_tick.set(at.timestamp())
        self._note(last_tick_at=at)
        self._beat("watch")

    def _count_events(self, batch: Committed) -> None:
        plain = dict(batch.messages)
        for (topic, _), n in batch.dead_letters.items():
            self._told(plain, topic, "dead_letter", n)
        for tally, n in batch.tallies.items():
            outcome = OUTCOMES[tally.kind]
            if outcome is not None:
                self._told(plain, *outcome, n)
            if tally.kind in self._by_model:
                self._by_model[tally.kind].labels(self._model_name(tally.model)).inc(n)
        for topic, n in plain.items():
            # A label that waited for its prediction was `counted` when it was read. Where it turns
            # out to be something else, the next label stands in for it: a counter only grows.
            self._plain[topic] = self._plain.get(topic, 0) + n
            more = self._plain[topic] - self._counted.get(topic, 0)
            if more > 0:
                self._counted[topic] = self._plain[topic]
                self._events.labels(topic, "counted").inc(more)

    def _told(self, plain: dict[str, int], topic: str, outcome: str, n: int) -> None:
        self._events.labels(topic, outcome).inc(n)
        plain[topic] = plain.get(topic, 0) - n

    def _beat(self, part: str) -> None:
        now = self._now()
        self._heartbeat.labels(part).set(now.timestamp())
        self._note(**{f"{part}_alive_at": now})

    def _note(self, **changes: datetime | int) -> None:
        with self._lock:  # the worker and the watcher are two threads
            self._progress = replace(self._progress, **changes)  # type: ignore[arg-type]  # by name

    def _declare_ingest(self) -> None:
        self._events = self._counter(
            "events", "Messages read, by what came of them", "topic", "outcome"
        )
        self._dead_letters = self._counter(
            "dead_letters", "Messages that could not be used", "topic", "reason"
        )
        self._lag = self._gauge(
            "consumer_lag", "Messages published and not yet counted, by kind of topic", "topic"
        )
        self._delays = _Delays()
        self.registry.register(self._delays)
        self._by_model = {
            TallyKind.UNMATCHED_LABEL: self._counter(
                "orphan_labels", "Labels whose prediction never came", "model"
            ),
            TallyKind.LATE_LABEL: self._counter(
                "late_labels", "Labels past the label horizon: counted, but not judged", "model"
            ),
            TallyKind.EXPIRED_LABEL: self._counter(
                "expired_labels", "Labels past the correction horizon: not counted", "model"
            ),
            TallyKind.CROSSED_QUANTILES: self._counter(
                "crossed_quantiles", "Predictions whose quantiles cross: counted as stated", "model"
            ),
        }
        self._batch_seconds = self._histogram(
            "batch_seconds", "From the end of a poll to the end of its commit", _BATCH_BUCKETS_S
        )
        self._rows = self._gauge(
            "join_rows", "Predictions, and labels that wait for theirs, held in memory"
        )
        self._fenced = self._counter("fenced", "Commits refused, since another worker took over")
        self._paused = self._counter("paused", "Times counting waited for the database")
        self._last_commit = self._gauge(
            "last_commit_timestamp_seconds", "When a batch or a flush was committed; 0: not yet"
        )
        self._assigned = self._gauge("assigned_partitions", "Partitions that this worker holds")

    def _declare_watch(self) -> None:
        self._tick_seconds = self._histogram(
            "tick_seconds", "Length of a tick of the watcher", _TICK_BUCKETS_S
        )
        self._last_tick = self._gauge(
            "last_tick_timestamp_seconds", "When the watcher ended a tick; 0: not yet"
        )
        self._tick_failures = self._counter("tick_failures", "Ticks that ended with an error")
        self._leader = self._gauge("watch_leader", "1 where this process judges, 0 on stand-by")
        self._judged = self._counter("series_judged", "Verdicts given")
        self._last_judged = self._gauge(
            "last_verdict_timestamp_seconds", "When a verdict was last given; 0: not yet"
        )
        self._pings = self._counter(
            "heartbeat_pings", "Pings of the heartbeat's address, by outcome", "outcome"
        )
        self._alerts = self._counter("alerts", "Alerts decided", "kind")
        self._notifications = self._counter(
            "notifications", "Attempts to deliver, by outcome", "route", "outcome"
        )
        self._heartbeat = self._gauge(
            "heartbeat_timestamp_seconds",
            "Last sign of life of the worker or the watcher, also while it waits",
            "part",
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"calmon_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"calmon_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"calmon_{name}", meaning, registry=self.registry, buckets=buckets)


class _Delays(Collector):
    """Histogram of label delays that takes a batch at once; one by one would cost the worker dear.

    A label from before its prediction counts as no delay, so that the sum only grows.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = np.zeros(len(DELAY_BUCKETS_S) + 1, dtype=np.int64)
        self._sum_s = 0.0

    def observe(self, delays_s: NDArray[np.float64]) -> None:
        """Count delays, in seconds."""
        buckets = np.searchsorted(DELAY_BUCKETS_S, delays_s, side="left")
        counts = np.bincount(buckets, minlength=len(self._counts))
        sum_s = float(np.maximum(delays_s, 0).sum())
        with self._lock:
            self._counts += counts
            self._sum_s += sum_s

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it is now."""
        with self._lock:
            cumulative, sum_s = np.cumsum(self._counts).tolist(), self._sum_s
        edges = [*map(floatToGoString, DELAY_BUCKETS_S), "+Inf"]
        yield HistogramMetricFamily(
            "calmon_label_delay_seconds",
            "Label time less prediction time, of labels that found their prediction",
            buckets=list(zip(edges, cumulative, strict=True)),
            sum_value=sum_s,
        )
