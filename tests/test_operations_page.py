"""docs/operations.md and docs/dead-letters.md say what the code says; a stale row fails."""

from __future__ import annotations

import ast
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from monitor.core.counting.tallies import NO_SERIES, Tally, TallyKind
from monitor.daemon import health
from monitor.daemon.observability import OUTCOMES, Metrics
from monitor.ingest.dead_letter_log import FULL
from monitor.ingest.observed import Committed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LETTERS = (ROOT / "docs" / "dead-letters.md").read_text(encoding="utf-8")
NUMBERS = {3: "three"}
AT = datetime(2026, 3, 1, tzinfo=UTC)


def refusal_reasons() -> Iterator[str]:
    """Every short name that a Refusal is made with, by reading the source."""
    for path in (ROOT / "monitor" / "ingest").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                for inner in ast.walk(node.args[0]):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value


def declared() -> set[tuple[str, str, tuple[str, ...]]]:
    """(name, kind, labels) of every metric, as Prometheus sees it once all has happened."""
    metrics = Metrics(str, now=lambda: AT)
    tallies = Counter({Tally(kind, 1, NO_SERIES): 1 for kind in TallyKind})
    letters = {("labels", "empty"): 1}
    metrics.committed(
        Committed(AT, {"labels": 1}, letters, tallies, np.ones(1), {"labels": 1}, 1.0, 1)
    )
    metrics.ticked(AT, seconds=1, series_judged=1)
    metrics.alerted("fired")
    metrics.notified("slack", "delivered")
    metrics.pinged("answered")
    found: set[tuple[str, str, tuple[str, ...]]] = set()
    for family in metrics.registry.collect():
        if family.name.startswith("calmon_"):
            labels = tuple(label for label in family.samples[0].labels if label != "le")
            suffix = "_total" if family.type == "counter" else ""
            found.add((family.name + suffix, family.type, labels))
    return found


def test_the_page_has_every_metric_and_no_other() -> None:
    rows = re.findall(r"(?m)^\| `(calmon_\w+)` \| (\w+) \| (.*?) ?\| ", OPERATIONS)
    written = {(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert written == declared()


def test_the_page_has_every_outcome() -> None:
    row = next(line for line in OPERATIONS.splitlines() if line.startswith("| `calmon_events_t"))
    outcomes = {outcome[1] for outcome in OUTCOMES.values() if outcome is not None}
    written = set(re.findall(r"`(\w+)`", row.split("each in one outcome:")[1]))
    assert written == outcomes | {"counted", "dead_letter"}


def test_the_examples_are_yaml_about_metrics_that_exist() -> None:
    blocks = [yaml.safe_load(b) for b in re.findall(r"```yaml\n(.*?)```", OPERATIONS, re.DOTALL)]
    [rules] = [block["groups"][0]["rules"] for block in blocks if "groups" in block]
    assert len(rules) == 3
    named = {name for rule in rules for name in re.findall(r"calmon_\w+", rule["expr"])}
    assert named <= {name for name, _, _ in declared()}


def test_the_limits_of_health_are_as_told() -> None:
    assert f"within {health.STUCK_AFTER.total_seconds() / 60:.0f} minutes" in OPERATIONS
    assert f"committed within {health.COMMIT_WITHIN.total_seconds():.0f} s" in OPERATIONS
    assert f"ended a tick within {health.TICKS_WITHIN} ticks" in OPERATIONS


def test_the_page_has_every_reason_and_no_other() -> None:
    written = re.findall(r"(?m)^\| `(\w+)` \|", LETTERS)
    assert len(written) == len(set(written))
    assert set(written) == set(refusal_reasons())
    assert f"the first {NUMBERS[FULL]} letters a minute" in LETTERS
