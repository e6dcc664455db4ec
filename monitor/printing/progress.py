"""A progress bar for what takes minutes.

Must never: write to stdout; that is for results.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.ingest.replay import Progress as Published


@dataclass(frozen=True, slots=True)
class Bar:
    """A progress bar on stderr; `say` prints above it."""

    bar: Progress
    task: TaskID

    def update(self, published: Published) -> None:
        """Show how many events went out, and the day that they have reached."""
        day = datetime.fromtimestamp(published.ts_ms / 1000, UTC).date().isoformat()
        self.bar.update(self.task, completed=published.published, description=f"events of {day}")

    def say(self, text: str) -> None:
        """Print a text as it is."""
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(total: int) -> Iterator[Bar]:
    """A bar for `total` events."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Bar(bar, bar.add_task("publishing", total=total))
