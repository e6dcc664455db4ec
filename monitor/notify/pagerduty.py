"""PagerDuty: one incident a group of episodes, by the Events API v2.

Guarantees: the dedup key is the group's id, so a repeat after a crash or a time-out opens no
second incident, and whatever ends the group resolves the one it opened. Must never: let the
routing key into a log, an outcome or an event's text.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import Delivered, Outcome, Rejected, Retry
from monitor.notify.messages import as_plain_text, render
from monitor.notify.web import posted, web_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.episode.notices import AlertNotice, Notification

EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
SUMMARY_LIMIT = 1024
DETAILS_LIMIT = 20_000
"""Characters; PagerDuty takes events of up to 512 KB."""

Event = dict[str, object]


class PagerDutySender:
    """Sends to PagerDuty services; receivers: (events address, routing key) by name."""

    pictured = False

    def __init__(self, receivers: Mapping[str, tuple[str, str]], timeout_s: float = 10) -> None:
        self._receivers = dict(receivers)
        self._client = web_client(timeout_s)

    def send(self, notification: Notification, notice: AlertNotice, _: bytes | None) -> Outcome:
        """Trigger, acknowledge or resolve the group's incident."""
        if notification.target not in self._receivers:
            return Retry(f"no PagerDuty receiver is configured by the name {notification.target!r}")
        url, key = self._receivers[notification.target]
        event = event_of(notice)
        body = json.dumps({"routing_key": key, **event}).encode()
        answer = posted(self._client, "PagerDuty", url, body, {})
        if isinstance(answer, Rejected) and key in answer.why:
            answer = Rejected(answer.why.replace(key, "(the key)"))
        if isinstance(answer, Retry | Rejected):
            return answer
        said = {"dedup_key": notice.group_id, "action": event["event_action"]}
        return Delivered(said, f"{event['event_action']}, accepted by PagerDuty")


def event_of(notice: AlertNotice) -> Event:
    """The event without its routing key."""
    action = _action(notice)
    event: Event = {"event_action": action, "dedup_key": notice.group_id}
    if action != "trigger":
        return event
    message = render(notice)
    series = notice.verdict.series
    event["payload"] = {
        "summary": message.plain[:SUMMARY_LIMIT],
        "source": series.model,
        "severity": str(notice.severity),
        "timestamp": notice.fired_at.isoformat(),
        "component": f"{series.model} {series.version}".strip(),
        "group": notice.team or series.model,
        "class": "calibration drift",
        "custom_details": {
            "message": as_plain_text(message)[:DETAILS_LIMIT],
            "why_now": notice.what,
            "evidence": notice.evidence_id,
            "series": len(notice.members),
        },
    }
    links = [(notice.runbook_url, "Runbook"), (notice.url, "Dashboard")]
    event["links"] = [{"href": href, "text": text} for href, text in links if href]
    event["client"] = "calmon"
    if notice.url:
        event["client_url"] = notice.url
    return event


def _action(notice: AlertNotice) -> str:
    """A trigger of an open incident only adds to its log; an ack is told as one."""
    if notice.kind is AlertKind.RESOLVED:
        return "resolve"
    if notice.kind is AlertKind.CHANGED and notice.ack is not None:
        return "acknowledge"
    return "trigger"
