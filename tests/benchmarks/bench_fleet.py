"""A fleet under one budget: false alarms, what is found and when, and what a tick costs.

Real Postgres (the embedded one) and the real watcher: every day the counts of all series are laid
down as a worker's flush would. One tick folds them and seals what is mature half a minute before
the cohorts are; the next seals the last pane of each series, judges all of them and records it, as
the tick after midnight does in a daemon that ticks every half minute. `make bench-fleet` prints it,
and puts it into docs/performance.md with ARGS=--write.

It takes about ten minutes. After each day its database and figures are kept under .cache, by the
size and the code: cut off, it goes on where it was; ARGS=--fresh begins again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monitor.daemon.memory import tune_memory
from monitor.demo.embedded import embedded_postgres
from monitor.store.engine import connect
from monitor.store.migrate import upgrade
from tests.benchmarks.fleet_world import BASELINE_DAYS, BUDGET, CHANGES, Size, World, mature_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

HERE = Path(__file__).parents[2]
PAGE = HERE / "docs" / "performance.md"
KEPT = HERE / ".cache" / "bench-fleet"
BEGIN, END = "<!-- fleet:begin -->", "<!-- fleet:end -->"
ADDITIONS = 20_000_000


@dataclass
class Found:
    """What was measured; seconds of wall clock, and of them this process's own work.

    days: how many are done; by day what was measured, but for a day that a new process took up.
    """

    days: int = 0
    busy_s: list[float] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)
    idle_s: list[float] = field(default_factory=list)
    fold_s: list[float] = field(default_factory=list)
    loop_s: list[float] = field(default_factory=list)
    fired: dict[str, int] = field(default_factory=dict)
    catch_up_s: float = 0.0
    catch_up_own_s: float = 0.0
    restart_s: float = 0.0
    restart_own_s: float = 0.0
    memory_mb: float = 0.0
    alarm_at: list[float] = field(default_factory=list)


def measured(engine: Engine, size: Size, found: Found, keep: Callable[[Found], None]) -> Found:
    """Day after day; at the end a daemon that was away, and one that starts anew."""
    world, first = World(engine, size), found.days
    for day in range(first, size.days):
        world.lay_down(day)
        fold_s = world.tick(mature_at(day) - timedelta(seconds=31))[1]
        _, wall_s, own_s = world.tick(mature_at(day))
        if day > BASELINE_DAYS and (day > first or not first):
            found.busy_s.append(wall_s)
            found.own_s.append(own_s)
            found.fold_s.append(fold_s)
            found.idle_s.append(world.tick(mature_at(day) + timedelta(seconds=30))[1])
            found.loop_s.append(_loop_s())
        found.days, found.fired = day + 1, world.fired()
        keep(found)
        sys.stderr.write(f"\rday {day + 1} of {size.days}: {wall_s:.2f} s, fired {found.fired} ")
    world.tick(mature_at(size.days - 1))  # a process that took up a finished run knows it all
    for day in range(size.days, size.days + size.away_days):
        world.lay_down(day)
    last = size.days + size.away_days - 1
    _, found.catch_up_s, found.catch_up_own_s = world.tick(mature_at(last))
    found.memory_mb, found.fired = _resident_mb(), world.fired()
    world.start()
    told, found.restart_s, found.restart_own_s = world.tick(mature_at(last))
    if told:
        raise AssertionError(told)
    found.alarm_at = world.thresholds()
    sys.stderr.write("\n")
    return found


def _loop_s() -> float:
    """Seconds for a loop of 20 million additions, from a tenth of it: how fast the machine is."""
    began, total = time.perf_counter(), 0
    for i in range(ADDITIONS // 10):
        total += i
    return 10 * (time.perf_counter() - began)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def lines(found: Found, size: Size) -> list[str]:
    """The figures as Markdown."""
    changed = {f"model-{k:05}": what for k, (what, _, _) in enumerate(CHANGES, 1)}
    false = sorted(set(found.fired) - set(changed))
    days = size.days + size.away_days
    months = days / (365.25 / 12)
    tick_s, own_s = statistics.median(found.busy_s), statistics.median(found.own_s)
    rows = [
        ("promised false alarms", f"{BUDGET.per_month * months:.1f} or fewer"),
        ("false alarms", str(len(false))),
        ("threshold of a series, in labels", f"{statistics.median(found.alarm_at):.3g}"),
        ("changed series found", f"{len(set(changed) & set(found.fired))} of {len(changed)}"),
        *((f"labels until found: {what}", _delay(found, model, size))
          for model, what in changed.items()),
        (f"a tick that judges all {size.series}, median of {len(found.busy_s)}", f"{tick_s:.2f} s"),
        ("the same, fastest and slowest", f"{min(found.busy_s):.2f} s, {max(found.busy_s):.2f} s"),
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
        ("a loop of 20 million additions in Python meanwhile, median",
         f"{statistics.median(found.loop_s):.2f} s"),
    ]  # fmt: skip
    made = (
        f"{size.series} series of {size.a_day} labels a day in 24 panes, {days} days, "
        f"{len(CHANGES)} of them changed on day {size.changed_on}. Budget: {BUDGET.words}. "
        f"{os.cpu_count()} cores of {platform.machine()}, load average at the end "
        f"{os.getloadavg()[2]:.1f}; Python {platform.python_version()}, NumPy {np.__version__}."
    )
    return [made, "", "| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)]


def _delay(found: Found, model: str, size: Size) -> str:
    if model not in found.fired:
        return "-"
    return f"{(found.fired[model] - size.changed_on + 1) * size.a_day:,}"


def run(size: Size, kept: Path | None = None) -> list[str]:
    """Measure on a server; kept: where its data and the figures lie, to go on from."""
    tune_memory()
    found, data = Found(), None
    if kept is not None:
        data, figures = kept / "postgres", kept / "figures.json"
        if figures.exists():
            found = Found(**json.loads(figures.read_text(encoding="utf-8")))
        kept.mkdir(parents=True, exist_ok=True)

    def keep(so_far: Found) -> None:
        if kept is not None:
            figures.write_text(json.dumps(asdict(so_far)), encoding="utf-8")

    with embedded_postgres(data) as url:
        upgrade(url)
        engine = connect(url)
        try:
            return lines(measured(engine, size, found, keep), size)
        finally:
            engine.dispose()


def _place(size: Size) -> Path:
    """Where a run of this size, of this code, is kept."""
    digest = hashlib.sha256(repr(size).encode())
    sources = [*(HERE / "monitor").rglob("*.py"), *Path(__file__).parent.glob("*fleet*.py")]
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return KEPT / digest.hexdigest()[:12]


def test_print_a_small_fleet() -> None:
    for line in run(Size(series=40, a_day=250, days=16, changed_on=8, away_days=3)):
        sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print the figures; put them on the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--fresh", action="store_true", help="begin again")
    parser.add_argument("--write", action="store_true", help="put it in docs/performance.md")
    said = parser.parse_args()
    size = Size(said.series, 250, said.days, changed_on=said.days // 2, away_days=7)
    if said.fresh:
        shutil.rmtree(_place(size), ignore_errors=True)
    text_ = run(size, _place(size))
    shutil.rmtree(_place(size))
    sys.stdout.write("\n".join(text_) + "\n")
    if said.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        whole = "\n".join([BEGIN, *text_, END])
        PAGE.write_text(before + whole + after, encoding="utf-8")


if __name__ == "__main__":
    main()
