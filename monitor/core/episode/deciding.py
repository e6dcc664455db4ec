"""Deciding: what a verdict means for the episode of its series.

Guarantees: `decide` is a pure function of verdict, episode, time and policy, with an answer and a
reason for every state, status and timing; an episode fires once and is resolved by an OK verdict
or a new baseline alone. Must never: look at a clock, send anything, or close an episode for want
of labels: silence is no proof of health.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import (
    AlertKind,
    Decision,
    Episode,
    EpisodeState,
    Severity,
    episode_id,
    fingerprint,
)
from monitor.core.maintenance import maintained_until
from monitor.core.verdicts import Direction, Status, rfc3339
from monitor.core.wording import span

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.policies import AlertPolicy
    from monitor.core.verdicts import Verdict

NOTHING = timedelta(0)


def decide(
    verdict: Verdict, episode: Episode | None, now: datetime, policy: AlertPolicy
) -> Decision:
    """Decide about one verdict, given the series' newest episode (None before its first).

    `now` is event time. Raises ValueError when the episode is of another series, or `now` lies
    before it began.
    """
    _check(verdict, episode, now)
    if _is_blind(verdict) and policy.no_data_after is not None:
        return _blind(verdict, episode, now, policy)
    seeing = None if episode is None else replace(episode, silent_since_at=None)
    match verdict.status:
        case Status.DRIFTED:
            return _drifted(verdict, seeing, now, policy)
        case Status.OK:
            return _ok(seeing, now, policy)
        case Status.INSUFFICIENT:
            return _unsure(seeing, now, "too few labels")
        case Status.NO_DATA:
            return _unsure(seeing, now, "no data")


def closed(verdict: Verdict, episode: Episode | None, now: datetime, why: str) -> Decision:
    """End what is open because the series began again with a new baseline, whatever the verdict.

    `why` says what it began again by. Raises ValueError as `decide` does.
    """
    _check(verdict, episode, now)
    if episode is None or episode.state is EpisodeState.RESOLVED:
        return Decision(episode, None, f"a new baseline, and nothing open: {why}")
    told = AlertKind.RESOLVED if episode.is_open else None
    return Decision(_ended(episode, now), told, f"a new baseline, so resolved: {why}")


def due_at(episode: Episode | None, status: Status | None, policy: AlertPolicy) -> datetime | None:
    """Event time at which `decide` may say something else of the same status; None for never."""
    if episode is None or episode.state is EpisodeState.RESOLVED:
        return None
    found, state = [], episode.state
    if state is EpisodeState.PENDING and episode.is_drift and status is Status.DRIFTED:
        wait = NOTHING if episode.fired_at else policy.pending_for
        found.append(_after_maintenance(episode.since_at + wait, policy))
    if state is EpisodeState.RECOVERING and status is Status.OK:
        found.append(episode.since_at + _hold(episode, policy))
    silent_at, delay = episode.silent_since_at, policy.no_data_after
    if silent_at is not None and delay is not None and state is not EpisodeState.NO_DATA:
        found.append(_after_maintenance(silent_at + delay, policy))
    return min(found, default=None)


def _check(verdict: Verdict, episode: Episode | None, now: datetime) -> None:
    if episode is None:
        return
    if episode.fingerprint != fingerprint(verdict.series):
        msg = f"episode {episode.episode_id} is not of series {verdict.series}"
        raise ValueError(msg)
    if now < episode.began_at:
        msg = f"episode {episode.episode_id} began at {episode.began_at}, after {now}"
        raise ValueError(msg)


def _is_blind(verdict: Verdict) -> bool:
    """Whether there is nothing to judge by: no predictions, or a known model's labels stopped."""
    if verdict.status is Status.NO_DATA:
        return True
    evidence = verdict.evidence
    known = evidence.baseline is not None
    return verdict.status is Status.INSUFFICIENT and known and evidence.window is None


def _drifted(
    verdict: Verdict, episode: Episode | None, now: datetime, policy: AlertPolicy
) -> Decision:
    if episode is None or episode.state is EpisodeState.RESOLVED:
        return _drift_begins(verdict, episode, now, policy)
    worse = _sized(episode, verdict, policy)
    match episode.state:
        case EpisodeState.PENDING:
            return _waits(verdict, episode, now, policy)
        case EpisodeState.FIRING if worse.severity is not episode.severity:
            return Decision(worse, AlertKind.CHANGED, f"still drifted, and now {worse.severity}")
        case EpisodeState.FIRING:
            return Decision(episode, None, "still drifted: this episode has been told")
        case EpisodeState.RECOVERING:
            again = replace(
                worse,
                state=EpisodeState.FIRING,
                since_at=now,
                fired_at=now,
                flaps=episode.flaps + 1,
            )
            return Decision(again, AlertKind.CHANGED, "drifted again while it recovered")
        case _:
            return _drifted_blind(verdict, worse, now, policy)


def _drifted_blind(
    verdict: Verdict, episode: Episode, now: datetime, policy: AlertPolicy
) -> Decision:
    """Data is back, and shows a drift."""
    if not episode.is_drift and (until := maintained_until(policy.maintenance, now)) is not None:
        return Decision(episode, None, f"drifted, but {_kept_back(until)}")
    firing = replace(
        _found(episode, verdict),
        state=EpisodeState.FIRING,
        since_at=now,
        fired_at=episode.fired_at if episode.is_drift else now,
    )
    return Decision(firing, AlertKind.CHANGED, "data is back, and it is drifted")


def _drift_begins(
    verdict: Verdict, last: Episode | None, now: datetime, policy: AlertPolicy
) -> Decision:
    again = last is not None and _flaps(last, now, policy)
    if last is not None and again:
        episode = replace(_sized(last, verdict, policy), flaps=last.flaps + 1)
    else:
        episode = _sized(_new(verdict, now, is_drift=True), verdict, policy)
    pending = replace(episode, state=EpisodeState.PENDING, since_at=now, resolved_at=None)
    if (until := maintained_until(policy.maintenance, now)) is not None:
        return Decision(pending, None, f"drifted, but {_kept_back(until)}")
    if again:
        firing = replace(pending, state=EpisodeState.FIRING, fired_at=now)
        reason = f"drifted again within {span(policy.flapping)} of its end: the same episode"
        return Decision(firing, AlertKind.CHANGED, f"{reason} fires")
    if policy.pending_for > NOTHING:
        return Decision(pending, None, f"drifted: fires if it lasts for {span(policy.pending_for)}")
    firing = replace(pending, state=EpisodeState.FIRING, fired_at=now)
    words = "drifted again after a resolved episode" if last and last.is_drift else "drifted"
    return Decision(firing, AlertKind.FIRED, f"{words}: a new episode fires")


def _waits(verdict: Verdict, episode: Episode, now: datetime, policy: AlertPolicy) -> Decision:
    """Drifted while pending."""
    if not episode.is_drift:
        # It waited for want of data: its time as a drift begins now.
        episode = replace(_found(episode, verdict), since_at=now)
    if (until := maintained_until(policy.maintenance, now)) is not None:
        return Decision(episode, None, f"drifted, but {_kept_back(until)}")
    again = episode.fired_at is not None
    lasted = now - episode.since_at
    if not again and lasted < policy.pending_for:
        left = span(policy.pending_for - lasted)
        return Decision(episode, None, f"still drifted: fires if it lasts for another {left}")
    firing = replace(
        _sized(_found(episode, verdict), verdict, policy),
        state=EpisodeState.FIRING,
        since_at=now,
        fired_at=now,
    )
    if again:
        return Decision(firing, AlertKind.CHANGED, "still drifted: the same episode fires again")
    return Decision(firing, AlertKind.FIRED, "drifted for long enough: a new episode fires")


def _ok(episode: Episode | None, now: datetime, policy: AlertPolicy) -> Decision:
    if episode is None or episode.state is EpisodeState.RESOLVED:
        return Decision(episode, None, "no drift and nothing open")
    if episode.state is EpisodeState.PENDING:
        return Decision(_ended(episode, now), None, "back before it fired: nothing was told")
    if not episode.is_drift:
        return Decision(_ended(episode, now), AlertKind.RESOLVED, "data is back: resolved")
    hold = _hold(episode, policy)
    if episode.state is not EpisodeState.RECOVERING and hold > NOTHING:
        recovering = replace(episode, state=EpisodeState.RECOVERING, since_at=now)
        reason = f"back to its baseline: resolved if that lasts for {span(hold)}"
        return Decision(recovering, AlertKind.CHANGED, reason)
    if hold > NOTHING and now - episode.since_at < hold:
        left = span(hold - (now - episode.since_at))
        return Decision(episode, None, f"recovering: resolved if that lasts for another {left}")
    return Decision(_ended(episode, now), AlertKind.RESOLVED, "back to its baseline: resolved")


def _unsure(episode: Episode | None, now: datetime, lacking: str) -> Decision:
    """Nothing can be concluded, and nothing is to be told of that."""
    if episode is None or episode.state is EpisodeState.RESOLVED:
        to_judge = " to judge" if lacking == "too few labels" else ""
        return Decision(episode, None, f"{lacking}{to_judge}, and nothing open")
    match episode.state:
        case EpisodeState.PENDING:
            return Decision(episode, None, f"{lacking} to judge: still pending")
        case EpisodeState.FIRING:
            return Decision(episode, None, f"{lacking} to call it over: keeps firing")
        case EpisodeState.RECOVERING:
            # Only an unbroken time of OK verdicts is a recovery.
            again = replace(episode, since_at=now)
            return Decision(again, None, f"{lacking} to call it over: its recovery begins anew")
        case _:
            return Decision(episode, None, f"{lacking} to say that data is back")


def _blind(
    verdict: Verdict, episode: Episode | None, now: datetime, policy: AlertPolicy
) -> Decision:
    """Nothing to judge by, under a policy that has a delay for that."""
    delay = policy.no_data_after or NOTHING
    if episode is None or episode.state is EpisodeState.RESOLVED:
        episode = replace(_new(verdict, now, is_drift=False), state=EpisodeState.PENDING)
    if episode.state is EpisodeState.NO_DATA:
        return Decision(episode, None, "still no data: this has been told")
    silent_at = episode.silent_since_at or now
    waiting = replace(episode, silent_since_at=silent_at)
    if episode.state is EpisodeState.RECOVERING:
        waiting = replace(waiting, since_at=now)
    if (until := maintained_until(policy.maintenance, now)) is not None:
        return Decision(waiting, None, f"no data, but {_kept_back(until)}")
    if now - silent_at < delay:
        left = span(delay - (now - silent_at))
        return Decision(waiting, None, f"no data: told if that lasts for another {left}")
    told = AlertKind.FIRED if episode.fired_at is None else AlertKind.CHANGED
    silent = replace(
        waiting,
        state=EpisodeState.NO_DATA,
        since_at=now,
        fired_at=episode.fired_at or now,
    )
    return Decision(silent, told, "nothing to judge by for too long")


def _new(verdict: Verdict, now: datetime, *, is_drift: bool) -> Episode:
    found = verdict.evidence if is_drift else None
    return Episode(
        episode_id=episode_id(verdict.series, now),
        fingerprint=fingerprint(verdict.series),
        series=verdict.series,
        state=EpisodeState.PENDING,
        began_at=now,
        since_at=now,
        fired_at=None,
        direction=found.direction if found else None,
        cause=found.cause if found else None,
        is_drift=is_drift,
    )


def _found(episode: Episode, verdict: Verdict) -> Episode:
    """The episode as one of a drift, if it was not one before."""
    if episode.is_drift:
        return episode
    evidence = verdict.evidence
    return replace(episode, is_drift=True, direction=evidence.direction, cause=evidence.cause)


def _sized(episode: Episode, verdict: Verdict, policy: AlertPolicy) -> Episode:
    """The episode with the size of this verdict's effect, where it makes it worse or is the first.

    An improvement is never critical.
    """
    shift = verdict.evidence.shift
    is_critical = (
        shift is not None
        and policy.critical_at is not None
        and shift >= policy.critical_at
        and verdict.evidence.direction is not Direction.IMPROVED
    )
    if is_critical and episode.severity is Severity.WARNING:
        return replace(episode, severity=Severity.CRITICAL, shift=shift)
    return replace(episode, shift=shift) if episode.shift is None else episode


def _ended(episode: Episode, now: datetime) -> Episode:
    return replace(
        episode,
        state=EpisodeState.RESOLVED,
        since_at=now,
        resolved_at=now,
        silent_since_at=None,
    )


def _flaps(last: Episode, now: datetime, policy: AlertPolicy) -> bool:
    """Whether a drift now is the last episode's again."""
    if last.fired_at is None or not last.is_drift or last.resolved_at is None:
        return False
    return now - last.resolved_at < policy.flapping


def _hold(episode: Episode, policy: AlertPolicy) -> timedelta:
    """How long it must be ok before it is resolved."""
    return max(policy.keep_firing_for, policy.flapping if episode.flaps else NOTHING)


def _after_maintenance(at: datetime, policy: AlertPolicy) -> datetime:
    return maintained_until(policy.maintenance, at) or at


def _kept_back(until: datetime) -> str:
    return f"in a maintenance window: waits until {rfc3339(until)}"
