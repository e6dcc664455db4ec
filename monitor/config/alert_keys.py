"""The keys of `alerts:`, when a drift becomes an alert and when that ends.

Guarantees: a default is core's own. Must never: compare keys with each other; `rules.py` does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from monitor.config.sections import Keys, key
from monitor.config.values import Name, PositiveSpan, Span, Window
from monitor.core.policies import AlertPolicy

_SHIPPED = AlertPolicy()


class AlertKeys(Keys):
    """When a drift becomes an alert and when that ends; a model's keys override one by one."""

    pending_for: Span = Field(
        default=_SHIPPED.pending_for,
        alias="for",
        description="How long a drift must last before it fires. The detector's promise of few "
        "false alarms needs none.",
        examples=["1d"],
    )
    keep_firing_for: Span = key(
        _SHIPPED.keep_firing_for,
        "How long a series must be ok again before its alert is resolved.",
        example="2d",
    )
    no_data_after: Span | None = key(
        _SHIPPED.no_data_after,
        "How long there may be no predictions, or no labels, before that is an alert of its own, "
        "from when the verdict first says so; null: never.",
        example="1d",
    )
    remind_every: PositiveSpan | None = key(
        _SHIPPED.remind_every,
        "How often what still fires is told again; null: never.",
        example="1w",
    )
    critical_at: float | None = key(
        _SHIPPED.critical_at,
        "Size of the effect, as mean shift of probability, from which an alert is critical; null: "
        "never. An improvement is never critical.",
        example="0.2",
        gt=0,
        lt=1,
    )
    flapping: Span = key(
        _SHIPPED.flapping,
        "A series that drifts again within this span after its alert ended continues that alert, "
        "and must then be ok for as long before it is resolved again.",
        example="2w",
    )
    team: Name | None = key(
        _SHIPPED.team,
        "Team that answers for the model's alerts.",
        example="risk",
    )
    maintenance: Annotated[tuple[Window, ...], Field(strict=False)] = key(
        _SHIPPED.maintenance,
        "Windows of event time, in UTC, in which no alert begins and nobody is reminded: once, or "
        "every week.",
        example='["2026-12-24 to 2026-12-27", "sat 22:00 to sun 06:00"]',
    )

    def over(self, alerts: AlertPolicy) -> AlertPolicy:
        """The alerts' part of a policy with the keys that were written here in place of its own."""
        return replace(alerts, **{key: getattr(self, key) for key in self.model_fields_set})
