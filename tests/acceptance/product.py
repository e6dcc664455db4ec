"""The product as its user has it: the daemon's process, commands, environment, files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.store.panes import PaneStore
from tests.typed import bare_environment, typed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.watch.counting import Events
    from tests.servers import TestKafka

CHECKOUT = Path(__file__).parents[2]
SHARED = CHECKOUT.parent / "shared" / "data"
GIVE_UP_S = 200


@dataclass(frozen=True)
class Product:
    """calmon with the servers of one test."""

    environment: dict[str, str]
    folder: Path

    def run(self, *words: str) -> str:
        """Output of a command that must succeed."""
        done = self.attempt(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that may fail, run in this process."""
        return typed(*words, environment=self.environment)

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """`calmon run` beside the test; ends with SIGTERM and must exit with 0."""
        with (self.folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "run", *words],
                env=self.environment,
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
            )
            try:
                yield process
            except BaseException:
                process.kill()
                process.wait()
                raise
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                code = process.wait(timeout=30)
                assert code == 0, f"exit code {code}: {self.log()}"

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")[-3000:]

    def wait_for_messages(self, panes: PaneStore, total: int) -> None:
        until = time.monotonic() + GIVE_UP_S
        while panes.messages() < total:
            assert time.monotonic() < until, f"{panes.messages()} of {total}: {self.log()}"
            time.sleep(0.2)


def product(
    kafka: TestKafka, url: str, folder: Path, config: str = "", partitions: int = 4
) -> Product:
    """The product on these servers, with topics and a group of its own."""
    names = {name: kafka.topic(name, partitions) for name in ("predictions", "labels", "changes")}
    text = (
        f"topics: {json.dumps(names)}\nclock: event\ntick_every: 1s\n"
        f"ingest: {{group: {kafka.group()}}}\n{config}"
    )
    path = folder / "calmon.yaml"
    path.write_text(text)
    environment = bare_environment() | {
        "CALMON_CONFIG": str(path),
        "CALMON_DATABASE_URL": url,
        "CALMON_KAFKA_BOOTSTRAP": kafka.server.bootstrap,
        "CALMON_PICTURES_DIR": str(folder),
    }
    if kafka.server.api_version is not None:
        environment["CALMON_KAFKA_API_VERSION"] = ".".join(map(str, kafka.server.api_version))
    return Product(environment, folder)


def written(events: Events, folder: Path) -> tuple[Path, Path]:
    """The events as the two Parquet files that commands read."""
    predictions, labels = folder / "predictions.parquet", folder / "labels.parquet"
    pq.write_table(
        pa.table(
            {
                "prediction_id": pa.array(events.prediction_id, pa.string()),
                "model": pa.array(events.model, pa.string()),
                "model_version": pa.array(events.version, pa.string()),
                "ts": pa.array(events.ts_ms, pa.timestamp("ms", "UTC")),
                "score": events.score,
            }
            | {name: pa.array(values, pa.string()) for name, values in events.segments.items()}
        ),
        predictions,
    )
    pq.write_table(
        pa.table(
            {
                "prediction_id": pa.array(events.label_id, pa.string()),
                "label": events.label.astype("int8"),
                "ts": pa.array(events.label_ms, pa.timestamp("ms", "UTC")),
            }
        ),
        labels,
    )
    return predictions, labels


def counts_by_claim(engine: Engine) -> dict[tuple[str, str, str], bytes]:
    """All that is known now, by model, version and claim, as exact bytes."""
    panes = PaneStore(engine)
    found = {}
    for model in panes.models():
        named = panes.series(model)
        by_claim: dict[tuple[str, str], list[int]] = {}
        for index, series in named.items():
            by_claim.setdefault((series.version, series.claim), []).append(index)
        cells = panes.bins(list(named))
        for (version, claim), indices in by_claim.items():
            counts = cells.take(np.isin(cells.series, indices)).counts()
            found[model, version, claim] = counts.sums.tobytes()
    return found
