"""Rows, contestants and results: what is measured, and when a result may be used again.

A row makes one stream a replicate, seeded by table, row and run; each contestant judges it. A
result is kept under the digest of the code that made it: the modules that the contestant and the
row's maker come from, and all of ours that these import when they run, without comments,
docstrings and layout. So changed code repeats what it touches, and nothing else.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks.detection.places import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Result = Mapping[str, Any]
"""Plain JSON values."""
Judge = Callable[[Any], Result]
OURS, RIVAL = "ours", "rival"
ASIDE = {
    f"tests.benchmarks.detection.{name}"
    for name in ("contest", "contestants", "main_table", "places", "results", "summary")
} | {f"monitor.core.{name}" for name in ("events", "policies", "verdicts")}
"""Modules that no figure follows from: they arrange and show results, or only declare records."""


@dataclass(frozen=True)
class Contestant:
    """Somebody who judges a row's stream; `missing` says why it cannot, where it cannot."""

    name: str
    judge: Judge
    modules: tuple[str, ...]
    who: str = RIVAL
    missing: Callable[[], str | None] = field(default=lambda: None)


@dataclass(frozen=True)
class Row:
    """One setting of one table; runs: replicates that make sense, where that is fewer than asked.

    make: a stream from a generator; spec: its parameters in words, part of the digest.
    """

    table: str
    name: str
    make: Callable[[np.random.Generator], Any]
    spec: str
    modules: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    most_runs: int | None = None

    @property
    def slug(self) -> str:
        """Name for the command line."""
        return f"{self.table}/{self.name}".replace(" ", "-")

    def stream(self, run: int) -> Any:  # noqa: ANN401  # each table has its own kind of stream
        """The stream of one replicate."""
        return self.make(np.random.default_rng([run, *f"{self.table}/{self.name}".encode()]))


def digest(row: Row, contestant: Contestant) -> str:
    """Digest of everything that a result of this row and contestant follows from."""
    state = hashlib.sha256(f"{row.table}|{row.name}|{row.spec}|{contestant.name}".encode())
    for name in sorted(_closure((*row.modules, *contestant.modules))):
        state.update(f"{name}:{_fingerprint(name)}".encode())
    return state.hexdigest()[:16]


def _closure(modules: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in ASIDE:
            found.add(name)
            waiting += _imports(name)
    return found


@cache
def _tree(name: str) -> ast.Module:
    path = _path(name)
    if path is None:
        msg = f"there is no module {name}"
        raise ValueError(msg)
    return ast.parse(path.read_text(encoding="utf-8"))


def _path(name: str) -> Path | None:
    path = CHECKOUT.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def _fingerprint(name: str) -> str:
    return fingerprint(_tree(name))


def fingerprint(tree: ast.Module) -> str:
    """Digest of what a module does, whatever its comments, docstrings and layout; clears those."""
    kept = [
        node for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list)
    ]
    for node in kept:
        # Strings that stand alone are documentation.
        node.body = [
            line
            for line in node.body
            if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        ]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _imports(name: str) -> tuple[str, ...]:
    return tuple(sorted({m for m in _imported(_tree(name)) if _path(m) is not None}))


def _imported(node: ast.AST) -> Iterator[str]:
    """Modules of ours that a module imports when it runs; for type checkers alone left out."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    if isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if _is_ours(alias.name))
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def _is_ours(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in {"monitor", "tests"}
