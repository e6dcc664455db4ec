"""Faults between keys of the file: each by itself is sound, and together they are not.

Guarantees: a key that is faulty by itself is not blamed again, and none for a fault that it only
inherits. Must never: read the environment.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

from monitor.config.environment import variable
from monitor.config.problems import KeyPath, shown
from monitor.config.process_keys import TopicKeys
from monitor.config.routing import takes_every_alert
from monitor.config.rules import RULES
from monitor.core.policies import Policy
from monitor.notify.channels import channel_problem

if TYPE_CHECKING:
    from monitor.config.keys import FileKeys
    from monitor.config.policy_keys import PolicyKeys

CHANNEL: KeyPath = ("routing", "slack", "channel")
WHOLE_BLOCKS = ("baseline", "decision", "claims")
"""Policy keys that are mappings, overridden whole."""


def same_topics(keys: FileKeys, faulty: set[KeyPath]) -> dict[KeyPath, str]:
    """Topics that have one name."""
    faults: dict[KeyPath, str] = {}
    for one, other in combinations(TopicKeys.model_fields, 2):
        topic = getattr(keys.topics, other)
        if getattr(keys.topics, one) != topic or touched(("topics", one), faulty):
            continue
        blamed, kept = (other, one) if other in keys.topics.model_fields_set else (one, other)
        if not touched(("topics", other), faulty):
            message = f"{shown(topic)} is the topic of {kept} too; give each its own"
            faults.setdefault(("topics", blamed), message)
    return faults


def broken_rules(keys: FileKeys, faulty: set[KeyPath]) -> dict[KeyPath, str]:
    """Faults between keys. A model that only inherits a fault of `defaults` is not blamed."""
    defaults = keys.defaults.over(Policy())
    policies: list[tuple[KeyPath, PolicyKeys, Policy]] = [(("defaults",), keys.defaults, defaults)]
    policies += [(("models", name), own, own.over(defaults)) for name, own in keys.models.items()]
    faults: dict[KeyPath, str] = {}
    for (at, own, policy), rule in product(policies, RULES):
        written = [key for key in rule.keys if key in own.model_fields_set]
        origins = [at if key in written else ("defaults",) for key in rule.keys]
        places = [(*origin, key) for origin, key in zip(origins, rule.keys, strict=True)]
        places += [(*at, key) for key in rule.keys]
        message = rule.fault(policy) if written else None
        if message and not any(touched(path, faulty) for path in places):
            subject = "" if written[0] == rule.keys[0] else f"{rule.keys[0]} of "
            faults.setdefault((*at, written[0]), subject + message)
    return faults


def channel_faults(keys: FileKeys, faulty: set[KeyPath]) -> dict[KeyPath, str]:
    """Channels that Slack would refuse when an alert is due, and the one that is missing."""
    written: dict[KeyPath, str | None] = {
        CHANNEL: keys.routing.slack.channel,
        ("defaults", "slack_channel"): keys.defaults.slack_channel,
    }
    for name, own in keys.models.items():
        written["models", name, "slack_channel"] = own.slack_channel
    faults = {path: channel_problem(channel) for path, channel in written.items() if channel}
    found = {path: message for path, message in faults.items() if message}
    unsure = any(
        path in {("auto_register",), ("defaults",), ("models",)} or path[-1] == "slack_channel"
        for path in faulty
    )
    missing = keys.routing.slack.channel is None and None in _policy_channels(keys)
    missing = missing and not takes_every_alert(keys.routing)
    if missing and not unsure and not touched(CHANNEL, faulty):
        found[CHANNEL] = (
            f"is missing, but {variable('slack_token')} is set; give the id of the channel "
            "for alerts, as C0123ABCDEF, or a rule with nothing but `to`, or unset the token"
        )
    return found


def _policy_channels(keys: FileKeys) -> list[str | None]:
    """Channel of each policy that a model can have."""
    defaults = keys.defaults.over(Policy())
    used = [own.over(defaults).slack_channel for own in keys.models.values()]
    return [defaults.slack_channel, *used] if keys.auto_register else used


def touched(path: KeyPath, faulty: set[KeyPath]) -> bool:
    """Whether a fault is at the path, around it, or directly within it."""
    if any(path[:length] in faulty for length in range(1, len(path) + 1)):
        return True
    return path[-1] in WHOLE_BLOCKS and any(path == fault[:-1] for fault in faulty)
