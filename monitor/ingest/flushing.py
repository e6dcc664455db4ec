"""When counts are flushed to where the watcher sees them, and when old rows are looked for.

Guarantees: counts wait no longer than they may, and what waits is bounded. Must never: read a
clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

FLUSH_BATCHES = 64
FLUSH_CELLS = 300_000
EVICT_FLUSHES = 20


class FlushCadence:
    """Batches and time since the last flush. now_s is of one monotonic clock."""

    def __init__(self, every: timedelta, now_s: float) -> None:
        self._every_s = every.total_seconds()
        self._batches = 0
        self._flushes = 0
        self._flushed_s = now_s

    def counted(self) -> None:
        """Take note of a batch."""
        self._batches += 1

    def is_due(self, waiting_cells: int, now_s: float) -> bool:
        """Whether to flush now, with so many cells waiting."""
        return (
            self._batches >= FLUSH_BATCHES
            or waiting_cells >= FLUSH_CELLS
            or now_s - self._flushed_s >= self._every_s
        )

    def flushed(self, now_s: float) -> None:
        """Take note of a flush."""
        self._batches = 0
        self._flushes += 1
        self._flushed_s = now_s

    @property
    def is_time_to_forget(self) -> bool:
        """Whether this flush is one that looks for old rows."""
        return self._flushes % EVICT_FLUSHES == 0
