"""The daemon: ingest and watch in one process, or in several, until told to stop.

Guarantees: SIGTERM and SIGINT end it cleanly; a fault ends it with an error, so that whoever
supervises it starts it again, and a database that is away is waited for. Must never: swallow a
fault, or keep state that a restart would miss.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from monitor import __version__
from monitor.addresses import parse_address
from monitor.answering import answering
from monitor.configured import Role, database_url
from monitor.health import Facts, livez, readyz
from monitor.http import HttpServer, application
from monitor.ingest.consumer import open_consumer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.memory import tune_memory
from monitor.notify.alertmanager import AlertmanagerSender, Standing
from monitor.notify.dispatch import deliver
from monitor.notify.heartbeat import Heartbeat
from monitor.observability import Metrics
from monitor.pictures import reliability_png
from monitor.receivers import senders
from monitor.signals import Ending
from monitor.store.engine import DatabaseUnavailable, connect
from monitor.store.history import HistoryStore
from monitor.store.ingest import IngestStore
from monitor.store.migrate import require_current
from monitor.store.outbox import OutboxStore
from monitor.store.panes import PaneStore
from monitor.store.reachable import Reachable
from monitor.store.standing import standing
from monitor.watch.clock import Clock
from monitor.watch.model_share import TickAbandoned
from monitor.watch.tick import Watcher, WatchSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from monitor.config import Settings
    from monitor.notify.dispatch import Delivery, Sender
    from monitor.notify.slack_inbound import SignedRequests

log = structlog.get_logger(__name__)

DELIVER_FOR_S = 20.0
"""Slack takes a post a second in a channel: many alerts at once take a while."""
FROZEN_AFTER = timedelta(seconds=30)
"""A transaction of ingest that rests so long is a frozen worker's, and its heir waits for it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The watching half: one call of `once` is one tick with the delivery of what it decided."""

    panes: PaneStore
    watcher: Watcher
    outbox: OutboxStore
    senders: Mapping[str, Sender]
    metrics: Metrics
    stopped: Callable[[], bool] = bool
    heartbeat: Heartbeat | None = None
    standing: Standing | None = None

    def once(self) -> None:
        """Tick and deliver, if no other process leads."""
        try:
            with self.panes.leadership() as leads:
                if leads:
                    self._lead()
                    while self.watcher.is_behind:
                        self._lead()
                    self._beat()
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
        for delivery in self._delivered():
            outcome = str(delivery.attempt.outcome)
            self.metrics.notified(delivery.notification.route, outcome)
            log.info(
                "notification",
                route=delivery.notification.route,
                group=delivery.notification.group_id,
                outcome=outcome,
                detail=delivery.attempt.detail,
            )
        for why in self.standing.send_again(datetime.now(UTC)) if self.standing else ():
            self.metrics.notified("alertmanager", "resend_failed")
            log.warning("alerts could not be sent again", why=why)
        seconds = time.monotonic() - began_s
        self.metrics.ticked(datetime.now(UTC), seconds=seconds, series_judged=len(given))

    def _delivered(self) -> list[Delivery]:
        """Deliver for so long at most that the next tick is not late; the rest waits for it."""
        ends_s = time.monotonic() + DELIVER_FOR_S

        def stopped() -> bool:
            return self.stopped() or time.monotonic() > ends_s

        return deliver(self.outbox, self.senders, datetime.now(UTC), reliability_png, stopped)

    def _beat(self) -> None:
        """Tell the dead-man's switch of a tick that came to its end."""
        if self.heartbeat is None:
            return
        failed = self.heartbeat.ping()
        self.metrics.pinged("failed" if failed else "answered")
        if failed:
            log.warning("heartbeat", why=failed)


def run(settings: Settings, role: Role) -> None:
    """Run until a signal; raises what went wrong. A signal that comes earlier ends the start.

    Raises ValueError when a connection is not configured, SchemaError for another schema.
    """
    url = database_url(settings)
    ending = Ending(lambda name: log.info("stopping", signal=name))
    ended = ending.asked
    if role is not Role.INGEST:
        settings.require_receivers()
    log.info("starting", version=__version__, role=str(role))
    require_current(url)
    failed: list[BaseException] = []
    names: dict[int, str] = {}
    metrics = Metrics(lambda number: names.get(number, str(number)))
    with ExitStack() as stack:
        slack = None
        if role is not Role.INGEST:
            history = HistoryStore(connect(url, name="calmon answers"))
            slack = stack.enter_context(answering(settings, history))
        if settings.http.address is not None:
            stack.enter_context(_serving(settings, role, metrics, slack))
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


def topics(settings: Settings) -> Topics:
    """Topic names of the configuration."""
    return Topics(settings.topics.predictions, settings.topics.labels, settings.topics.changes)


def _serving(
    settings: Settings, role: Role, metrics: Metrics, slack: SignedRequests | None
) -> HttpServer:
    """The pages for Prometheus and for whoever supervises this process, and Slack's posts."""
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
        None if slack is None else slack.answer,
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
            settings.routes,
            ended.is_set,
            settings.fleet,
        ),
    )
    ping = settings.connections.heartbeat_url
    receivers = senders(settings)
    manager = receivers.get("alertmanager")
    return Watch(
        panes,
        watcher,
        OutboxStore(engine),
        receivers,
        metrics or Metrics(str),
        ended.is_set,
        None if ping is None else Heartbeat(ping.get_secret_value()),
        Standing(manager, lambda: standing(engine, "alertmanager"))
        if isinstance(manager, AlertmanagerSender)
        else None,
    )


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
