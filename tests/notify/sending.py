"""A process that only delivers; it says so when nothing is left to deliver, and goes on looking."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.notify.dispatch import deliver
from monitor.notify.pagerduty import PagerDutySender
from monitor.notify.slack import SlackSender
from monitor.notify.webhook import WebhookSender
from monitor.store.engine import connect
from monitor.store.outbox import OutboxStore
from tests.notify.receivers import KEY, SECRET
from tests.notify.slack_stub import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.synchronize import Event

    from monitor.notify.dispatch import Sender

PNG = b"\x89PNG a picture"


def send(where: Mapping[str, str], idle: Event) -> None:
    """Deliver until killed; where: the receivers' addresses, and the database's."""
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
