"""Kill -9 around every kind of request: nothing is lost, and nothing is doubled.

Real Postgres, and a process that delivers; it is killed just before a request takes effect, or
after it while the answer is on the way. SENDING_SEED=n repeats a run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing.connection import wait
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from monitor.core.claims import Series
from monitor.core.verdicts import Status
from monitor.daemon.http import SLACK_PATH
from monitor.notify.messages import ACK
from tests.faults.fleet import PATIENCE
from tests.notify.sending import send, take_presses
from tests.notify.slack_state import CHANNEL
from tests.notify.test_answers import signed
from tests.store.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from multiprocessing.synchronize import Event

    from sqlalchemy import Engine

    from tests.notify.receivers import PagerDuty, Webhook
    from tests.notify.slack_stub import SlackStub

KILLS, MODELS = 24, 16
LIFE = [Status.OK, Status.DRIFTED, Status.DRIFTED, Status.OK, Status.OK, Status.OK]
ROUTES = (("slack", CHANNEL), ("pagerduty", "pager"), ("webhook", "hook"))


@pytest.fixture
def processes() -> ForkServerContext:
    """Forks from a process that has imported all they need: a life costs no start of Python."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([send.__module__])
    return context


@dataclass
class Hunter:
    """Kills the process at the n-th point around a request from now."""

    rng: random.Random
    where: Mapping[str, str]
    processes: ForkServerContext
    kills: Counter[str] = field(default_factory=Counter)
    process: ForkServerProcess | None = None
    idle: Event | None = None
    left: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, *, hunted: bool) -> None:
        # An event of the dead is not used again: they may have died while they held its lock.
        self.idle = self.processes.Event()
        self.left = self.rng.randint(1, 36) if hunted else None
        self.process = self.processes.Process(target=send, args=(self.where, self.idle))
        self.process.start()

    def at(self, point: str) -> None:
        """Called around each request, in the threads of the stubs."""
        with self.lock:
            if self.left is None or self.process is None:
                return
            self.left -= 1
            if self.left:
                return
            self.left = None
            self.process.kill()
            # Not `join`: the test's own thread reads what became of it, and one reading is all.
            wait([self.process.sentinel])
            self.kills[point] += 1

    def wait(self) -> bool:
        """Until it was killed (False) or has nothing left to deliver (True)."""
        assert self.process is not None
        assert self.idle is not None
        ends = time.monotonic() + 120 * PATIENCE
        while self.process.is_alive():
            if self.idle.wait(0.02):
                return True
            assert time.monotonic() < ends, "it neither ends nor gets done"
        assert self.process.exitcode == -9, "it was killed, and did not end by itself"
        return False


@pytest.mark.parametrize("dies", ["before", "after", "never"])
def test_a_press_that_was_answered_is_recorded_wherever_the_process_dies(
    engine: Engine, postgres_url: str, processes: ForkServerContext, dies: str
) -> None:
    world = World(engine)
    world.day(0, {Series("m", "1"): Status.DRIFTED})
    value = {"group": world.groups["m"].group_id, "model": "m", "team": None}
    press = {
        "type": "block_actions",
        "user": {"id": "U0ANA", "username": "ana"},
        "actions": [{"action_id": ACK, "value": json.dumps(value)}],
    }
    body = urlencode({"payload": json.dumps(press)}).encode()
    mine, theirs = processes.Pipe()
    process = processes.Process(target=take_presses, args=(postgres_url, dies, theirs))
    process.start()
    try:
        assert mine.poll(60 * PATIENCE)
        timestamp, signature, _ = signed(body, int(time.time()))
        headers = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature}
        client = HTTPConnection("127.0.0.1", mine.recv(), timeout=60)
        try:
            client.request("POST", SLACK_PATH, body, headers)
            answered = client.getresponse().status == HTTPStatus.OK
        except (HTTPException, ConnectionError):
            answered = False
        finally:
            client.close()
    finally:
        process.kill()
        process.join()
    recorded = bool(world.rows("SELECT 1 FROM audit.acknowledgements"))
    assert (recorded, answered) == {
        "before": (False, False),
        "after": (True, False),
        "never": (True, True),
    }[dies]


def test_a_sender_that_is_killed_anywhere_loses_and_doubles_nothing(
    engine: Engine,
    slack: SlackStub,
    pagerduty: PagerDuty,
    webhook: Webhook,
    processes: ForkServerContext,
) -> None:
    seed = int(os.environ.get("SENDING_SEED", random.SystemRandom().randrange(10**6)))
    print(f"SENDING_SEED={seed}")  # noqa: T201  # repeats this run
    series = [Series(f"m{k}", "1") for k in range(MODELS)]
    world = World(engine, routes=ROUTES, is_up=False, outbox_sifts=False)
    for n, status in enumerate(LIFE):
        world.day(n, dict.fromkeys(series, status))
    where = {
        "slack": slack.api_url,
        "pagerduty": pagerduty.url,
        "webhook": webhook.url,
        "database": engine.url.render_as_string(hide_password=False),
    }
    hunter = Hunter(random.Random(seed), where, processes)
    slack.state.first_ts = int(time.time())
    slack.state.hook = lambda point: hunter.at(f"{point} of slack")
    pagerduty.hook = lambda point: hunter.at(f"{point} pagerduty")
    webhook.hook = lambda point: hunter.at(f"{point} webhook")
    for _ in range(KILLS):
        hunter.start(hunted=True)
        assert not hunter.wait(), f"done after {hunter.kills.total()} kills: {hunter.kills}"
    hunter.start(hunted=False)
    assert hunter.wait()
    assert hunter.process is not None
    hunter.process.kill()
    hunter.process.join()
    print(f"{hunter.kills.total()} kills: {dict(hunter.kills)}")  # noqa: T201  # what was hit

    assert hunter.kills.total() == KILLS
    told = world.rows(
        "SELECT n.notification_id, n.route, n.group_id, n.kind, n.outcome "
        "FROM audit.notifications n WHERE n.outcome IS NOT NULL"
    )
    assert len({row[0] for row in told}) == len(told), "each was recorded once"
    assert {row[4] for row in told} == {"delivered"}
    groups = {row[2] for row in told}
    assert len(groups) == MODELS
    assert len(slack.parents()) == MODELS
    assert {post["text"].split(":")[0] for post in slack.parents()} == {"Resolved"}
    assert len(slack.shared()) == MODELS
    assert slack.doubled() == []
    slack_rows = [row for row in told if row[1] == "slack"]
    assert len(slack.replies()) == len(slack_rows), "details, and a reply to each that followed"
    assert pagerduty.incidents.keys() == groups
    assert {actions[-1] for actions in pagerduty.incidents.values()} == {"resolve"}
    assert {actions[0] for actions in pagerduty.incidents.values()} == {"trigger"}
    hooks = {row[0] for row in told if row[1] == "webhook"}
    assert {one["id"] for one in webhook.told} == hooks
