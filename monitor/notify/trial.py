"""Trial: a marked test alert to everyone who can be told, and what came back.

Guarantees: the test is of a made-up series, says so first of all, opens and then resolves what it
opened, and goes through the same senders as any alert. Must never: be taken for an alert, or be
written to the history.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.claims import Series
from monitor.core.episode.episodes import (
    AlertKind,
    EpisodeState,
    Member,
    Severity,
    episode_id,
    group_id,
)
from monitor.core.episode.notices import AlertNotice, Delivered, Notification, Outcome
from monitor.core.verdicts import BinEstimate, Cause, Direction, Evidence, Metrics, Status, Verdict
from monitor.pictures import PictureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from monitor.notify.dispatch import Sender

MODEL = "TEST, no model, please ignore"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came back of one notification on one route."""

    route: str
    target: str
    kind: AlertKind
    outcome: Outcome

    @property
    def is_delivered(self) -> bool:
        """Whether all of it arrived: a missing picture, thread or right is a failure here."""
        if not isinstance(self.outcome, Delivered):
            return False
        return not self.outcome.detail.startswith(("delivered", "could not"))

    @property
    def said(self) -> str:
        """What came back, in words."""
        if isinstance(self.outcome, Delivered):
            return self.outcome.detail or "delivered"
        return self.outcome.why


def tried(
    routes: Sequence[tuple[str, str]],
    senders: Mapping[str, Sender],
    now: datetime,
    pictures: Callable[[Verdict], bytes],
) -> list[Tried]:
    """Send a test that fires and one that resolves it on every route; `now` is the wall clock."""
    done: list[Tried] = []
    opens = notice(now)
    picture: bytes | None = None
    try:
        picture = pictures(opens.verdict)
    except PictureError:
        picture = None
    for route, target in routes:
        sender = senders[route]
        first = _notification(opens, route, target, now, 1)
        outcome = sender.send(first, opens, picture if sender.pictured else None)
        done.append(Tried(route, target, opens.kind, outcome))
        if not isinstance(outcome, Delivered):
            continue
        over = _resolved(opens, now)
        second = _notification(over, route, target, now, 2)
        second = replace(second, parent_receipt=outcome.receipt)
        done.append(Tried(route, target, over.kind, sender.send(second, over, None)))
    return done


def notice(now: datetime) -> AlertNotice:
    """The test: a series that nobody has, with numbers that nobody measured."""
    series = Series(MODEL, secrets.token_hex(4))
    member = Member(
        series,
        episode_id(series, now),
        EpisodeState.FIRING,
        Severity.WARNING,
        now,
        None,
        0.1,
    )
    return AlertNotice(
        kind=AlertKind.FIRED,
        group_id=group_id(None, f"{series.model} {series.version}", now),
        members=(member,),
        severity=Severity.WARNING,
        team=None,
        what="calmon alert-test was called",
        episode_id=member.episode_id,
        verdict=_verdict(series, now),
        fired_at=now,
        resolved_at=None,
        evidence_id="none, a test",
    )


def _resolved(opens: AlertNotice, now: datetime) -> AlertNotice:
    over = replace(opens.members[0], state=EpisodeState.RESOLVED, resolved_at=now)
    return replace(
        opens,
        kind=AlertKind.RESOLVED,
        members=(over,),
        resolved_at=now,
        what="the test of calmon alert-test is over",
    )


def _verdict(series: Series, now: datetime) -> Verdict:
    bins = tuple(
        BinEstimate(k / 5, (k + 1) / 5, 100, k / 5 + 0.1, k / 5 + 0.05, k / 5, k / 5 + 0.1)
        for k in range(5)
    )
    unknown = {name: float("nan") for name in Metrics.__dataclass_fields__ if name != "n"}
    return Verdict(
        series=series,
        status=Status.DRIFTED,
        reason="a test",
        evaluated_at=now,
        window_start_at=now - timedelta(days=7),
        window_end_at=now,
        evidence=Evidence(
            e_value=None,
            alarm_at=1e6,
            labels_seen=500,
            drift_since_at=now,
            sigma=0.0,
            coverage=1.0,
            direction=Direction.OVERCONFIDENT,
            cause=Cause.MAP,
            shift=0.1,
            shift_low=None,
            shift_high=None,
            gap_shift=0.05,
            map_part=None,
            mix_part=None,
            baseline=None,
            window=Metrics(n=500, **unknown),
            bins=bins,
            baseline_bins=(),
            worst_bins=bins[:1],
            repair=None,
        ),
    )


def _notification(
    of: AlertNotice, route: str, target: str, now: datetime, sequence: int
) -> Notification:
    return Notification(
        notification_id=f"{of.group_id}:{of.kind}:{route}:{target}",
        group_id=of.group_id,
        sequence=sequence,
        kind=of.kind,
        route=route,
        target=target,
        payload=of.as_json(),
        created_at=now,
    )
