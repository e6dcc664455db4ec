"""Commits beside the counting: one batch is written while the next one is polled and counted.

Guarantees: batches are committed one after another, in the order they came; what a commit raised is
raised again by the next call, once. Must never: have two commits under way.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.store.ingest import Batch, IngestStore


@dataclass(frozen=True, slots=True)
class Done:
    """A committed batch. ended_s: when its commit ended, on time.monotonic()."""

    batch: Batch
    ended_s: float


class Committing:
    """One commit at a time, in a thread of its own."""

    def __init__(self, store: IngestStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._under_way: Future[Done] | None = None

    def begin(self, batch: Batch) -> None:
        """Start to commit a batch; the one before must have been settled."""
        if self._under_way is not None:
            msg = "a commit is under way"
            raise RuntimeError(msg)
        self._under_way = self._thread.submit(self._commit, batch)

    def settle(self, *, wait_for_it: bool = True) -> Done | None:
        """The batch under way, once committed; None if there is none, or it goes on.

        Raises what its commit raised: Fenced, DatabaseUnavailable.
        """
        if self._under_way is None or not (wait_for_it or self._under_way.done()):
            return None
        under_way, self._under_way = self._under_way, None
        return under_way.result()

    def forget(self) -> None:
        """Wait for the commit under way, and let it be: the database tells how it ended."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            wait([under_way])

    def await_end(self, at_most: timedelta) -> None:
        """Give the commit under way time to end; its outcome stays to be settled."""
        under_way = self._under_way
        if under_way is not None:
            wait([under_way], timeout=at_most.total_seconds())

    def close(self) -> None:
        """End the thread, after the commit under way."""
        self._thread.shutdown(wait=True)

    def _commit(self, batch: Batch) -> Done:
        self._store.commit(batch)
        return Done(batch, time.monotonic())
