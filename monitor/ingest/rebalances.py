"""Changes of a worker's assignment, as the group tells them.

Guarantees: before partitions go to another worker, the commit under way was given time to end.
Must never: act on the change; the worker compares counts, because callbacks must return at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kafka import ConsumerRebalanceListener

if TYPE_CHECKING:
    from monitor.ingest.committing import Committing

HAND_OVER = timedelta(seconds=2)
"""Longest wait for the commit under way before partitions go to another worker."""


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """How often the assignment changed, and whether one is held.

    Between revocation and assignment nothing is held, though the client still names the old
    partitions: what is taken over then is another's already.
    """

    def __init__(self, committing: Committing) -> None:
        self._committing = committing
        self.count = 0
        self.holding = False

    def on_partitions_revoked(self, revoked: object) -> None:
        """Note that what is held is no longer ours, once the commit under way has ended."""
        del revoked
        self._committing.await_end(HAND_OVER)
        self.holding = False
        self.count += 1

    def on_partitions_lost(self, lost: object) -> None:
        """Note that what was held is another's already."""
        del lost
        self.holding = False
        self.count += 1

    def on_partitions_assigned(self, assigned: object) -> None:
        """Note a new assignment."""
        del assigned
        self.holding = True
        self.count += 1
