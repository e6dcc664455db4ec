"""What the ingest worker tells those who watch it.

Guarantees: told after the fact, once a committed batch; what is told never changes what is counted.
Must never: carry a payload, a prediction id or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from monitor.core.counting.tallies import Tally


@dataclass(frozen=True, slots=True)
class Committed:
    """One committed batch.

    messages: read, by kind of topic (predictions, labels, changes); dead_letters: by (kind of
    topic, reason); label_delays_s: label time less prediction time of each label that found its
    prediction; lag: messages published and not yet counted, by kind of topic; seconds: from the
    end of the poll to the end of the commit; rows: predictions and waiting labels in memory.
    """

    at: datetime
    messages: Mapping[str, int]
    dead_letters: Mapping[tuple[str, str], int]
    tallies: Counter[Tally]
    label_delays_s: NDArray[np.float64]
    lag: Mapping[str, int]
    seconds: float
    rows: int


class Observer(Protocol):
    """Someone who watches a worker; called from the worker's thread, and must return at once."""

    def committed(self, batch: Committed) -> None:
        """Take note of a committed batch."""

    def assigned(self, partitions: int, rows: int) -> None:
        """Take note that the worker holds this many partitions, loaded with this many rows."""

    def paused(self, why: str) -> None:
        """Take note that counting waits for the database."""

    def fenced(self) -> None:
        """Take note that another worker took over, and that this one stops."""
