"""Receivers: the senders that the configuration asks for, by the kind of their routes.

Guarantees: whatever a route names has a sender here, if its secret is set. Must never: send.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.notify.alertmanager import LAPSE, AlertmanagerSender
from monitor.notify.console import ConsoleSender
from monitor.notify.pagerduty import EVENTS_URL, PagerDutySender
from monitor.notify.slack import SLACK_API, SlackSender
from monitor.notify.webhook import WebhookSender

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.notify.dispatch import Sender

PICTURES = Path("pictures")
TICKS_TO_LAPSE = 4
"""An Alertmanager's alert outlasts so many ticks at least, since each tick sends it again."""


def senders(settings: Settings) -> dict[str, Sender]:
    """Senders by route."""
    connections = settings.connections
    pictures = connections.pictures_dir or PICTURES
    found: dict[str, Sender] = {"console": ConsoleSender(sys.stdout, pictures)}
    if connections.slack_token is not None:
        found["slack"] = SlackSender(
            connections.slack_token.get_secret_value(),
            connections.slack_base_url or SLACK_API,
            interactive=answers_buttons(settings),
        )
    secrets = {n: s.get_secret_value() for n, s in connections.receiver_secrets.items()}
    named = settings.routing.receivers.items()
    pagers = {
        name: (one.url or EVENTS_URL, secrets[name])
        for name, one in named
        if one.kind == "pagerduty" and name in secrets
    }
    hooks = {
        name: (one.url, secrets[name])
        for name, one in named
        if one.kind == "webhook" and one.url and name in secrets
    }
    managers = {
        name: (one.url, secrets.get(name))
        for name, one in named
        if one.kind == "alertmanager" and one.url
    }
    lapse = max(LAPSE, TICKS_TO_LAPSE * settings.tick_every)
    if pagers:
        found["pagerduty"] = PagerDutySender(pagers)
    if hooks:
        found["webhook"] = WebhookSender(hooks)
    if managers:
        found["alertmanager"] = AlertmanagerSender(managers, lapse=lapse)
    return found


def answers_buttons(settings: Settings) -> bool:
    """Whether someone listens to the buttons of Slack's messages."""
    connections = settings.connections
    if connections.slack_app_token is not None:
        return True
    return connections.slack_signing_secret is not None and settings.http.address is not None
