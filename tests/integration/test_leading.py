"""Deliveries that failed, between ticks: sent when they are due, by a clock that is an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event
from typing import TYPE_CHECKING

from monitor.core.claims import Series
from monitor.core.verdicts import Status
from monitor.daemon.leading import Watch, scheduled
from monitor.daemon.observability import Metrics
from monitor.notify.slack import SlackSender
from monitor.store.history import HistoryStore
from monitor.store.outbox import OutboxStore
from monitor.store.panes import PaneStore
from monitor.watch.clock import Clock
from monitor.watch.tick import Watcher, WatchSettings
from tests.notify.slack_faults import Fault, FaultKind
from tests.notify.slack_state import CHANNEL, TOKEN
from tests.store.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.notify.slack_stub import SlackStub

NOW = datetime(2026, 4, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def watching(engine: Engine, stub: SlackStub, now: Callable[[], datetime]) -> Watch:
    """A leader of an outbox in which two models' alerts wait for one channel."""
    world = World(engine, routes=(("slack", CHANNEL),), is_up=False, outbox_sifts=False)
    for n, status in enumerate([Status.OK, Status.DRIFTED]):
        world.day(n, dict.fromkeys((Series("m", "1"), Series("n", "1")), status))
    panes = PaneStore(engine)
    settings = WatchSettings(Clock.EVENT, ("p", "l"), lambda _: None, lambda *_: ())
    return Watch(
        panes,
        Watcher(panes, HistoryStore(engine), settings),
        OutboxStore(engine),
        {"slack": SlackSender(TOKEN, stub.api_url, apart_s=0)},
        Metrics(str),
        now=now,
    )


def test_a_delivery_that_failed_is_sent_when_its_receiver_may_be_asked_again(
    engine: Engine, slack: SlackStub
) -> None:
    clock = [NOW]
    watch = watching(engine, slack, lambda: clock[0])
    slack.fail("chat.postMessage", Fault(FaultKind.RATE_LIMITED, retry_after_s=60))
    assert watch.send_due() == NOW + 60 * SECOND
    for seconds in (1, 30, 59):
        clock[0] = NOW + seconds * SECOND
        assert watch.send_due() == NOW + 60 * SECOND
        assert len(slack.calls("chat.postMessage")) == 1, "its other messages wait too"
    clock[0] = NOW + 60 * SECOND
    assert watch.send_due() is None
    assert (len(slack.parents()), slack.doubled()) == (2, [])


def test_the_dispatcher_wakes_by_itself_long_before_the_next_tick(
    engine: Engine, slack: SlackStub
) -> None:
    ticks, begun = count(), datetime.now(UTC) - timedelta(seconds=24)
    watch = watching(engine, slack, lambda: begun + 10 * SECOND * next(ticks))
    slack.fail("chat.postMessage", *[Fault(FaultKind.SERVER_ERROR)] * 2)
    sent, failed = Event(), list[BaseException]()
    slack.state.hook = lambda point: (
        sent.set()
        if point.startswith("after files.complete") and len(slack.parents()) == 2
        else None
    )
    scheduler = scheduled(watch, timedelta(hours=1), Event(), failed)
    try:
        assert sent.wait(60)
    finally:
        scheduler.shutdown(wait=True)
    assert (len(slack.parents()), failed) == (2, [])
