"""Routing: which receivers an alert goes to, and what is wrong with the rules that say so.

Guarantees: where an alert goes is a pure function of its model, team and severity; every alert
goes somewhere, to the console where nothing else is named. Must never: know lines, or show a
secret.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from monitor.config.environment import FILE, variable
from monitor.config.problems import KeyPath, Problem, nearest, shown
from monitor.notify.channels import channel_problem
from monitor.notify.webhook import secret_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.config.environment import Connections
    from monitor.config.routing_keys import RoutingKeys, RuleKeys
    from monitor.core.episode.episodes import Severity

Route = tuple[str, str]
"""Kind of receiver, and the place there: a channel's id, or a receiver's name."""
CONSOLE: Route = ("console", "stdout")


def routes_of(
    routing: RoutingKeys, slack: str | None, model: str, team: str | None, severity: Severity
) -> list[Route]:
    """Where an alert goes: the model's Slack channel, if it has one, and whom the rules name."""
    found = [("slack", slack)] if slack is not None else []
    for rule in routing.rules:
        if _takes(rule, model, team, severity):
            found += [_route(routing, name) for name in rule.to]
    return list(dict.fromkeys(found)) or [CONSOLE]


def every_route(routing: RoutingKeys, slack: set[str]) -> list[Route]:
    """Everything that an alert can go to; slack: channels of the policies."""
    found = [("slack", channel) for channel in sorted(slack)]
    found += [_route(routing, name) for rule in routing.rules for name in rule.to]
    return list(dict.fromkeys(found)) or [CONSOLE]


def takes_every_alert(routing: RoutingKeys) -> bool:
    """Whether a rule lets no alert by."""
    return any(not (rule.models or rule.teams or rule.severity) for rule in routing.rules)


def routing_faults(routing: RoutingKeys) -> dict[KeyPath, str]:
    """Receivers and rules that could not work, each with its mend."""
    faults: dict[KeyPath, str] = {}
    for name, receiver in routing.receivers.items():
        at: KeyPath = ("routing", "receivers", name)
        if name == CONSOLE[0] or channel_problem(name) is None:
            faults[at] = "the name stands for the console or a Slack channel; choose another"
        elif receiver.url is None and receiver.kind != "pagerduty":
            faults[*at, "url"] = f"is missing; give the address of the {receiver.kind}"
        elif not any(name in rule.to for rule in routing.rules):
            faults[at] = "no rule sends anything to it; name it in a rule's `to`, or remove it"
    known = [*routing.receivers, CONSOLE[0]]
    for number, rule in enumerate(routing.rules):
        for position, name in enumerate(rule.to):
            if name in known or channel_problem(name) is None:
                continue
            slip = nearest(name, known)
            mend = f"did you mean {slip}?" if slip else "declare it under routing.receivers"
            faults["routing", "rules", number, "to", position] = (
                f"{shown(name)} is no receiver and no Slack channel's id; {mend}"
            )
    return faults


def missing_secrets(
    routing: RoutingKeys, connections: Connections
) -> Iterator[tuple[KeyPath, str]]:
    """Receivers whose secret the environment does not hold, or whose secret is no use."""
    secrets = connections.receiver_secrets
    for name, receiver in routing.receivers.items():
        at: KeyPath = ("routing", "receivers", name)
        if name not in secrets:
            if receiver.kind != "alertmanager":
                what = "routing key" if receiver.kind == "pagerduty" else "secret"
                yield at, f"has no {what}; put {name}=... into {variable('receiver_secrets')}"
        elif receiver.kind == "webhook":
            try:
                secret_key(secrets[name].get_secret_value())
            except ValueError as error:
                yield at, f"its secret in {variable('receiver_secrets')} is no use: {error}"
    if connections.slack_token is None:
        for number, rule in enumerate(routing.rules):
            for position, name in enumerate(rule.to):
                if channel_problem(name) is None:
                    told = f"is a Slack channel, but {variable('slack_token')} is not set; set it"
                    yield ("routing", "rules", number, "to", position), told


def stray_secrets(routing: RoutingKeys, connections: Connections) -> list[Problem]:
    """Secrets of receivers that are not declared."""
    stray = [name for name in connections.receiver_secrets if name not in routing.receivers]
    return [
        Problem(
            FILE,
            None,
            variable("receiver_secrets"),
            f"{shown(name)} is not declared under routing.receivers; declare it, or remove this",
        )
        for name in stray
    ]


def _takes(rule: RuleKeys, model: str, team: str | None, severity: Severity) -> bool:
    if rule.models and not any(fnmatchcase(model, each) for each in rule.models):
        return False
    if rule.teams and team not in rule.teams:
        return False
    return rule.severity is None or rule.severity == severity


def _route(routing: RoutingKeys, name: str) -> Route:
    if name == CONSOLE[0]:
        return CONSOLE
    receiver = routing.receivers.get(name)
    return ("slack", name) if receiver is None else (receiver.kind, name)
