"""Runs the contestants: fresh database, fresh consumer group, a process of its own, one at a time.

Guarantees: a result whose counts are not the stream's own fails the benchmark. Must never: let two
contestants run at once, other than the two workers that are meant to.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.demo.embedded import MockKafka
from tests.benchmarks.ingest.contest import GIVE_UP_S, Task
from tests.benchmarks.ingest.machines import MOCK_PARTITIONS, REAL_PARTITIONS
from tests.benchmarks.ingest.workloads import Published, Workload, publish
from tests.servers import CHECKOUT, Databases

JOIN_S = 90

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import RealKafka


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contestant. answer: all it said."""

    contestant: str
    workload: str
    round: int
    n_events: int
    seconds: float
    answer: dict[str, Any]

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.n_events / self.seconds


@dataclass(frozen=True, slots=True)
class Pending:
    """Cost of pending predictions.

    memory_bytes: a row, by rows held; postgres_bytes: a row; rebuilt_per_s: rows a second;
    batch_ms: counting of each of some batches, by rows held.
    """

    memory_bytes: dict[int, float]
    postgres_bytes: float
    rebuilt_per_s: float
    batch_ms: dict[int, list[float]]


@dataclass(slots=True)
class Arena:
    """The servers, what was published on them, and where each contestant's Python is."""

    node: RealKafka | MockKafka
    databases: Databases
    pythons: dict[str, Path] = field(default_factory=dict)
    _published: dict[str, Published] = field(default_factory=dict)
    _suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    @property
    def partitions(self) -> int:
        return MOCK_PARTITIONS if isinstance(self.node, MockKafka) else REAL_PARTITIONS

    @property
    def kafka(self) -> str:
        """What kind of Kafka this is."""
        return "the mock" if isinstance(self.node, MockKafka) else "Apache Kafka"

    def publish(self, workload: Workload, n_predictions: int) -> Published:
        """Make the workload's topics and fill them."""
        names = self._topics(workload)
        for name in names:
            self.node.create_topic(name, self.partitions)
        self._published[workload.name] = publish(
            workload,
            n_predictions,
            self.node.server.bootstrap,
            names[:2],
            lambda number: number % self.partitions,
        )
        return self._published[workload.name]

    def run(self, contestant: str, workload: Workload, number: int, **options: object) -> Run:
        """Run one contestant to its end; raises AssertionError if it counted anything else."""
        with self._task(contestant, workload, options) as task:
            answer = finished(contestant, task, self.pythons.get(contestant))
        self._check(workload, answer)
        return Run(contestant, workload.name, number, task.n_events, answer["seconds"], answer)

    def run_pair(self, workload: Workload, number: int) -> Run:
        """Two workers of one group, each with half of the partitions, from when both hold them."""
        with self._task("ours", workload, {"members": 2}) as task:
            place = Path(task.state_dir)
            one, two = (replace(task, options=task.options | {"member": i}) for i in range(2))
            with started("ours", one) as first, started("ours", two) as second:
                give_up_at = time.monotonic() + JOIN_S
                while not all((place / f"ready-{i}").exists() for i in range(2)):
                    if first.process.poll() is not None or second.process.poll() is not None:
                        break  # its answer tells why
                    assert time.monotonic() < give_up_at, "two workers did not share partitions"
                    time.sleep(0.2)
                (place / "go").touch()
                answers = [first.answer(), second.answer()]
        ends = [answer["started"] + answer["seconds"] for answer in answers]
        self._check(workload, answers[ends.index(max(ends))])
        seconds = max(ends) - min(answer["started"] for answer in answers)
        return Run("two of ours", workload.name, number, task.n_events, seconds, {})

    def pending(self, n_rows: int) -> Pending:
        """What pending predictions cost; see the contestant of that name."""
        answers: dict[str, dict[str, Any]] = {}
        for modes in (("fill", "rebuild"), ("resident",)):
            url = self.databases.migrated()
            for mode in modes:
                task = Task("", None, "", "", "", "", n_rows, 0, (), url, "", {"mode": mode})
                answers[mode] = finished("pending", task)
            self.databases.drop(url)
        assert answers["rebuild"]["rows"] == answers["fill"]["rows"] == n_rows, answers
        return Pending(
            {int(rows): used for rows, used in answers["fill"]["memory"].items()},
            answers["fill"]["postgres"],
            statistics.median(answers["rebuild"]["rates"]),
            {int(rows): ms for rows, ms in answers["resident"]["batch_ms"].items()},
        )

    @contextmanager
    def _task(
        self, contestant: str, workload: Workload, options: dict[str, object]
    ) -> Iterator[Task]:
        """A task on a new database, with a new consumer group and a new directory."""
        url = self.databases.migrated()
        with tempfile.TemporaryDirectory(prefix="calmon-bench-") as directory:
            yield Task(
                self.node.server.bootstrap,
                self.node.server.api_version,
                *self._topics(workload),
                f"{contestant}-{uuid.uuid4().hex[:6]}",
                sum(self._published[workload.name].counts[:2]),
                workload.label_horizon_s,
                workload.segments,
                url,
                directory,
                options,
            )
        self.databases.drop(url)

    def _check(self, workload: Workload, answer: dict[str, Any]) -> None:
        expected = self._published[workload.name].counts
        assert answer["counts"] == expected, f"counted {answer['counts']}, published {expected}"

    def _topics(self, workload: Workload) -> tuple[str, str, str]:
        name = f"{workload.name}-{self._suffix}"
        return f"predictions-{name}", f"labels-{name}", f"changes-{name}"


@contextmanager
def started(contestant: str, task: Task, python: Path | None = None) -> Iterator[Contestant]:
    """Run a contestant; it is ended with the block, if it has not ended by itself."""
    process = subprocess.Popen(
        [
            str(python or sys.executable),
            "-m",
            f"tests.benchmarks.ingest.{contestant}",
            task.as_json(),
        ],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Contestant(contestant, process)
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process that was started."""

    name: str
    process: subprocess.Popen[str]

    def answer(self) -> dict[str, Any]:
        """Wait for its end; raises AssertionError if it failed."""
        out, err = self.process.communicate(timeout=GIVE_UP_S + 60)
        assert self.process.returncode == 0, f"{self.name} failed:\n{out[-2000:]}\n{err[-6000:]}"
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


def finished(contestant: str, task: Task, python: Path | None = None) -> dict[str, Any]:
    """Run a contestant to its end."""
    with started(contestant, task, python) as process:
        return process.answer()
