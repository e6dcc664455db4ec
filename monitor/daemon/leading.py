"""Leading: ticks on time, deliveries when they are due, by the one process that may.

Guarantees: a delivery that failed is tried again when its receiver may be asked again, not only at
ticks; a database that is away is waited for. Must never: tick and deliver at once, or send where
another process leads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.core.episode.notices import FIRST_WAIT
from monitor.notify.dispatch import deliver
from monitor.pictures import reliability_png
from monitor.store.engine import DatabaseUnavailable
from monitor.watch.model_share import TickAbandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from monitor.daemon.observability import Metrics
    from monitor.notify.alertmanager import Standing
    from monitor.notify.dispatch import Delivery, Sender
    from monitor.notify.heartbeat import Heartbeat
    from monitor.store.outbox import OutboxStore
    from monitor.store.panes import PaneStore
    from monitor.watch.tick import Watcher

log = structlog.get_logger(__name__)

DELIVER_FOR_S = 20.0
"""Slack takes a post a second in a channel: many alerts at once take a while."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The watching half: one call of `once` is one tick with the delivery of what it decided.

    Both `once` and `send_due` return when the next retry of a delivery is due; None where none is,
    or where another process leads. They wait for each other.
    """

    panes: PaneStore
    watcher: Watcher
    outbox: OutboxStore
    senders: Mapping[str, Sender]
    metrics: Metrics
    stopped: Callable[[], bool] = bool
    heartbeat: Heartbeat | None = None
    standing: Standing | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    busy: Lock = field(default_factory=Lock)
    rests: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def once(self) -> datetime | None:
        """Tick and deliver, if no other process leads."""
        try:
            with self.busy, self.panes.leadership() as leads:
                if leads:
                    self._lead()
                    while self.watcher.is_behind:
                        self._lead()
                    self._beat()
                    return self.outbox.next_due()
                self.metrics.stood_by(self.now())
        except TickAbandoned:
            log.info("tick abandoned, the next start goes on")
        except BaseException:
            self.metrics.tick_failed()
            raise
        return None

    def send_due(self) -> datetime | None:
        """Deliver what is due by now, between ticks, if no other process leads."""
        with self.busy, self.panes.leadership() as leads:
            if not leads:
                return None
            self._send()
            return self.outbox.next_due()

    def _lead(self) -> None:
        began_s = time.monotonic()
        given = self.watcher.tick(self.now())
        for judged in given:
            if judged.decision.alert is not None:
                self.metrics.alerted(str(judged.decision.alert))
        self._send()
        for why in self.standing.send_again(self.now()) if self.standing else ():
            self.metrics.notified("alertmanager", "resend_failed")
            log.warning("alerts could not be sent again", why=why)
        seconds = time.monotonic() - began_s
        self.metrics.ticked(self.now(), seconds=seconds, series_judged=len(given))

    def _send(self) -> None:
        for sifted in self.outbox.sift(self.now()):
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

    def _delivered(self) -> list[Delivery]:
        """Deliver for so long at most that the next tick is not late; the rest waits for it."""
        ends_s = time.monotonic() + DELIVER_FOR_S

        def stopped() -> bool:
            return self.stopped() or time.monotonic() > ends_s

        now = self.now()
        return deliver(self.outbox, self.senders, now, reliability_png, stopped, rests=self.rests)

    def _beat(self) -> None:
        """Tell the dead-man's switch of a tick that came to its end."""
        if self.heartbeat is None:
            return
        failed = self.heartbeat.ping()
        self.metrics.pinged("failed" if failed else "answered")
        if failed:
            log.warning("heartbeat", why=failed)


def scheduled(
    watch: Watch, every: timedelta, ended: Event, failed: list[BaseException]
) -> BackgroundScheduler:
    """Ticks every so often, and deliveries that failed when they are due again."""
    scheduler = BackgroundScheduler(timezone=UTC)

    def on_error(event: JobExecutionEvent) -> None:
        if isinstance(event.exception, DatabaseUnavailable):
            log.error("database unavailable, the tick is tried again", error=str(event.exception))
            return
        failed.append(event.exception)
        ended.set()

    def then(act: Callable[[], datetime | None]) -> None:
        due_at = act()
        if due_at is None or ended.is_set():
            return
        now = datetime.now(UTC)
        if due_at <= now:
            # It waits for something else, such as a receiver that asked for patience.
            due_at = now + FIRST_WAIT
        # Two: the next may be due while this one ends. They wait for each other.
        scheduler.add_job(
            then,
            "date",
            [watch.send_due],
            run_date=due_at,
            id="retries",
            replace_existing=True,
            max_instances=2,
            misfire_grace_time=None,
        )

    scheduler.add_listener(on_error, EVENT_JOB_ERROR)
    scheduler.add_job(
        then,
        "interval",
        [watch.once],
        seconds=every.total_seconds(),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC),
    )
    scheduler.start()
    return scheduler
