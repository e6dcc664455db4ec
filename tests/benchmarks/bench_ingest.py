"""The ingest benchmark: one worker against its client's limit, and against what others would build.

Run `make bench`. It prints its progress, the tables of docs/performance.md and, as the last line
of stdout, JSON. WRITE_DOCS=1 puts the tables into docs/performance.md.

BENCH_EVENTS (2000000), BENCH_ROUNDS (3) and BENCH_PENDING (5000000) set its size; BENCH_ONLY
(bare,ours,quix,rows), BENCH_WORKLOADS (at_once,spread,fleet) and BENCH_PARTS (rates,pair,pending)
choose from it; BENCH_PROFILE=1 adds a profile of the worker.
"""

from __future__ import annotations

import atexit
import json
import os
import time

import pytest

from monitor.demo.embedded import MockKafka
from tests.benchmarks.ingest.arena import Arena
from tests.benchmarks.ingest.machines import durable_databases, kafka
from tests.benchmarks.ingest.report import Results, profile_lines, write_between_marks
from tests.benchmarks.ingest.rival_environment import PYTHON, install_quix
from tests.benchmarks.ingest.workloads import WORKLOADS
from tests.servers import CHECKOUT

EVENTS = int(os.environ.get("BENCH_EVENTS", "2000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PENDING = int(os.environ.get("BENCH_PENDING", "5000000"))
ONLY = os.environ.get("BENCH_ONLY", "bare,ours,quix,rows").split(",")
CHOSEN = os.environ.get("BENCH_WORKLOADS", "at_once,spread,fleet").split(",")
PARTS = os.environ.get("BENCH_PARTS", "rates,pair,pending").split(",")
PROFILE = os.environ.get("BENCH_PROFILE") == "1"
WRITE_DOCS = os.environ.get("WRITE_DOCS") == "1"
PAGE = CHECKOUT / "docs" / "performance.md"

FAST = ("bare", "ours")
"""These run every workload; the others would take minutes for each and run the first."""

began = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)  # noqa: T201


@pytest.mark.timeout(0)
def test_ingest() -> None:
    with durable_databases() as databases, kafka() as node:
        arena = Arena(node, databases, {"quix": PYTHON})
        results = Results(arena.kafka, arena.partitions, EVENTS, 0.0)
        needed = CHOSEN if "rates" in PARTS or PROFILE else CHOSEN[:1] if "pair" in PARTS else []
        for name in needed:
            published = arena.publish(WORKLOADS[name], EVENTS // 2)
            results.mean_bytes = published.mean_bytes
            say(f"published {EVENTS:,} events of workload {name}")
        if "rates" in PARTS:
            run_rounds(arena, results)
        if "pair" in PARTS and not isinstance(node, MockKafka):
            run_pairs(arena, results)
        if "pending" in PARTS:
            results.pending = arena.pending(PENDING)
            say("measured pending predictions")
        profile = list(profile_of(arena)) if PROFILE else []
    tables = list(results.markdown())
    print("", *tables, "", *profile, sep="\n")  # noqa: T201
    if WRITE_DOCS:
        write_between_marks(PAGE, tables, "bench")
        if profile:
            write_between_marks(PAGE, profile, "profile")
    # after pytest's own last words
    atexit.register(print, json.dumps(results.numbers()))


def run_rounds(arena: Arena, results: Results) -> None:
    """All contestants in turn, and again, so that a busy minute falls on all alike."""
    contestants = list(ONLY)
    if "quix" in contestants:
        mock = isinstance(arena.node, MockKafka)
        reason = "it needs a real Kafka" if mock else install_quix()
        if reason is not None:
            contestants.remove("quix")
            results.missing["quix"] = reason
            say(f"quix is left out: {reason}")
    for number in range(ROUNDS):
        for name in CHOSEN:
            for contestant in contestants:
                if contestant in FAST or name == CHOSEN[0]:
                    run = arena.run(contestant, WORKLOADS[name], number)
                    results.runs.append(run)
                    say(f"round {number + 1} {name:8} {contestant:5} {run.rate:9,.0f} events/s")


def run_pairs(arena: Arena, results: Results) -> None:
    """One worker and then two, once a round."""
    workload = WORKLOADS[CHOSEN[0]]
    for number in range(ROUNDS):
        one = arena.run("ours", workload, number)
        two = arena.run_pair(workload, number)
        results.pairs.append((one, two))
        say(f"round {number + 1} one worker {one.rate:,.0f}, two {two.rate:,.0f} events/s")


def profile_of(arena: Arena) -> list[str]:
    run = arena.run("ours", WORKLOADS[CHOSEN[0]], 0, profile=True)
    say(f"profiled at {run.rate:,.0f} events/s")
    return list(profile_lines(run.answer["profile"]))
