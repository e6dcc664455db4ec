"""The demo: a real model, real flights, real label delays, through the whole pipeline.

Guarantees: events go through Kafka, counts and alerts through Postgres, and the monitor is the
same `calmon run` that production starts, on the event clock. Must never: take a shortcut, leave a
process behind (but with --keep), or touch anything outside its folder.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Self

from rich.console import Console

from monitor.core.policies import Policy
from monitor.demo.embedded import KafkaServer, embedded_kafka, embedded_postgres
from monitor.demo.flights import FIRST_DAY, MODEL, VERSION, FlightStream, late_arrival_stream
from monitor.ingest.replay import arrival_order, producer, publish
from monitor.ingest.shard_state import Topics
from monitor.ingest.topics import create_topics
from monitor.printing.progress import Bar, progress
from monitor.printing.status import print_status, status_json
from monitor.store.engine import connect
from monitor.store.history import HistoryStore
from monitor.store.migrate import upgrade
from monitor.store.panes import PaneStore
from monitor.watch.baselines import baseline_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from monitor.config import Settings

PARTITIONS = 8
AHEAD = 60_000
"""Events that may wait in the embedded Kafka, which keeps only a few megabytes a partition."""
STALLED = timedelta(minutes=3)
SETTLED = timedelta(seconds=5)
POLL_S = 0.2
TOPICS = Topics("calmon-demo-predictions", "calmon-demo-labels", "calmon-demo-changes")

CONFIG = f"""\
topics:
  predictions: {TOPICS.predictions}
  labels: {TOPICS.labels}
  changes: {TOPICS.changes}
clock: event
tick_every: 1s
ingest: {{group: calmon-demo}}
defaults:
  label_horizon: 2d
  runbook_url: https://example.org/runbooks/late-arrival
"""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """days: of flights from 1 April 2013; speed: event seconds a second, None for full speed."""

    days: int
    speed: float | None
    out: Path
    keep: bool


class DemoError(ValueError):
    """The demo could not be brought to its end; the message says why."""


def run_demo(options: DemoOptions, settings: Settings, environ: Mapping[str, str]) -> int:
    """Run the demo and return the exit code: 0 if an alert and its picture came out of it."""
    console = Console()
    options.out.mkdir(parents=True, exist_ok=True)
    for picture in options.out.glob("reliability-*.png"):
        picture.unlink()  # of an earlier run
    console.print("Training on New York's flights of January to March 2013 …")
    stream = late_arrival_stream(end=FIRST_DAY + timedelta(days=options.days))
    with ExitStack() as servers:
        url, kafka = _servers(servers, settings)
        environment = _environment(environ, options.out, url, kafka)
        upgrade(url)
        engine = connect(url, name="calmon demo")
        history, panes = HistoryStore(engine), PaneStore(engine)
        if panes.readings():
            msg = "the database holds counts already: name an empty one in CALMON_DATABASE_URL"
            raise DemoError(msg)
        _pin_validation(history, stream)
        daemon = _Daemon.start(environment, options.out)
        servers.callback(daemon.end)
        console.print(
            f"Streaming {len(stream.predictions):,} predictions and {len(stream.labels):,} labels "
            f"through Kafka at {kafka.bootstrap}; the monitor runs beside it.\n"
        )
        _stream(stream, kafka, options.speed, panes, daemon)
        _wait_until_judged(history, daemon)
        console.print(daemon.news(), markup=False, highlight=False, soft_wrap=True)
        print_status(console, status_json(history, panes))
        pictures = sorted(options.out.resolve().glob("*.png"))
        for picture in pictures:
            console.print(f"picture: {picture}", highlight=False, soft_wrap=True)
        console.print(f"log: {daemon.log.resolve()}", highlight=False, soft_wrap=True)
        if options.keep:
            _keep(console, environment)
    if not pictures:
        console.print("no alert fired: nothing drifted in these days, or the monitor is at fault")
    return 0 if pictures else 1


@dataclass(frozen=True, slots=True)
class _Daemon:
    """`calmon run` as a process of its own; its stdout, where alerts are printed, is a file."""

    process: subprocess.Popen[bytes]
    printed: IO[str]
    log: Path

    @classmethod
    def start(cls, environment: Mapping[str, str], out: Path) -> Self:
        printed, log = out / "alerts.txt", out / "calmon.log"
        with printed.open("wb") as to_stdout, log.open("wb") as to_stderr:
            process = subprocess.Popen(  # this program itself
                [sys.executable, "-m", "monitor", "run"],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=to_stdout,
                stderr=to_stderr,
            )
        return cls(process, printed.open(encoding="utf-8"), log)

    def news(self) -> str:
        """What it printed since the last call; raises DemoError if it ended."""
        self.check()
        return self.printed.read()

    def check(self) -> None:
        """Raise DemoError if it ended."""
        if self.process.poll() is not None:
            last = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            msg = f"the monitor ended with code {self.process.returncode}: {last}"
            raise DemoError(msg)

    def end(self) -> None:
        """Ask it to stop, and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.printed.close()


def _servers(servers: ExitStack, settings: Settings) -> tuple[str, KafkaServer]:
    """The servers that the environment names, else embedded ones that end with the demo."""
    named_url, named_kafka = settings.connections.database_url, settings.connections.kafka_bootstrap
    url = named_url.get_secret_value() if named_url else servers.enter_context(embedded_postgres())
    if not named_kafka:
        return url, servers.enter_context(embedded_kafka(TOPICS.names, PARTITIONS))
    create_topics(settings.connections.kafka_options(), TOPICS.names, PARTITIONS)
    return url, KafkaServer(",".join(named_kafka))


def _environment(
    environ: Mapping[str, str], out: Path, url: str, kafka: KafkaServer
) -> dict[str, str]:
    """Environment of `calmon run`, as a shell script would set it."""
    config = out / "calmon.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    environment = dict(environ) | {
        "CALMON_CONFIG": str(config),
        "CALMON_DATABASE_URL": url,
        "CALMON_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "CALMON_PICTURES_DIR": str(out),
        "PYTHONUNBUFFERED": "1",
    }
    if kafka.api_version is not None:
        environment["CALMON_KAFKA_API_VERSION"] = ".".join(map(str, kafka.api_version))
    return environment


def _pin_validation(history: HistoryStore, stream: FlightStream) -> None:
    """The baseline: how honest the model was on the months it was trained on, out of fold."""
    known = stream.validation
    baseline, _ = baseline_from(MODEL, VERSION, known.score, known.label, known.ts_ms, Policy())
    went_live_at = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    history.pin(baseline, went_live_at, author="demo: out-of-fold scores of January to March")


def _stream(
    stream: FlightStream,
    kafka: KafkaServer,
    speed: float | None,
    panes: PaneStore,
    daemon: _Daemon,
) -> None:
    """Publish everything in order of arrival, and wait until all of it is counted."""
    total = len(stream.predictions) + len(stream.labels)
    with progress(total) as bar:

        def pace(published: int) -> None:
            _wait_for(lambda: published - panes.messages() <= AHEAD, daemon, bar)

        sent = publish(
            arrival_order(stream.predictions, stream.labels),
            producer(kafka.bootstrap, api_version=kafka.api_version),
            {"predictions": TOPICS.predictions, "labels": TOPICS.labels},
            speed=speed,
            on_progress=bar.update,
            pace=pace,
        )
        _wait_for(lambda: panes.messages() >= sent, daemon, bar)


def _wait_for(reached: Callable[[], bool], daemon: _Daemon, bar: Bar) -> None:
    """Wait for the monitor, printing what it says; raises DemoError if it stands still."""
    until = time.monotonic() + STALLED.total_seconds()
    while True:
        if news := daemon.news():
            bar.say(news)
        if reached():
            return
        if time.monotonic() > until:
            msg = f"the monitor counted nothing for {STALLED}; see {daemon.log}"
            raise DemoError(msg)
        time.sleep(POLL_S)


def _wait_until_judged(history: HistoryStore, daemon: _Daemon) -> None:
    """Wait until the watcher's mark stands still: all that is mature was judged and told."""
    judged, since = history.judged_through(), time.monotonic()
    while time.monotonic() - since < SETTLED.total_seconds():
        time.sleep(POLL_S)
        daemon.check()
        if (now := history.judged_through()) != judged:
            judged, since = now, time.monotonic()


def _keep(console: Console, environment: Mapping[str, str]) -> None:
    """Leave everything up until the person ends it."""
    console.print("\nThe servers stay up. In another terminal:", highlight=False)
    for name, value in environment.items():
        if name.startswith("CALMON_"):
            console.print(f"  export {name}='{value}'", highlight=False, soft_wrap=True)
    console.print("  calmon status\nCtrl-C ends them.", highlight=False)
    with suppress(KeyboardInterrupt):
        signal.pause()
