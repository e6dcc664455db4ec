"""Episodes: the alert that is open, or not, about a series, and how it is named.

Guarantees: names are made of identity and event time alone, so that they are the same in every
replay. Must never: look at a clock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.claims import Series
    from monitor.core.verdicts import Cause, Direction


class EpisodeState(StrEnum):
    """State of an alert episode; a series without an episode is ok.

    pending: drifted, but not for long enough; recovering: ok, but not for long enough; no_data:
    nothing to judge by for longer than the policy bears.
    """

    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    NO_DATA = "no_data"


class Severity(StrEnum):
    """How bad an episode is, by the size of its effect."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlertKind(StrEnum):
    """What people are told about a group of episodes.

    fired opens its message; changed edits it; reminded tells again what still fires; resolved
    closes it.
    """

    FIRED = "fired"
    CHANGED = "changed"
    REMINDED = "reminded"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that a series was found drifted, or without data, to its end; event times.

    began_at: when it was first found; since_at: when its state, or the span it is waited out for,
    began; fired_at: when it last began to fire, None before. direction, cause and shift (mean
    shift of probability) are those of the verdict that fired it, is_drift whether one did.
    severity never falls. flaps: how often it drifted again after it was ok. silent_since_at:
    since when there is nothing to judge by, where the policy has a delay for that.
    """

    episode_id: str
    fingerprint: str
    series: Series
    state: EpisodeState
    began_at: datetime
    since_at: datetime
    fired_at: datetime | None
    resolved_at: datetime | None = None
    direction: Direction | None = None
    cause: Cause | None = None
    severity: Severity = Severity.WARNING
    shift: float | None = None
    is_drift: bool = True
    flaps: int = 0
    silent_since_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether people were told of it and not yet of its end."""
        return self.state in {EpisodeState.FIRING, EpisodeState.RECOVERING, EpisodeState.NO_DATA}


@dataclass(frozen=True, slots=True)
class Member:
    """One episode as its group's message shows it; event times.

    shift: size of the effect, as mean shift of probability, where it is known.
    """

    series: Series
    episode_id: str
    state: EpisodeState
    severity: Severity
    fired_at: datetime
    resolved_at: datetime | None
    shift: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The series' newest episode after a verdict, what to tell of it (if anything), and why."""

    episode: Episode | None
    alert: AlertKind | None
    reason: str


def fingerprint(series: Series) -> str:
    """SHA-256, in hex, of the identity labels alone: model, version, claim and segment."""
    labels = {
        "model": series.model,
        "version": series.version,
        "claim": series.claim,
        "segment": series.segment,
    }
    text = json.dumps(labels, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def episode_id(series: Series, began_at: datetime) -> str:
    """Name of the episode that begins at this event time: 32 hex digits, the same in a replay."""
    text = f"{fingerprint(series)} {began_at.astimezone(UTC).isoformat(timespec='microseconds')}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def group_id(team: str | None, model: str, opened_at: datetime) -> str:
    """Name of the group of a team's model that opens at this event time: 32 hex digits."""
    at = opened_at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(["group", team, model, at], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
