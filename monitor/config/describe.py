"""What `calmon config check` says of a sound configuration.

Guarantees: the same facts as text and as JSON values. Must never: hold a secret; of a URL that
carries a password it says only that it is set, since no parser is sure where a password ends.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.config.fleets import fleet_json, fleet_lines
from monitor.config.times import span_text
from monitor.core.kinds import VERBALIZED
from monitor.core.policies import AlertPolicy, FirstLabels, Policy, weak_alone
from monitor.core.verdicts import rfc3339

if TYPE_CHECKING:
    from monitor.config.environment import Connections
    from monitor.config.settings import Settings
    from monitor.core.decisions import DecisionPolicy

_FINGERPRINT_SHOWN = 12
_INGEST_SPANS = ("max_future_skew", "flush_every", "session_timeout")
_SPANS = ("pane", "cohort", "label_horizon", "correction_horizon", "window")


def describe(settings: Settings) -> dict[str, object]:
    """Plain JSON values: spans in seconds, policies with their fingerprints, no secrets."""
    ingest = settings.ingest
    return {
        "file": None if settings.file is None else str(settings.file),
        "topics": settings.topics.model_dump(),
        "auto_register": settings.auto_register,
        "clock": settings.clock,
        "tick_every_s": settings.tick_every.total_seconds(),
        "ingest": ingest.model_dump(exclude=set(_INGEST_SPANS))
        | {f"{name}_s": getattr(ingest, name).total_seconds() for name in _INGEST_SPANS},
        "http": settings.http.model_dump(),
        "routing": settings.routing.model_dump(),
        "fleet": fleet_json(settings.fleet),
        "defaults": _policy(settings.defaults),
        "models": {model: _policy(policy) for model, policy in settings.declared.items()},
        "connections": _connections(settings.connections),
        "warnings": warnings(settings),
    }


def describe_text(settings: Settings) -> str:
    """The same for a person: a line each for topics, policies and connections."""
    undeclared = "go to the dead letters"
    if settings.auto_register:
        undeclared = "are monitored under defaults"
    lines = [
        f"{settings.file or 'no file, all defaults'}: sound",
        f"  clock: {settings.clock}, a tick every {span_text(settings.tick_every)}",
        f"  topics: {', '.join(settings.topics.model_dump().values())}",
        f"  undeclared models: {undeclared}",
        f"  metrics and health: {settings.http.address or 'not served'}",
        *fleet_lines(settings.fleet),
        "  policies (by fingerprint)",
    ]
    rows = [("defaults", settings.defaults, Policy())]
    rows += [(model, own, settings.defaults) for model, own in settings.declared.items()]
    width = max(len(name) for name, _, _ in rows)
    for name, policy, under in rows:
        same = "all as shipped" if under is not settings.defaults else "as defaults"
        differs = _differences(policy, under) or same
        lines.append(f"    {name:<{width}}  {policy.fingerprint[:_FINGERPRINT_SHOWN]}  {differs}")
    lines.append("  connections")
    for name, value in _connections(settings.connections).items():
        lines.append(f"    {name}: {value}")
    lines += [f"  warning: {each}" for each in warnings(settings)]
    return "\n".join(lines)


def warnings(settings: Settings) -> list[str]:
    """What is allowed and not wise, a sentence each."""
    policies = {"defaults": settings.defaults} | {
        f"models.{model}": policy for model, policy in settings.declared.items()
    }
    return [
        f"{place}.decision: the cutoff is put on a {VERBALIZED} confidence alone, which is weak "
        "evidence; give another source, or corroborated_by"
        for place, policy in policies.items()
        if weak_alone(policy)
    ]


def _policy(policy: Policy) -> dict[str, object]:
    return {"fingerprint": policy.fingerprint, "policy": policy.as_json()}


def _differences(policy: Policy, under: Policy) -> str:
    own, other = policy.as_json(), under.as_json()
    keys = dict.fromkeys((*own, *other))
    return ", ".join(f"{k} {_value(policy, k)}" for k in keys if own.get(k) != other.get(k))


def _value(policy: Policy, key: str) -> str:
    value = getattr(policy, key)
    if key in _SPANS:
        return span_text(value)
    if key == "baseline":
        rule = policy.baseline
        if isinstance(rule, FirstLabels):
            return f"first {rule.labels} labels"
        return f"{rfc3339(rule.start_at)} to {rfc3339(rule.end_at)}"
    if key == "alerts":
        return f"({_alerts(policy.alerts)})"
    if key == "decision" and policy.decision is not None:
        value = _decision(policy.decision)
    if key == "claims":
        value = f"({', '.join(policy.claims.names)})"
    if key == "segments":
        value = ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _alerts(alerts: AlertPolicy) -> str:
    """What differs from the alerts as shipped."""
    own, shipped = alerts.as_json(), AlertPolicy().as_json()
    return ", ".join(_alert_words(key, own[key]) for key in own if own[key] != shipped[key])


def _alert_words(key: str, value: object) -> str:
    if isinstance(value, list):
        return f"{key} {', '.join(map(str, value))}"
    if isinstance(value, float) and key != "critical_at":
        return f"{key} {span_text(timedelta(seconds=value))}"
    return f"{key} {'none' if value is None else value}"


def _decision(made: DecisionPolicy) -> str:
    costs = f"{made.cost_false_positive:g} and {made.cost_false_negative:g}"
    return f"above {made.cutoff:g} at costs of {costs}"


def _connections(connections: Connections) -> dict[str, str]:
    servers = ", ".join(connections.kafka_bootstrap or ())
    kafka = f"{servers} ({connections.kafka_security_protocol})" if servers else "not set"
    return {
        "database": "set" if connections.database_url else "not set",
        "kafka": kafka,
        "slack": "token set" if connections.slack_token else "no token, alerts go to the console",
        "slack_base_url": "set" if connections.slack_base_url else "Slack's own",
        "pictures_dir": str(connections.pictures_dir or "not set"),
    }
