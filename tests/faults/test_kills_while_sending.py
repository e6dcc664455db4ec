"""Kill -9 around every kind of request: nothing is lost, and nothing is doubled.

Real Postgres, and a process that delivers; it is killed just before a request takes effect, or
after it while the answer is on the way. SENDING_SEED=n repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.core.claims import Series
from monitor.core.verdicts import Status
from tests.acceptance.product import CHECKOUT
from tests.faults.fleet import PATIENCE
from tests.notify.slack_stub import CHANNEL, SlackStub
from tests.store.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from tests.notify.receivers import PagerDuty, Webhook

KILLS, MODELS = 24, 16
LIFE = [Status.OK, Status.DRIFTED, Status.DRIFTED, Status.OK, Status.OK, Status.OK]
ROUTES = (("slack", CHANNEL), ("pagerduty", "pager"), ("webhook", "hook"))


@dataclass
class Hunter:
    """Kills the process at the n-th point around a request from now."""

    rng: random.Random
    environment: Mapping[str, str]
    kills: Counter[str] = field(default_factory=Counter)
    process: subprocess.Popen[str] | None = None
    left: int | None = None
    idle: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, *, hunted: bool) -> None:
        self.idle.clear()
        self.left = self.rng.randint(1, 36) if hunted else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.notify.sending"],
            env=dict(self.environment),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            if process.stdout.readline() == "idle\n" and process is self.process:
                self.idle.set()

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
            self.process.wait()
            self.kills[point] += 1

    def wait(self) -> bool:
        """Until it was killed (False) or has nothing left to deliver (True)."""
        assert self.process is not None
        ends = time.monotonic() + 120 * PATIENCE
        while self.process.poll() is None:
            if self.idle.wait(0.02):
                return True
            assert time.monotonic() < ends, "it neither ends nor gets done"
        assert self.process.returncode == -9, "it was killed, and did not end by itself"
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
    hunter = Hunter(random.Random(seed), os.environ | {"SENDING": json.dumps(where)})
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
    hunter.process.wait()
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
