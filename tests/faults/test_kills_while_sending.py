"""Kill -9 around every kind of request: nothing is lost, and nothing is doubled.

Real Postgres, and a process that delivers; it is killed just before a request takes effect, or
after it while the answer is on the way. SENDING_SEED=n repeats a run.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from monitor.core.claims import Series
from monitor.core.verdicts import Status
from tests.faults.fleet import PATIENCE
from tests.notify.sending import send
from tests.notify.slack_stub import CHANNEL, SlackStub
from tests.store.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from multiprocessing.synchronize import Event

    from sqlalchemy import Engine

    from tests.notify.receivers import PagerDuty, Webhook

KILLS, MODELS = 24, 16
LIFE = [Status.OK, Status.DRIFTED, Status.DRIFTED, Status.OK, Status.OK, Status.OK]
ROUTES = (("slack", CHANNEL), ("pagerduty", "pager"), ("webhook", "hook"))


@dataclass
class Hunter:
    """Kills the process at the n-th point around a request from now.

    Processes are forked from one that has imported all they need: a life costs no start of Python.
    """

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


def test_a_sender_that_is_killed_anywhere_loses_and_doubles_nothing(
    engine: Engine, postgres_url: str, slack: SlackStub, pagerduty: PagerDuty, webhook: Webhook
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
        "database": postgres_url,
    }
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([send.__module__])
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
