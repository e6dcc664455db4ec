"""The daemon: ingest and watch in one process, or in several, until told to stop.

Guarantees: SIGTERM and SIGINT end it cleanly; a fault ends it with an error, so that whoever
supervises it starts it again, and a database that is away is waited for. Must never: swallow a
fault, or keep state that a restart would miss.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.charts import reliability_png
from monitor.ingest.consumer import open_consumer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.notify.console import ConsoleSender
from monitor.notify.dispatch import deliver
from monitor.notify.slack import SLACK_API, SlackSender
from monitor.store.engine import DatabaseUnavailable, connect
from monitor.store.history import HistoryStore
from monitor.store.ingest import IngestStore
from monitor.store.migrate import require_current
from monitor.store.outbox import OutboxStore
from monitor.store.panes import PaneStore
from monitor.watch.clock import Clock
from monitor.watch.tick import TickAbandoned, Watcher, WatchSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from monitor.config import Settings
    from monitor.notify.dispatch import Sender

log = structlog.get_logger(__name__)

PICTURES = Path("pictures")
GC_THRESHOLDS = (200_000, 50, 100)


class Role(StrEnum):
    """What one process does."""

    ALL = "all"
    INGEST = "ingest"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Watch:
    """The watching half: one call of `once` is one tick with the delivery of what it decided."""

    panes: PaneStore
    watcher: Watcher
    outbox: OutboxStore
    senders: Mapping[str, Sender]

    def once(self) -> None:
        """Tick and deliver, if no other process leads."""
        with self.panes.leadership() as leads:
            if not leads:
                return
            try:
                self.watcher.tick(datetime.now(UTC))
            except TickAbandoned:
                log.info("tick abandoned, the next start goes on")
                return
            for delivery in deliver(self.outbox, self.senders, datetime.now(UTC), reliability_png):
                log.info(
                    "notification",
                    route=delivery.notification.route,
                    episode=delivery.notification.episode_id,
                    outcome=str(delivery.attempt.outcome),
                    detail=delivery.attempt.detail,
                )


def run(settings: Settings, role: Role, stop: Event | None = None) -> None:
    """Run until `stop` is set, or, without one, until a signal; raises what went wrong.

    Raises ValueError when a connection is not configured, SchemaError for another schema.
    """
    url = database_url(settings)
    require_current(url)
    ended = stop or _on_signal()
    failed: list[BaseException] = []
    scheduler = None
    if role is not Role.INGEST:
        watch = watching(settings, ended)
        scheduler = _schedule(watch.once, settings.tick_every, ended, failed)
    try:
        if role is Role.WATCH:
            ended.wait()
        else:
            worker = _ingesting(settings)
            tune_collector()
            worker.run(ended)
    finally:
        if scheduler is not None:
            scheduler.shutdown(wait=True)
    if failed:
        raise failed[0]


def tune_collector() -> None:
    """Let the garbage collector leave alone what stays, and look at the rest less often.

    Batches make no cycles, and with the shipped thresholds it looks for them all the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def database_url(settings: Settings) -> str:
    """URL of the configured database; raises ValueError without one."""
    url = settings.connections.database_url
    if url is None:
        msg = (
            "no database: set CALMON_DATABASE_URL, "
            "like postgresql://user:password@host:5432/database"
        )
        raise ValueError(msg)
    return url.get_secret_value()


def topics(settings: Settings) -> Topics:
    """Topic names of the configuration."""
    return Topics(settings.topics.predictions, settings.topics.labels, settings.topics.changes)


def watching(settings: Settings, ended: Event) -> Watch:
    """The watching half, connected; `ended` abandons a tick that is under way."""
    engine = connect(database_url(settings), name="calmon watch")
    panes = PaneStore(engine)
    names = topics(settings)
    watcher = Watcher(
        panes,
        HistoryStore(engine),
        WatchSettings(
            Clock(settings.clock),
            (names.predictions, names.labels),
            settings.policy_for,
            lambda model: routes(settings, model),
            ended.is_set,
        ),
    )
    return Watch(panes, watcher, OutboxStore(engine), senders(settings))


def routes(settings: Settings, model: str) -> Sequence[tuple[str, str]]:
    """Where a model's alerts go: Slack with a token, the console without one."""
    channel = settings.slack_channel_for(model)
    # With a token only a model that is no longer monitored can be without a channel.
    if settings.connections.slack_token is None or channel is None:
        return [("console", "stdout")]
    return [("slack", channel)]


def senders(settings: Settings) -> dict[str, Sender]:
    """Receivers by route."""
    pictures = settings.connections.pictures_dir or PICTURES
    found: dict[str, Sender] = {"console": ConsoleSender(sys.stdout, pictures)}
    token = settings.connections.slack_token
    if token is not None:
        base_url = settings.connections.slack_base_url or SLACK_API
        found["slack"] = SlackSender(token.get_secret_value(), base_url)
    return found


def _ingesting(settings: Settings) -> Worker:
    options = settings.connections.kafka_options()
    if "bootstrap_servers" not in options:
        msg = "no Kafka: set CALMON_KAFKA_BOOTSTRAP, like kafka-1:9092,kafka-2:9092"
        raise ValueError(msg)
    ingest = settings.ingest
    store = IngestStore(connect(database_url(settings), name="calmon ingest"))
    book = SeriesBook(store, settings.policy_for)
    consumer = open_consumer(options, ingest.group, ingest.batch_events, ingest.session_timeout)
    return Worker(
        consumer,
        store,
        book,
        WorkerSettings(
            topics(settings),
            owner=f"{socket.gethostname()}:{os.getpid()}",
            start_from=ingest.start_from,
            on_lost_messages=ingest.on_lost_messages,
            max_future_skew=ingest.max_future_skew,
            batch_events=ingest.batch_events,
            flush_every=ingest.flush_every,
        ),
    )


def _schedule(
    act: Callable[[], None], every: timedelta, ended: Event, failed: list[BaseException]
) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(timezone=UTC)

    def on_error(event: JobExecutionEvent) -> None:
        if isinstance(event.exception, DatabaseUnavailable):
            log.error("database unavailable, the tick is tried again", error=str(event.exception))
            return
        failed.append(event.exception)
        ended.set()

    scheduler.add_listener(on_error, EVENT_JOB_ERROR)
    scheduler.add_job(
        act,
        "interval",
        seconds=every.total_seconds(),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC),
    )
    scheduler.start()
    return scheduler


def _on_signal() -> Event:
    ended = Event()

    def end(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return ended
