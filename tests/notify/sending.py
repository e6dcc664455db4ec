"""Processes that a test kills: one that only delivers, and one that only takes presses."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from monitor.config.addresses import Address
from monitor.daemon.answering import recorder
from monitor.daemon.health import Health
from monitor.daemon.http import HttpServer, application
from monitor.notify.dispatch import deliver
from monitor.notify.inbox import Inbox
from monitor.notify.pagerduty import PagerDutySender
from monitor.notify.slack import SlackSender
from monitor.notify.slack_inbound import SignedRequests
from monitor.notify.webhook import WebhookSender
from monitor.store.engine import connect
from monitor.store.history import HistoryStore
from monitor.store.outbox import OutboxStore
from tests.notify.receivers import KEY, SECRET
from tests.notify.slack_state import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing import synchronize
    from multiprocessing.connection import Connection

    from monitor.core.episode.silences import Interaction
    from monitor.notify.dispatch import Sender

SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105  # of Slack's documentation
PNG = b"\x89PNG a picture"


def take_presses(url: str, dies: str, told: Connection) -> None:
    """Serve Slack's presses, and die `before` one is recorded or `after`; `told` hears the port."""
    record = recorder(HistoryStore(connect(url, name="presses")))

    def act(said: Interaction) -> str:
        if dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        more = record(said)
        if dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return more

    door = SignedRequests(SLACK_SECRET, Inbox(act).take, time.time)
    well = Health(())
    app = application(CollectorRegistry(), lambda: well, lambda: well, door.answer)
    with HttpServer(Address("127.0.0.1", 0), app) as server:
        told.send(server.address.port)
        Event().wait()


def send(where: Mapping[str, str], idle: synchronize.Event) -> None:
    """Deliver until killed, and say when nothing is left; where: receivers, and the database."""
    senders: dict[str, Sender] = {
        "slack": SlackSender(TOKEN, where["slack"], timeout_s=5, apart_s=0),
        "pagerduty": PagerDutySender({"pager": (where["pagerduty"], KEY)}, 5),
        "webhook": WebhookSender({"hook": (where["webhook"], SECRET)}, 5),
    }
    outbox = OutboxStore(connect(where["database"], name="sending"))
    while True:
        if not deliver(outbox, senders, datetime.now(UTC), lambda _: PNG):
            idle.set()
        time.sleep(0.02)
