"""Keys of `routing`: who is told of which alerts.

Guarantees: these models are the only declaration of the section's keys. Must never: compare keys
with each other (`routing.py` does), or hold a secret: those stand in the environment.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from monitor.config.sections import SECTION, Keys, key
from monitor.config.values import (
    Channel,
    Distinct,
    Name,
    ReceiverName,
    WebAddress,
    some_receiver,
)


class SlackKeys(Keys):
    """Where Slack alerts go."""

    channel: Channel | None = key(
        None,
        "Id of the channel for the alerts of every model whose policy names none; "
        "needed for these with CALMON_SLACK_TOKEN.",
        example="C0123ABCDEF",
    )


class ReceiverKeys(Keys):
    """A receiver beside Slack; its key, token or secret stands in CALMON_RECEIVER_SECRETS."""

    kind: Literal["pagerduty", "alertmanager", "webhook"] = Field(
        description="What it is: PagerDuty's Events API v2, Alertmanager's API v2 or a signed "
        "webhook.",
        examples=["webhook"],
    )
    url: WebAddress | None = key(
        None,
        "Address that events are posted to; of an Alertmanager its base address. PagerDuty has one "
        "of its own, and another for accounts in the EU.",
        example="https://ops.example.org/calmon",
    )


class RuleKeys(Keys):
    """Which alerts go where; one that names nothing but `to` takes every alert."""

    models: Distinct[Name] = key(
        (),
        "Models whose alerts it takes; `*` stands for any text; none: of all.",
        example="[fraud-*]",
    )
    teams: Distinct[Name] = key(
        (), "Teams whose alerts it takes; none: of all.", example="[payments]"
    )
    severity: Literal["warning", "critical"] | None = key(
        None, "Severity of the alerts that it takes; null: any.", example="critical"
    )
    to: Annotated[Distinct[ReceiverName], AfterValidator(some_receiver)] = Field(
        description="Who is told: receivers by name, Slack channels by id, or `console`.",
        examples=["[C0123ABCDEF]"],
    )


class RoutingKeys(Keys):
    """Where alerts go; the tokens stand in the environment."""

    slack: Annotated[SlackKeys, SECTION] = SlackKeys()
    receivers: Annotated[dict[ReceiverName, ReceiverKeys], SECTION] = Field(default={})
    rules: Annotated[tuple[RuleKeys, ...], Field(strict=False)] = ()
