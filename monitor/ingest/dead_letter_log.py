"""The log of dead letters: the first few of a minute in full, and all of them counted.

Guarantees: of each topic and reason at most FULL letters a minute are logged in full, then one
summary; every letter is in exactly one summary's `letters`, and `total` counts them since the
start. Must never: log a payload, a key or a detail, which may quote one (`calmon deadletter show`
has it); read a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.store.ingest import DeadLetter

log = structlog.get_logger(__name__)

FULL = 3
EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Detail:
    """A letter to be logged in full."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Summary:
    """Letters of one topic and reason since the last summary, and since the start."""

    topic: str
    reason: str
    letters: int
    suppressed: int
    total: int


@dataclass(slots=True)
class _Minute:
    """What one topic and reason had since its first letter after the last summary."""

    began_at: datetime
    letters: int = 0


class DeadLetterSampler:
    """Decides what is logged; its memory grows with topics and reasons only."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, str], _Minute] = {}
        self._totals: dict[tuple[str, str], int] = {}

    def note(self, letters: Sequence[DeadLetter], now: datetime) -> list[Detail | Summary]:
        """Count letters, perhaps none; returns what is to be logged at `now`, in order."""
        lines: list[Detail | Summary] = []
        for key, minute in list(self._minutes.items()):
            # A clock that was set back must not make a minute of an hour.
            if not minute.began_at <= now < minute.began_at + EVERY:
                lines.append(self._summary(key))
        for letter in letters:
            minute = self._minutes.setdefault((letter.topic, letter.reason), _Minute(now))
            minute.letters += 1
            if minute.letters <= FULL:
                lines.append(Detail(letter))
        return lines

    def flush(self) -> list[Summary]:
        """Summaries of all that was not in one yet, whether or not its minute is over."""
        return [self._summary(key) for key in list(self._minutes)]

    def _summary(self, key: tuple[str, str]) -> Summary:
        n = self._minutes.pop(key).letters
        self._totals[key] = self._totals.get(key, 0) + n
        return Summary(*key, n, max(0, n - FULL), self._totals[key])


class DeadLetterLog:
    """The sampler's lines as warnings in the log; called from one thread."""

    def __init__(self) -> None:
        self._sampler = DeadLetterSampler()

    def note(self, letters: Sequence[DeadLetter], now: datetime) -> None:
        """After each commit, also one without a dead letter: a summary may be due."""
        _log(self._sampler.note(letters, now))

    def flush(self) -> None:
        """At the end: nothing stays uncounted."""
        _log(self._sampler.flush())


def _log(lines: Sequence[Detail | Summary]) -> None:
    for line in lines:
        if isinstance(line, Detail):
            letter = line.letter
            log.warning(
                "dead letter",
                topic=letter.topic,
                partition=letter.partition,
                offset=letter.offset,
                reason=letter.reason,
            )
        else:
            log.warning(
                "dead letters",
                topic=line.topic,
                reason=line.reason,
                letters=line.letters,
                suppressed=line.suppressed,
                total=line.total,
            )
