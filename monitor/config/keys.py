"""Every key of the configuration file: its type, default, meaning and an example.

Guarantees: these models are the only declaration of the file's keys; docs/configuration.md is
checked against them. An unknown key is refused, and a default is core's own. Must never: compare
keys with each other (`rules.py` does) or read anything but the values handed in.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from monitor.config.alert_keys import AlertKeys
from monitor.config.baseline_keys import FirstLabelsKeys, PeriodKeys
from monitor.config.claim_keys import ClaimKeys
from monitor.config.decision_keys import DecisionKeys
from monitor.config.policy_keys import PolicyKeys
from monitor.config.process_keys import FleetKeys, HttpKeys, IngestKeys, TopicKeys
from monitor.config.routing_keys import ReceiverKeys, RoutingKeys, RuleKeys, SlackKeys
from monitor.config.sections import SECTION, Keys, key
from monitor.config.times import parse_span
from monitor.config.values import Name, TickSpan


class FileKeys(Keys):
    """The top of the file."""

    topics: Annotated[TopicKeys, SECTION] = TopicKeys()
    auto_register: bool = key(
        True,  # noqa: FBT003  # a default's value
        "Whether a model that is not declared is monitored under `defaults`.",
        example="false",
    )
    clock: Literal["wall", "event"] = key(
        "wall",
        "What `now` is: the wall clock, or the newest event time seen (demos, replays of history).",
        example="event",
    )
    tick_every: TickSpan = key(
        parse_span("30s"), "How often the watcher looks for what is due; 1s to 1d.", example="1m"
    )
    ingest: Annotated[IngestKeys, SECTION] = IngestKeys()
    http: Annotated[HttpKeys, SECTION] = HttpKeys()
    routing: Annotated[RoutingKeys, SECTION] = RoutingKeys()
    fleet: Annotated[FleetKeys, SECTION] = FleetKeys()
    defaults: Annotated[PolicyKeys, SECTION] = PolicyKeys()
    models: Annotated[dict[Name, Annotated[PolicyKeys, SECTION]], SECTION] = Field(
        default={},
        description="Declared models by name, each with the policy keys that differ.",
        examples=["{fraud: {label_horizon: 30d}}"],
    )


SECTIONS: dict[tuple[str, ...], type[Keys]] = {
    (): FileKeys,
    ("topics",): TopicKeys,
    ("ingest",): IngestKeys,
    ("http",): HttpKeys,
    ("routing",): RoutingKeys,
    ("routing", "slack"): SlackKeys,
    ("routing", "receivers"): ReceiverKeys,
    ("routing", "rules"): RuleKeys,
    ("fleet",): FleetKeys,
    ("defaults",): PolicyKeys,
    ("defaults", "alerts"): AlertKeys,
    ("defaults", "baseline", "first_labels"): FirstLabelsKeys,
    ("defaults", "baseline", "period"): PeriodKeys,
    ("defaults", "decision"): DecisionKeys,
    ("defaults", "claims"): ClaimKeys,
}
"""Every mapping of the file by its place; models have the keys of `defaults`, and each receiver
and rule those of its kind."""


def key_names(section: type[Keys]) -> tuple[str, ...]:
    """The keys of a section as the file writes them."""
    fields = section.model_fields.items()
    return tuple(field.alias or name for name, field in fields)
