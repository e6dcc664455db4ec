"""What a worker says of its work: to its observer, and in the log.

Guarantees: told after the fact; nothing here changes what is counted. Must never: log a payload.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import structlog

from monitor.ingest.dead_letter_log import DeadLetterLog
from monitor.ingest.observed import Committed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.ingest.committing import Done
    from monitor.ingest.observed import Observer
    from monitor.ingest.shard_state import Counted, Topics

log = structlog.get_logger(__name__)

SAID_EVERY_S = 30.0
"""How often a state that lasts is said again."""

_NO_DELAYS = np.empty(0)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A batch while it is committed. polled_s: end of its poll, on time.monotonic()."""

    polled_s: float
    messages: Mapping[str, int]
    counted: Counted


class Reporting:
    """The voice of one worker. kinds: kind of topic by topic name."""

    def __init__(self, topics: Topics, observer: Observer | None) -> None:
        self.kinds = dict(zip(topics.names, ("predictions", "labels", "changes"), strict=True))
        self._observer = observer
        self._dead_letters = DeadLetterLog()
        self._kafka_away_s = -SAID_EVERY_S

    def committed(
        self, done: Done, under_way: UnderWay | None, lag: Mapping[str, int], rows: int
    ) -> None:
        """A batch was committed; without `under_way` it was a flush alone."""
        now = datetime.now(UTC)
        letters = done.batch.dead_letters
        self._dead_letters.note(letters, now)
        if self._observer is None:
            return
        tallies = Counter() if under_way is None else under_way.counted.tallies
        if done.batch.flush is not None:
            tallies = tallies + done.batch.flush.forgotten
        self._observer.committed(
            Committed(
                at=now,
                messages={} if under_way is None else under_way.messages,
                dead_letters=Counter((self.kinds[d.topic], d.reason) for d in letters),
                tallies=tallies,
                label_delays_s=(
                    _NO_DELAYS if under_way is None else under_way.counted.delay_ms / 1000
                ),
                lag=lag,
                seconds=0.0 if under_way is None else done.ended_s - under_way.polled_s,
                rows=rows,
            )
        )

    def assigned(self, partitions: int, rows: int) -> None:
        """Partitions were taken over, and their state loaded."""
        log.info("assigned", partitions=partitions, rows=rows)
        if self._observer is not None:
            self._observer.assigned(partitions, rows)

    def standing_by(self) -> None:
        """Other workers hold all partitions; not logged, it is so every second."""
        if self._observer is not None:
            self._observer.assigned(0, 0)

    def paused(self, why: str) -> None:
        """Counting waits for the database."""
        log.error("database unavailable, counting is paused", error=why)
        if self._observer is not None:
            self._observer.paused(why)

    def kafka_away(self, why: str) -> None:
        """No broker answers; said once in a while."""
        now_s = time.monotonic()
        if now_s - self._kafka_away_s >= SAID_EVERY_S:
            self._kafka_away_s = now_s
            log.error("Kafka does not answer, it is asked again", error=why)

    def fenced(self) -> None:
        """Another worker took over."""
        if self._observer is not None:
            self._observer.fenced()

    def close(self) -> None:
        """The last summaries."""
        self._dead_letters.flush()
