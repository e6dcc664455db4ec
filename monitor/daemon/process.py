"""The daemon: ingest and watch in one process, or in several, until told to stop.

Guarantees: SIGTERM and SIGINT end it cleanly; a fault ends it with an error, so that whoever
supervises it starts it again, and a database that is away is waited for. Must never: swallow a
fault, or keep state that a restart would miss.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from monitor import __version__
from monitor.config.addresses import parse_address
from monitor.config.asked import Role, database_url
from monitor.daemon.answering import answering
from monitor.daemon.health import Facts, livez, readyz
from monitor.daemon.http import HttpServer, application
from monitor.daemon.leading import Watch, scheduled
from monitor.daemon.memory import tune_memory
from monitor.daemon.observability import Metrics
from monitor.daemon.receivers import senders
from monitor.daemon.signals import Ending
from monitor.ingest.consumer import open_consumer
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import Topics
from monitor.ingest.worker import Worker, WorkerSettings
from monitor.notify.alertmanager import AlertmanagerSender, Standing
from monitor.notify.heartbeat import Heartbeat
from monitor.store.engine import connect
from monitor.store.history import HistoryStore
from monitor.store.ingest import IngestStore
from monitor.store.migrate import require_current
from monitor.store.outbox import OutboxStore
from monitor.store.panes import PaneStore
from monitor.store.reachable import Reachable
from monitor.store.standing import standing
from monitor.watch.clock import Clock
from monitor.watch.tick import Watcher, WatchSettings

if TYPE_CHECKING:
    from threading import Event

    from monitor.config import Settings
    from monitor.notify.slack_inbound import SignedRequests

log = structlog.get_logger(__name__)

ANSWER_WITHIN = timedelta(seconds=2)
"""Slack waits three seconds to hear that a press was recorded."""
FROZEN_AFTER = timedelta(seconds=30)
"""A transaction of ingest that rests so long is a frozen worker's, and its heir waits for it."""


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
            history = HistoryStore(connect(url, name="calmon answers", at_most=ANSWER_WITHIN))
            slack = stack.enter_context(answering(settings, history))
        if settings.http.address is not None:
            stack.enter_context(_serving(settings, role, metrics, slack))
        if role is not Role.INGEST:
            watch = watching(settings, ended, metrics)
            scheduler = scheduled(watch, settings.tick_every, ended, failed)
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
        # Evidence is shown where somebody wants links to it, and nowhere else.
        OutboxStore(connect(database_url(settings), name="calmon pages")).newest_notice
        if settings.http.public_url
        else None,
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
            public_url=settings.http.public_url,
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
