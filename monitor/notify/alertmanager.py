"""Alertmanager: one alert a series of a group, by its API v2, sent again until it is resolved.

Guarantees: an alert is known by its labels, so that a repeat is the same alert; severity is one of
them, since people route by it, and the sending that raises it ends the alert of the lower severity,
so that never two of one series stand; each has an end, which later sendings move on, so that the
alerts of a dead monitor end by themselves. Must never: keep state: what stands is read from the
outbox.

https://prometheus.io/docs/alerting/latest/alerts_api/
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import AlertKind, EpisodeState, Severity
from monitor.core.episode.notices import Delivered, Outcome, Rejected, Retry, notice_from_json
from monitor.core.wording import one_line
from monitor.notify.messages import as_plain_text, render
from monitor.notify.web import posted, web_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.core.episode.episodes import Member
    from monitor.core.episode.notices import AlertNotice, Notification

RESEND_EVERY = timedelta(minutes=1)
LAPSE = timedelta(minutes=5)
"""An alert that is not sent again ends after this: five sendings may fail."""
ALERT_NAME = "CalibrationDrift"

Alert = dict[str, object]


class Standing:
    """Sends again, every RESEND_EVERY, what still stands at the Alertmanagers.

    read gives the newest notification of each group that is not over.
    """

    def __init__(
        self, sender: AlertmanagerSender, read: Callable[[], Sequence[Notification]]
    ) -> None:
        self._sender = sender
        self._read = read
        self._sent_at: datetime | None = None

    def send_again(self, now: datetime) -> list[str]:
        """Send what stands, if it is time; returns what went wrong, a reason each.

        A receiver that fails is not asked again before the next time.
        """
        if self._sent_at is not None and now < self._sent_at + RESEND_EVERY:
            return []
        self._sent_at = now
        failed: dict[str, str] = {}
        for one in self._read():
            if one.target in failed:
                continue
            try:
                outcome = self._sender.send(one, notice_from_json(one.payload), None)
            except ValueError as error:
                outcome = Rejected(f"the stored payload cannot be read: {error}")
            if isinstance(outcome, Retry | Rejected):
                failed[one.target] = f"{one.target}: {outcome.why}"
        return list(failed.values())


class AlertmanagerSender:
    """Sends to Alertmanagers; receivers: (base address, bearer token or None) by name.

    lapse: how long an alert stands without being sent again.
    """

    pictured = False

    def __init__(
        self,
        receivers: Mapping[str, tuple[str, str | None]],
        timeout_s: float = 10,
        lapse: timedelta = LAPSE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._receivers = dict(receivers)
        self._client = web_client(timeout_s)
        self._lapse = lapse
        self._now = now

    def send(self, notification: Notification, notice: AlertNotice, _: bytes | None) -> Outcome:
        """Post the group's alerts as they stand now."""
        if notification.target not in self._receivers:
            return Retry(f"no Alertmanager is configured by the name {notification.target!r}")
        base, token = self._receivers[notification.target]
        alerts = alerts_of(notice, self._now(), self._lapse)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{base.rstrip('/')}/api/v2/alerts"
        answer = posted(self._client, "Alertmanager", url, json.dumps(alerts).encode(), headers)
        if isinstance(answer, Retry | Rejected):
            return answer
        return Delivered({"alerts": len(alerts)}, f"{len(alerts)} alerts taken by Alertmanager")


def alerts_of(notice: AlertNotice, now: datetime, lapse: timedelta = LAPSE) -> list[Alert]:
    """The members as alerts at wall-clock `now`: resolved ones end now, others after `lapse`."""
    message = render(notice)
    annotations = {
        "summary": message.plain,
        "description": as_plain_text(message),
        "evidence": notice.evidence_id,
        "group_id": notice.group_id,
    }
    if notice.runbook_url:
        annotations["runbook_url"] = notice.runbook_url
    alerts = [_alert(notice, member, annotations, now, lapse) for member in notice.members]
    if notice.kind is not AlertKind.FIRED:
        # Critical from the beginning, or raised since: to end what never stood changes nothing.
        alerts += [
            _alert(notice, _before_it_was_raised(member, now), annotations, now, lapse)
            for member in notice.members
            if member.severity is Severity.CRITICAL
        ]
    return alerts


def _before_it_was_raised(member: Member, now: datetime) -> Member:
    """The member as the alert that its rise to critical ends."""
    return replace(member, severity=Severity.WARNING, state=EpisodeState.RESOLVED, resolved_at=now)


def _alert(
    notice: AlertNotice,
    member: Member,
    annotations: Mapping[str, str],
    now: datetime,
    lapse: timedelta,
) -> Alert:
    over = member.state is EpisodeState.RESOLVED
    own = {"state": str(member.state), "episode_id": member.episode_id}
    if member.shift is not None:
        own["shift"] = f"{member.shift:.4f}"
    alert: Alert = {
        "labels": labels_of(notice, member),
        "annotations": {**annotations, **own},
        # Event time may run ahead of the wall clock in a replay; an end must not lie before it.
        "startsAt": min(member.fired_at, now).isoformat(),
        "endsAt": (now if over else now + lapse).isoformat(),
    }
    if notice.url:
        alert["generatorURL"] = notice.url
    return alert


def labels_of(notice: AlertNotice, member: Member) -> dict[str, str]:
    """What Alertmanager knows the alert by and routes it by; empty ones are left out."""
    labels = {
        "alertname": ALERT_NAME,
        "model": member.series.model,
        "version": member.series.version,
        "claim": member.series.claim,
        "segment": member.series.segment,
        "team": notice.team or "",
        "severity": str(member.severity),
    }
    return {name: one_line(value) for name, value in labels.items() if value}
