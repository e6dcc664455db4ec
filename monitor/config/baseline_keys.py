"""The keys of `baseline:`, what a model's windows are compared with.

Guarantees: a default is core's own. Must never: compare keys with each other; `rules.py` does.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from monitor.config.sections import Keys, key
from monitor.config.values import Moment
from monitor.core.judging.series_state import MIN_BASELINE_LABELS
from monitor.core.policies import FirstLabels, NamedPeriod

MOST_LABELS = 1_000_000_000


class FirstLabelsKeys(Keys):
    """Baseline from a version's first labels."""

    rule: Literal["first_labels"] = Field(
        alias="from",
        description="The first whole cohorts of a version that together hold `labels` labels.",
        examples=["first_labels"],
    )
    labels: int = key(
        FirstLabels().labels,
        "Labels that the baseline must hold.",
        example="5000",
        ge=MIN_BASELINE_LABELS,
        le=MOST_LABELS,
    )

    def value(self) -> FirstLabels:
        """The rule as core knows it."""
        return FirstLabels(self.labels)


class PeriodKeys(Keys):
    """Baseline from a named period of prediction time."""

    rule: Literal["period"] = Field(
        alias="from",
        description="The cohorts of prediction time from `start` until before `end`.",
        examples=["period"],
    )
    start: Moment = Field(
        description="Start of the period; a date means its midnight in UTC.",
        examples=["2026-01-01"],
    )
    end: Moment = Field(
        description="End of the period, itself not in it.", examples=["2026-02-01T00:00:00Z"]
    )

    def value(self) -> NamedPeriod:
        """The rule as core knows it."""
        return NamedPeriod(self.start, self.end)


BaselineKeys: TypeAlias = FirstLabelsKeys | PeriodKeys
