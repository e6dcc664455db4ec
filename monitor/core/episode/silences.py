"""Silences and acknowledgements: what people ask of the delivery of alerts.

Guarantees: whether something is silenced, and why, is a pure function of labels, silences and a
moment of the wall clock. Must never: alter an episode; they are matters of delivery.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from monitor.core.episode.patterns import LinearPattern

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LABELS = ("model", "version", "claim", "segment", "team", "severity")
_SHAPE = re.compile(r"(\w+)(=~|=)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label of LABELS: its exact value, or a regular expression for all of it.

    An absent team, and the segment of all traffic, are the empty text.
    """

    label: str
    value: str
    is_regex: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no label: raises ValueError with the mend."""
        if self.label not in LABELS:
            msg = f"{self.label!r} is no label of an alert; use one of {', '.join(LABELS)}"
            raise ValueError(msg)

    @classmethod
    def parse(cls, text: str) -> Matcher:
        """Read `label=value` or `label=~regex`; raises ValueError with the mend."""
        found = _SHAPE.fullmatch(text)
        if found is None:
            msg = f"{text!r} is no matcher; write model=fraud or segment=~country=D.*"
            raise ValueError(msg)
        matcher = cls(found[1], found[3], found[2] == "=~")
        if matcher.is_regex:
            try:
                LinearPattern(matcher.value)
            except ValueError as error:
                msg = f"{matcher.value!r} is no regular expression that can be used here: {error}"
                raise ValueError(msg) from None
        return matcher

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.label}{'=~' if self.is_regex else '='}{self.value}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the condition; a regular expression must match the whole value."""
        value = labels.get(self.label, "")
        if not self.is_regex:
            return value == self.value
        pattern = _pattern(self.value)
        return pattern is not None and pattern.matches(value)


@lru_cache(maxsize=256)
def _pattern(text: str) -> LinearPattern | None:
    """The pattern; None for one that only an older version took: it then silences nothing."""
    try:
        return LinearPattern(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Silence:
    """No notifications of what all matchers meet, from starts_at until before ends_at (wall clock).

    Raises ValueError without a matcher, an author or a reason, or with an end before its start.
    """

    matchers: tuple[Matcher, ...]
    author: str
    reason: str
    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        """Refuse a silence that nobody could answer for."""
        if not self.matchers:
            msg = "a silence needs a matcher, like model=fraud"
            raise ValueError(msg)
        _signed(self.author, self.reason)
        if self.ends_at <= self.starts_at:
            msg = f"a silence must end after its start, {self.starts_at}, not at {self.ends_at}"
            raise ValueError(msg)

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether all matchers are met."""
        return all(matcher.matches(labels) for matcher in self.matchers)

    def is_active(self, now: datetime) -> bool:
        """Whether it holds at wall-clock `now`."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Someone has taken an alert on. target: a group's id, or a fingerprint of a member of it.

    Raises ValueError without an author or a reason.
    """

    target: str
    author: str
    reason: str
    at: datetime

    def __post_init__(self) -> None:
        """Refuse one that nobody could answer for."""
        _signed(self.author, self.reason)


Interaction = Acknowledgement | Silence
"""What a person answers to an alert, by a button or at the command line."""


def _signed(author: str, reason: str) -> None:
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip():
            msg = f"the {name} is empty; say {'who' if name == 'author' else 'why'}"
            raise ValueError(msg)
