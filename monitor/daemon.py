"""The daemon: ingest and watch in one process, or in several, until told to stop.

Guarantees: SIGTERM and SIGINT end it cleanly; a fault ends it with an error, so that whoever
supervises it starts it again, and a database that is away is waited for. Must never: swallow a
fault, or keep state that a restart would miss.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from monitor import __version__
from monitor.addresses import parse_address
from monitor.charts import reliability_png
from monitor.health import Facts, livez, readyz
from monitor.http import HttpServer, application
from monitor.ingest.consumer import open_consumer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.memory import tune_memory
from monitor.notify.console import ConsoleSender
from monitor.notify.dispatch import deliver
from monitor.notify.slack import SLACK_API, SlackSender
from monitor.observability import Metrics
from monitor.signals import Ending
from monitor.store.engine import DatabaseUnavailable, connect
from monitor.store.history import HistoryStore
from monitor.store.ingest import IngestStore
from monitor.store.migrate import require_current
from monitor.store.outbox import OutboxStore
from monitor.store.panes import PaneStore
from monitor.store.reachable import Reachable
from monitor.watch.clock import Clock
from monitor.watch.model_share import TickAbandoned
from monitor.watch.tick import Watcher, WatchSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Event

    from monitor.config import Settings
    from monitor.notify.dispatch import Sender

log = structlog.get_logger(__name__)

PICTURES = Path("pictures")
FROZEN_AFTER = timedelta(seconds=30)
"""A transaction of ingest that rests so long is a frozen worker's, and its heir waits for it."""


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
    metrics: Metrics

    def once(self) -> None:
        """Tick and deliver, if no other process leads."""
        try:
            with self.panes.leadership() as leads:
                if leads:
                    self._lead()
                    while self.watcher.is_behind:
                        self._lead()
                else:
                    self.metrics.stood_by(datetime.now(UTC))
        except TickAbandoned:
            log.info("tick abandoned, the next start goes on")
        except BaseException:
            self.metrics.tick_failed()
            raise

    def _lead(self) -> None:
        began_s = time.monotonic()
        given = self.watcher.tick(datetime.now(UTC))
        for judged in given:
            if judged.decision.alert is not None:
                self.metrics.alerted(str(judged.decision.alert))
        for sifted in self.outbox.sift(datetime.now(UTC)):
            self.metrics.notified(sifted.route, str(sifted.outcome))
            log.info(
                "notification",
                route=sifted.route,
                notification=sifted.notification_id,
                outcome=str(sifted.outcome),
                detail=sifted.detail,
            )
        for delivery in deliver(self.outbox, self.senders, datetime.now(UTC), reliability_png):
            outcome = str(delivery.attempt.outcome)
            self.metrics.notified(delivery.notification.route, outcome)
            log.info(
                "notification",
                route=delivery.notification.route,
                group=delivery.notification.group_id,
                outcome=outcome,
                detail=delivery.attempt.detail,
            )
        seconds = time.monotonic() - began_s
        self.metrics.ticked(datetime.now(UTC), seconds=seconds, series_judged=len(given))


def run(settings: Settings, role: Role) -> None:
    """Run until a signal; raises what went wrong. A signal that comes earlier ends the start.

    Raises ValueError when a connection is not configured, SchemaError for another schema.
    """
    url = database_url(settings)
    ending = Ending(lambda name: log.info("stopping", signal=name))
    ended = ending.asked
    log.info("starting", version=__version__, role=str(role))
    require_current(url)
    failed: list[BaseException] = []
    names: dict[int, str] = {}
    metrics = Metrics(lambda number: names.get(number, str(number)))
    with ExitStack() as stack:
        if settings.http.address is not None:
            stack.enter_context(_serving(settings, role, metrics))
        if role is not Role.INGEST:
            watch = watching(settings, ended, metrics)
            scheduler = _schedule(watch.once, settings.tick_every, ended, failed)
            stack.callback(scheduler.shutdown, wait=True)
        if role is Role.WATCH:
            ending.work_begins()
            ended.wait()
        else:
            worker = _ingesting(settings, metrics, names)
            tune_memory()
            ending.work_begins()
            try:
                worker.run(ended)
            finally:
                ended.set()  # a tick under way is abandoned
    if failed:
        raise failed[0]


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


def _serving(settings: Settings, role: Role, metrics: Metrics) -> HttpServer:
    """The pages for Prometheus and for whoever supervises this process."""
    reachable = Reachable(database_url(settings))

    def facts() -> Facts:
        return Facts(
            ingests=role is not Role.WATCH,
            watches=role is not Role.INGEST,
            database_reachable=reachable(),
            tick_every=settings.tick_every,
            **asdict(metrics.progress),
        )

    app = application(
        metrics.registry,
        lambda: livez(facts(), datetime.now(UTC)),
        lambda: readyz(facts(), datetime.now(UTC)),
    )
    return HttpServer(parse_address(str(settings.http.address)), app)


def watching(settings: Settings, ended: Event, metrics: Metrics | None = None) -> Watch:
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
            lambda model, _team, _severity: routes(settings, model),
            ended.is_set,
            settings.fleet,
        ),
    )
    return Watch(panes, watcher, OutboxStore(engine), senders(settings), metrics or Metrics(str))


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


def _ingesting(settings: Settings, metrics: Metrics, names: dict[int, str]) -> Worker:
    """The ingesting half; `names` is given the models' names by number."""
    options = settings.connections.kafka_options()
    if "bootstrap_servers" not in options:
        msg = "no Kafka: set CALMON_KAFKA_BOOTSTRAP, like kafka-1:9092,kafka-2:9092"
        raise ValueError(msg)
    ingest = settings.ingest
    engine = connect(database_url(settings), name="calmon ingest", idle_at_most=FROZEN_AFTER)
    store = IngestStore(engine)
    book = SeriesBook(store, settings.policy_for, names)
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
        metrics,
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
