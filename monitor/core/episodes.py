"""Episodes: what a verdict means for the alert that is open, or not, about its series.

Guarantees: `decide` is a pure function of verdict, episode and time, has an answer and a reason
for every pair of state and status, fires once and resolves once an episode, and gives the same
episode id in every replay. Must never: look at a clock, send anything, or close an episode for
want of labels: silence is no proof of health.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.core.verdicts import Status

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.claims import Series
    from monitor.core.verdicts import Cause, Direction, Verdict


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
    """One time that a series was found drifted, from the alarm to its end; event times.

    direction and cause are those of the verdict that fired it.
    """

    episode_id: str
    fingerprint: str
    series: Series
    state: EpisodeState
    fired_at: datetime
    resolved_at: datetime | None
    direction: Direction | None
    cause: Cause | None


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
    """The series' newest episode after a verdict, what to tell (if anything), and why."""

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


def episode_id(series: Series, fired_at: datetime) -> str:
    """Name of the episode that fires at this event time: 32 hex digits, the same in a replay."""
    text = f"{fingerprint(series)} {fired_at.astimezone(UTC).isoformat(timespec='microseconds')}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def group_id(team: str | None, model: str, opened_at: datetime) -> str:
    """Name of the group of a team's model that opens at this event time: 32 hex digits."""
    at = opened_at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(["group", team, model, at], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def decide(verdict: Verdict, episode: Episode | None, now: datetime) -> Decision:
    """Decide about one verdict, given the series' newest episode (None before its first).

    `now` is event time and becomes fired_at or resolved_at. Raises ValueError when the episode
    is of another series, or `now` lies before it fired.
    """
    _check(verdict, episode, now)
    if episode is None or episode.state is EpisodeState.RESOLVED:
        return _while_quiet(verdict, episode, now)
    return _while_firing(verdict, episode, now)


def closed(verdict: Verdict, episode: Episode | None, now: datetime, why: str) -> Decision:
    """End what is open because the series began again with a new baseline, whatever the verdict.

    `why` says what it began again by. Raises ValueError as `decide` does.
    """
    _check(verdict, episode, now)
    if episode is None or episode.state is EpisodeState.RESOLVED:
        return Decision(episode, None, f"a new baseline, and nothing open: {why}")
    resolved = replace(episode, state=EpisodeState.RESOLVED, resolved_at=now)
    return Decision(resolved, AlertKind.RESOLVED, f"a new baseline, so resolved: {why}")


def _check(verdict: Verdict, episode: Episode | None, now: datetime) -> None:
    if episode is None:
        return
    if episode.fingerprint != fingerprint(verdict.series):
        msg = f"episode {episode.episode_id} is not of series {verdict.series}"
        raise ValueError(msg)
    if now < episode.fired_at:
        msg = f"episode {episode.episode_id} fired at {episode.fired_at}, after {now}"
        raise ValueError(msg)


def _while_quiet(verdict: Verdict, last: Episode | None, now: datetime) -> Decision:
    match verdict.status:
        case Status.DRIFTED:
            fired = Episode(
                episode_id=episode_id(verdict.series, now),
                fingerprint=fingerprint(verdict.series),
                series=verdict.series,
                state=EpisodeState.FIRING,
                fired_at=now,
                resolved_at=None,
                direction=verdict.evidence.direction,
                cause=verdict.evidence.cause,
            )
            again = "drifted again after a resolved episode" if last else "drifted"
            return Decision(fired, AlertKind.FIRED, f"{again}: a new episode fires")
        case Status.OK:
            return Decision(last, None, "no drift and nothing open")
        case Status.INSUFFICIENT:
            return Decision(last, None, "too few labels to judge, and nothing open")
        case Status.NO_DATA:
            return Decision(last, None, "no data, and nothing open")


def _while_firing(verdict: Verdict, episode: Episode, now: datetime) -> Decision:
    match verdict.status:
        case Status.DRIFTED:
            return Decision(episode, None, "still drifted: this episode has been told")
        case Status.OK:
            resolved = replace(episode, state=EpisodeState.RESOLVED, resolved_at=now)
            return Decision(resolved, AlertKind.RESOLVED, "back to its baseline: resolved")
        case Status.INSUFFICIENT:
            return Decision(episode, None, "too few labels to call it over: keeps firing")
        case Status.NO_DATA:
            return Decision(episode, None, "no data to call it over: keeps firing")
