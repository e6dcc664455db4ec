"""The detection benchmark: `make bench-detection`, or `python -m tests.benchmarks.detection.run`.

Measures what is not known yet, replicate by replicate over all rows, keeps each result at once
under .cache/bench-detection, and puts the tables of everything that is known for the present code
into docs/detection.md. It may be stopped at any time and goes on where it was. Several shards may
run side by side (--only), each with a --shard of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from tests.benchmarks.detection import tables
from tests.benchmarks.detection.contest import OURS
from tests.benchmarks.detection.places import CACHE
from tests.benchmarks.detection.results import Results, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.detection.contest import Row

RIVALS_AT_MOST = 40
Task = tuple[int, int, tuple[int, ...]]
"""Numbers of a row, a run and the contestants that are to judge it."""


def main() -> None:
    """Measure, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="replicates of each row")
    parser.add_argument(
        "--rival-runs", type=int, help=f"of the rivals; by default --runs, at most {RIVALS_AT_MOST}"
    )
    parser.add_argument("--first-run", type=int, default=0, help="number of the first replicate")
    parser.add_argument("--only", action="append", help="TABLE or TABLE/ROW; may be given again")
    parser.add_argument("--who", choices=("ours", "rival", "all"), default="all")
    parser.add_argument("--but", default=[], action="append", help="leave out contestants so named")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--shard", default="results", help="name of the file of results")
    parser.add_argument("--no-write", action="store_true", help="leave docs/detection.md alone")
    given = parser.parse_args()
    results = Results(CACHE / f"{given.shard}.jsonl")
    measure(results, list(tasks(results, given)), given.processes)
    text = list(tables.markdown(results))
    sys.stdout.write("\n".join(text) + "\n")
    if not given.no_write:
        tables.write_page(text)


def tasks(results: Results, given: argparse.Namespace) -> Iterator[Task]:
    """What is asked for and not known, first replicates first."""
    rival_runs = given.rival_runs
    if rival_runs is None:
        rival_runs = min(given.runs, RIVALS_AT_MOST)
    for run in range(given.first_run, max(given.runs, rival_runs)):
        for number, row in enumerate(tables.ROWS):
            if not chosen(row, given.only) or (row.most_runs is not None and run >= row.most_runs):
                continue
            wanted = tuple(
                which
                for which, contestant in enumerate(row.contestants)
                if given.who in ("all", contestant.who)
                and run < (given.runs if contestant.who == OURS else rival_runs)
                and not any(name in contestant.name for name in given.but)
                and contestant.missing() is None
                and not results.has(row, contestant, run)
            )
            if wanted:
                yield number, run, wanted


def chosen(row: Row, only: list[str] | None) -> bool:
    """Whether a row is asked for."""
    return only is None or any(row.slug == name or row.slug.startswith(f"{name}/") for name in only)


def measure(results: Results, todo: list[Task], processes: int) -> None:
    """Do all tasks, with a line of progress for each."""
    began = time.monotonic()
    for done, made in enumerate(_made(todo, processes), start=1):
        results.add(made)
        spent = time.monotonic() - began
        left = spent / done * (len(todo) - done)
        at = f"{made[0]['table']}/{made[0]['row']} run {made[0]['run']}"
        sys.stderr.write(f"[{spent:.1f} s, {left:.0f} s to go] {done}/{len(todo)} {at}\n")


def _made(todo: list[Task], processes: int) -> Iterator[list[dict[str, Any]]]:
    if processes == 1:
        yield from map(do, todo)
    else:
        with get_context("fork").Pool(processes) as pool:
            yield from pool.imap_unordered(do, todo)


def do(task: Task) -> list[dict[str, Any]]:
    """Make one stream and let the contestants judge it."""
    number, run, which = task
    row = tables.ROWS[number]
    stream = row.stream(run)
    return [record(row, row.contestants[i], run, row.contestants[i].judge(stream)) for i in which]


if __name__ == "__main__":
    main()
