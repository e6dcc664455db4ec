"""A fleet under one budget: false alarms, what is found and when, and what a tick costs.

Real Postgres (the embedded one) and the real watcher: every day the counts of all series are laid
down as a worker's flush would. One tick folds them and seals what is mature half a minute before
the cohorts are; the next seals the last pane of each series, judges all of them and records it, as
the tick after midnight does in a daemon that ticks every half minute. `make bench-fleet` prints it,
and puts it into docs/performance.md with ARGS=--write.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import text

from monitor.core.bins import bin_index, row_sums
from monitor.core.budget import Budget
from monitor.core.fleet import Fleet
from monitor.core.panes import Cells, cell_key
from monitor.core.policies import FirstLabels, Policy
from monitor.daemon.memory import tune_memory
from monitor.demo.embedded import embedded_postgres
from monitor.store.engine import connect
from monitor.store.history import HistoryStore
from monitor.store.migrate import upgrade
from monitor.store.packing import pack
from monitor.store.panes import PaneStore
from monitor.watch.clock import Clock
from monitor.watch.tick import Watcher, WatchSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- fleet:begin -->", "<!-- fleet:end -->"
START_S = 1_767_225_600  # 2026-01-01
DAY_S, HOUR_S = 86_400, 3600
HORIZON = timedelta(days=2)
POLICY = Policy(baseline=FirstLabels(1000), label_horizon=HORIZON)
BASELINE_DAYS = 6
BUDGET = Budget(1)
NEWEST = (
    "SELECT DISTINCT ON (model) alarm_at FROM calmon.threshold ORDER BY model, threshold_id DESC"
)
CHANGES = (
    ("slope 0.5", 0.5, 0.0),
    ("slope 0.67", 0.67, 0.0),
    ("level +0.5", 1.0, 0.5),
    ("level -1", 1.0, -1.0),
    ("slope 1.5", 1.5, 0.0),
)
"""Changed series: the logit of the outcome is slope x logit of the score + level."""


@dataclass(frozen=True)
class Size:
    """How large, how long, and when the changed series change."""

    series: int
    a_day: int
    days: int
    changed_on: int
    away_days: int


@dataclass
class Found:
    """What was measured; seconds of wall clock, and of them this process's own work."""

    busy_s: list[float] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)
    idle_s: list[float] = field(default_factory=list)
    fold_s: list[float] = field(default_factory=list)
    fired: dict[str, int] = field(default_factory=dict)
    catch_up_s: float = 0.0
    catch_up_own_s: float = 0.0
    restart_s: float = 0.0
    restart_own_s: float = 0.0
    memory_mb: float = 0.0
    alarm_at: list[float] = field(default_factory=list)


def day_of(size: Size, day: int) -> Cells:
    """On-time counts of all series on one day, in hourly panes."""
    rng = np.random.default_rng([day, 77])
    n = size.series * size.a_day
    series = np.repeat(np.arange(1, size.series + 1, dtype=np.int32), size.a_day)
    logit = rng.normal(0, 1.5, n)
    shock = np.repeat(rng.normal(0, 0.05, size.series), size.a_day)
    truth = logit + shock
    if day >= size.changed_on:
        for k, (_, slope, level) in enumerate(CHANGES, 1):
            truth[series == k] = truth[series == k] * slope + level
    score = np.round(1 / (1 + np.exp(-logit)), 6)
    outcome = rng.uniform(size=n) < 1 / (1 + np.exp(-truth))
    pane = START_S + day * DAY_S + rng.integers(0, 24, n) * HOUR_S
    labelled = rng.uniform(size=n) < 0.95
    key = cell_key(series, pane, np.zeros(n, dtype=np.bool_), bin_index(score))
    return Cells.of(key, row_sums(score, labelled, outcome))


class World:
    """The fleet's database and watcher."""

    def __init__(self, engine: Engine, size: Size) -> None:
        self.engine, self.size = engine, size
        with engine.begin() as connection:
            rows = [{"i": i, "n": f"model-{i:05}"} for i in range(1, size.series + 1)]
            connection.execute(
                text(
                    "INSERT INTO calmon.model (model_id, name) OVERRIDING SYSTEM VALUE "
                    "VALUES (:i, :n)"
                ),
                rows,
            )
            connection.execute(
                text(
                    "INSERT INTO calmon.series (series_id, model, version, claim, segment, pane_s, "
                    "label_horizon_s, correction_horizon_s, rule, low, high) OVERRIDING SYSTEM "
                    "VALUE VALUES (:i, :n, '1', 'positive', '', 3600, :h, 7776000, 0, 1, 1)"
                ),
                [row | {"h": int(HORIZON.total_seconds())} for row in rows],
            )
            for topic in ("predictions", "labels"):
                connection.execute(
                    text(
                        "INSERT INTO calmon.ingest_partition (topic, partition, epoch, owner, "
                        "watermarks, counted) VALUES (:t, 0, 1, 'bench', '{}', '{}')"
                    ),
                    {"t": topic},
                )
        self.start()

    def start(self) -> None:
        """A process that remembers nothing."""
        settings = WatchSettings(
            Clock.WALL,
            ("predictions", "labels"),
            lambda _: POLICY,
            lambda *_: [("console", "stdout")],
            fleet=Fleet(BUDGET),
        )
        self.watcher = Watcher(PaneStore(self.engine), HistoryStore(self.engine), settings)

    def lay_down(self, day: int) -> None:
        """What the workers flush of one day."""
        cells = day_of(self.size, day)
        with self.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO calmon.bin_delta (payload, tallies) VALUES (:p, '[]')"),
                {"p": pack({"key": cells.key, "sums": cells.sums})},
            )
            connection.execute(
                text("UPDATE calmon.ingest_partition SET counted_through_at = :at"),
                {"at": mature_at(day)},
            )

    def tick(self, at: datetime) -> tuple[list[tuple[str, str]], float, float]:
        """Ticks until nothing is behind; alerts told, wall seconds and own seconds."""
        began, own = time.perf_counter(), time.process_time()
        given = self.watcher.tick(at)
        while self.watcher.is_behind:
            given += self.watcher.tick(at)
        seconds = time.perf_counter() - began, time.process_time() - own
        told = [(j.verdict.series.model, str(j.decision.alert)) for j in given if j.decision.alert]
        return told, *seconds


def mature_at(day: int) -> datetime:
    """When the cohort of a day is mature, and a moment more."""
    return datetime.fromtimestamp(START_S + (day + 1) * DAY_S + 1, UTC) + HORIZON


def measured(engine: Engine, size: Size) -> Found:
    """Day after day; at the end a daemon that was away, and one that starts anew."""
    found, world = Found(), World(engine, size)
    for day in range(size.days):
        world.lay_down(day)
        fold_s = world.tick(mature_at(day) - timedelta(seconds=31))[1]
        told, wall_s, own_s = world.tick(mature_at(day))
        _remember(found, told, day)
        if day > BASELINE_DAYS:
            found.busy_s.append(wall_s)
            found.own_s.append(own_s)
            found.fold_s.append(fold_s)
            found.idle_s.append(world.tick(mature_at(day) + timedelta(seconds=30))[1])
        sys.stderr.write(f"\rday {day + 1} of {size.days}: {wall_s:.2f} s, fired {found.fired} ")
    for day in range(size.days, size.days + size.away_days):
        world.lay_down(day)
    last = size.days + size.away_days - 1
    told, found.catch_up_s, found.catch_up_own_s = world.tick(mature_at(last))
    _remember(found, told, last)
    found.memory_mb = _resident_mb()
    world.start()
    told, found.restart_s, found.restart_own_s = world.tick(mature_at(last))
    if told:
        raise AssertionError(told)
    with engine.begin() as connection:
        found.alarm_at = [row[0] for row in connection.execute(text(NEWEST))]
    sys.stderr.write("\n")
    return found


def _remember(found: Found, told: list[tuple[str, str]], day: int) -> None:
    for model, kind in told:
        if kind == "fired":
            found.fired.setdefault(model, day)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def lines(found: Found, size: Size) -> list[str]:
    """The figures as Markdown."""
    changed = {f"model-{k:05}": what for k, (what, _, _) in enumerate(CHANGES, 1)}
    false = sorted(set(found.fired) - set(changed))
    months = size.days / (365.25 / 12)
    tick_s, own_s = statistics.median(found.busy_s), statistics.median(found.own_s)
    days = size.days + size.away_days
    rows = [
        ("promised false alarms", f"{BUDGET.per_month * months:.1f} or fewer"),
        ("false alarms", str(len(false))),
        ("threshold of a series, in labels", f"{statistics.median(found.alarm_at):.3g}"),
        ("changed series found", f"{len(set(changed) & set(found.fired))} of {len(changed)}"),
        *((f"labels until found: {what}", _delay(found, model, size))
          for model, what in changed.items()),
        (f"a tick that judges all {size.series}, median", f"{tick_s:.2f} s"),
        ("the same, slowest", f"{max(found.busy_s):.2f} s"),
        ("of the median, this process's own time", f"{own_s:.2f} s"),
        ("the same, a series", f"{1000 * own_s / size.series:.1f} ms"),
        ("the same, least of all ticks", f"{1000 * min(found.own_s) / size.series:.1f} ms"),
        ("folding a day of counts, sealing 23 panes a series, median",
         f"{statistics.median(found.fold_s):.2f} s"),
        ("a tick with nothing due, median", f"{1000 * statistics.median(found.idle_s):.0f} ms"),
        ("series a tick can judge in 30 s, at that rate", f"{30 / tick_s * size.series:,.0f}"),
        ("series that take 30 s of own time", f"{30 / own_s * size.series:,.0f}"),
        (f"catching up {size.away_days} days", f"{found.catch_up_s:.1f} s"),
        ("of it, this process's own time", f"{found.catch_up_own_s:.1f} s"),
        (f"a new process that folds {days} days again", f"{found.restart_s:.1f} s"),
        ("of it, this process's own time", f"{found.restart_own_s:.1f} s"),
        ("memory of the process at the end", f"{found.memory_mb:.0f} MB"),
    ]  # fmt: skip
    made = (
        f"{size.series} series of {size.a_day} labels a day in 24 panes, {size.days} days, "
        f"{len(CHANGES)} of them changed on day {size.changed_on}. Budget: {BUDGET.words}. "
        f"{os.cpu_count()} cores of {platform.machine()}, load average before "
        f"{os.getloadavg()[2]:.1f}; Python {platform.python_version()}, NumPy {np.__version__}."
    )
    return [made, "", "| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)]


def _delay(found: Found, model: str, size: Size) -> str:
    if model not in found.fired:
        return "-"
    return f"{(found.fired[model] - size.changed_on + 1) * size.a_day:,}"


def run(size: Size) -> list[str]:
    """Measure on a fresh server."""
    tune_memory()
    with embedded_postgres() as url:
        upgrade(url)
        engine = connect(url)
        try:
            return lines(measured(engine, size), size)
        finally:
            engine.dispose()


def test_print_a_small_fleet() -> None:
    for line in run(Size(series=40, a_day=250, days=16, changed_on=8, away_days=3)):
        sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print the figures; put them on the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put it in docs/performance.md")
    said = parser.parse_args()
    text_ = run(Size(said.series, 250, said.days, changed_on=said.days // 2, away_days=7))
    sys.stdout.write("\n".join(text_) + "\n")
    if said.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        whole = "\n".join([BEGIN, *text_, END])
        PAGE.write_text(before + whole + after, encoding="utf-8")


if __name__ == "__main__":
    main()
