"""The benchmark's numbers as tables, as one line of JSON, and between two marks in the docs.

Guarantees: a ratio is the median, over the rounds, of ratios of runs of one round, so that a
machine that is busier in one round than in another does not change it. Must never: leave out a
number because it misses its target.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.daemon.memory import GC_THRESHOLDS
from tests.benchmarks.ingest.contest import BATCH_EVENTS
from tests.benchmarks.ingest.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.benchmarks.ingest.arena import Pending, Run

TARGETS: dict[str, tuple[str, float]] = {
    "ours_over_bare": (">=", 0.75),
    "ours_over_bare_spread": (">=", 0.75),
    "ours_over_bare_fleet": (">=", 0.70),
    "ours_over_quix": (">=", 2.0),
    "ours_over_rows": (">=", 4.0),
    "bytes_memory_per_pending": ("<=", 64.0),
    "bytes_postgres_per_pending": ("<=", 40.0),
    "rebuild_rows_per_s": (">=", 1_500_000.0),
    "p99_batch_ms": ("<=", 300.0),
}

GROUPS = (
    ("lz4", "kafka-python: parsing of records"),
    ("kafka.record", "kafka-python: parsing of records"),
    ("kafka.consumer.fetcher", "kafka-python: parsing of records"),
    ("kafka", "kafka-python: the rest of poll"),
    ("monitor.ingest.formats", "decoding of JSON (msgspec) and of columns"),
    ("monitor.ingest.decoding", "decoding of JSON (msgspec) and of columns"),
    ("monitor.ingest.series_book", "decoding of JSON (msgspec) and of columns"),
    ("monitor.ingest.shard_state", "join and counting"),
    ("monitor.core", "join and counting"),
    ("monitor.store", "blocks and commit"),
    ("monitor.ingest.worker", "the rest of the worker"),
)
"""Whose time a stack is: the first frame, from the inside, that begins with one of these."""


@dataclass(slots=True)
class Results:
    """All that was measured, and where.

    pairs: one worker and two, run one after the other.
    load_before: the machine's load average of the minute before; near 0 where it was idle.
    """

    kafka: str
    partitions: int
    n_events: int
    mean_bytes: float
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    runs: list[Run] = field(default_factory=list)
    pairs: list[tuple[Run, Run]] = field(default_factory=list)
    pending: Pending | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """What the last line of the benchmark says."""
        found: dict[str, float] = {}
        for name, workload, rival in (
            ("ours_over_bare", "at_once", "bare"),
            ("ours_over_bare_spread", "spread", "bare"),
            ("ours_over_bare_fleet", "fleet", "bare"),
            ("ours_over_quix", "at_once", "quix"),
            ("ours_over_rows", "at_once", "rows"),
        ):
            ratios = self.ratios("ours", workload, rival)
            if ratios:
                found[name] = round(statistics.median(ratios), 3)
        slowest = [self.batch_ms(name)[1] for name in WORKLOADS if self._of("ours", name)]
        if slowest:
            found["p99_batch_ms"] = round(max(slowest), 1)
        if self.pairs:
            gains = [two.rate / one.rate for one, two in self.pairs]
            found["two_workers_gain"] = round(statistics.median(gains), 2)
        if self.pending is not None:
            # The upper half spans a whole cycle of the tables' growth, by half of their size.
            memory = self.pending.memory_bytes
            worst = max(used for rows, used in memory.items() if rows >= max(memory) / 2)
            few, many = (statistics.median(ms) for ms in self.pending.batch_ms.values())
            found |= {
                "bytes_memory_per_pending": round(worst, 1),
                "bytes_postgres_per_pending": round(self.pending.postgres_bytes, 1),
                "rebuild_rows_per_s": round(self.pending.rebuilt_per_s),
                "batch_ms_beside_100k": round(few, 2),
                "batch_ms_beside_10m": round(many, 2),
            }
        return found

    def ratios(self, contestant: str, workload: str, rival: str) -> list[float]:
        """Rate of one over the other's, round by round."""
        rates = {run.round: run.rate for run in self._of(rival, workload)}
        return [run.rate / rates[run.round] for run in self._of(contestant, workload)
                if run.round in rates]  # fmt: skip

    def batch_ms(self, workload: str) -> tuple[float, float]:
        """p50 and p99 of ours, over the batches of all rounds, from poll to commit."""
        batches = [s for run in self._of("ours", workload) for s in run.answer["batch_s"]]
        p50, p99 = 1000 * np.percentile(batches, [50, 99])
        return float(p50), float(p99)

    def _of(self, contestant: str, workload: str) -> list[Run]:
        return [r for r in self.runs if (r.contestant, r.workload) == (contestant, workload)]

    def markdown(self) -> Iterator[str]:
        """The tables, a line at a time."""
        yield (
            f"{self.n_events:,} events of {self.mean_bytes:.0f} bytes, lz4, {self.partitions} "
            f"partitions a topic, {self.kafka}; batches of {BATCH_EVENTS:,}; Python "
            f"{platform.python_version()}; `gc.freeze()` and `gc.set_threshold{GC_THRESHOLDS}` in "
            f"all contestants; median of {len({run.round for run in self.runs})} rounds; "
            f"{os.cpu_count()} cores, load average before it {self.load_before:.1f}."
        )
        yield ""
        yield "| contestant | workload | events/s | of bare | batch p50 ms | batch p99 ms |"
        yield "|---|---|---:|---:|---:|---:|"
        for contestant, workload in dict.fromkeys((r.contestant, r.workload) for r in self.runs):
            yield self._row(contestant, workload)
        for contestant, reason in self.missing.items():
            yield f"| {contestant} | | not run: {reason} | | | |"
        yield ""
        yield "| number | measured | target | |"
        yield "|---|---:|---:|---|"
        for name, value in self.numbers().items():
            sign, target = TARGETS.get(name, ("", 0.0))
            met = value >= target if sign == ">=" else value <= target
            verdict = ("met" if met else "missed") if sign else ""
            yield f"| {name} | {value:,} | {f'{sign} {target:,.7g}' if sign else ''} | {verdict} |"
        if self.pending is not None:
            yield ""
            yield "| pending rows | bytes of memory a row |"
            yield "|---:|---:|"
            for rows, used in self.pending.memory_bytes.items():
                yield f"| {rows:,} | {used:.1f} |"

    def _row(self, contestant: str, workload: str) -> str:
        rate = statistics.median(run.rate for run in self._of(contestant, workload))
        ratios = self.ratios(contestant, workload, "bare")
        cells = [contestant, WORKLOADS[workload].title, f"{rate:,.0f}"]
        cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        cells += (
            [f"{ms:.0f}" for ms in self.batch_ms(workload)] if contestant == "ours" else [""] * 2
        )
        return "| " + " | ".join(cells) + " |"


def profile_lines(samples: Sequence[tuple[Sequence[str], int]]) -> Iterator[str]:
    """Shares of the worker's time by whose work it is, and the functions with the most."""
    total = sum(n for _, n in samples)
    groups: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack, n in samples:
        groups[_group(stack)] += n
        functions[stack[0]] += n
    yield "| work | share |"
    yield "|---|---:|"
    for name, n in groups.most_common():
        yield f"| {name} | {n / total:.1%} |"
    yield ""
    yield "| innermost Python function | share |"
    yield "|---|---:|"
    for name, n in functions.most_common(14):
        yield f"| `{name}` | {n / total:.1%} |"


def _group(stack: Sequence[str]) -> str:
    for frame in stack:
        for prefix, group in GROUPS:
            if frame.startswith(prefix + "."):
                return group
    return "other"


def write_between_marks(path: Path, lines: Sequence[str], name: str = "bench") -> None:
    """Replace what stands between the two marks; raises ValueError where there are none."""
    begin, end = (f"<!-- {name}:{side} -->" for side in ("begin", "end"))
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        msg = f"no {begin} and {end} in {path}"
        raise ValueError(msg)
    path.write_text("\n".join([before + begin, *lines, end + after]))
