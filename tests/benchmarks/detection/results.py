"""Results on disk: one JSON line for each table, row, contestant and run, appended when it is made.

Guarantees: a line is written at once and whole, so several shards may append to one file and an
interruption loses one result; a broken last line is passed over. Results of older code stay in
the file and are not read.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.benchmarks.detection.contest import digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.benchmarks.detection.contest import Contestant, Result, Row

Key = tuple[str, int]


class Results:
    """Results of the present code, by row and contestant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Key, Result] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in sorted(path.parent.glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            return
        self._known[record["digest"], record["run"]] = record["result"]

    def has(self, row: Row, contestant: Contestant, run: int) -> bool:
        """Whether this result is known."""
        return (digest(row, contestant), run) in self._known

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Keep results, as `record` makes them."""
        with self._path.open("ab", buffering=0) as file:
            for made in records:
                file.write((json.dumps(made) + "\n").encode())
                self._known[made["digest"], made["run"]] = made["result"]
            os.fsync(file.fileno())

    def of(self, row: Row, contestant: Contestant) -> list[Result]:
        """All known results of a row and contestant, by run."""
        wanted = digest(row, contestant)
        return [self._known[key] for key in sorted(self._known) if key[0] == wanted]


def record(row: Row, contestant: Contestant, run: int, result: Result) -> dict[str, Any]:
    """One line of the file."""
    return {
        "digest": digest(row, contestant),
        "table": row.table,
        "row": row.name,
        "contestant": contestant.name,
        "run": run,
        "result": dict(result),
    }
