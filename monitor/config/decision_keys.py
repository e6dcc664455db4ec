"""The keys of `decision:`, what hangs on a model's scores.

Guarantees: a default is core's own. Must never: compare keys with each other; `rules.py` does.
"""

from __future__ import annotations

from pydantic import Field

from monitor.config.sections import Keys, key
from monitor.config.times import parse_span
from monitor.config.values import Name, PositiveSpan
from monitor.core.decisions import DecisionPolicy

MOST = 1e12
_SHIPPED = DecisionPolicy(0.5, 1.0, 1.0)


class DecisionKeys(Keys):
    """A cutoff, and what hangs on it."""

    cutoff: float = Field(
        description="Predictions with a score above it are acted on.",
        examples=["0.5"],
        gt=0,
        lt=1,
    )
    cost_false_positive: float = Field(
        description="Cost of acting where the label is 0, in any unit.",
        examples=["1"],
        gt=0,
        le=MOST,
    )
    cost_false_negative: float = Field(
        description="Cost of not acting where the label is 1, in the same unit.",
        examples=["5"],
        gt=0,
        le=MOST,
    )
    cost_review: float | None = key(
        None,
        "Cost of a person's look at one prediction, in the same unit.",
        example="0.2",
        ge=0,
        le=MOST,
    )
    review_from: float | None = key(
        None, "Scores above it, up to `review_to`, go to a person.", example="0.3", ge=0, le=1
    )
    review_to: float | None = key(
        None,
        "Upper edge of the review band; `cutoff` decides what nobody looks at.",
        example="0.7",
        ge=0,
        le=1,
    )
    reviews_per_day: float | None = key(
        None,
        "How many predictions the reviewers can look at in a day.",
        example="200",
        gt=0,
        le=MOST,
    )
    tolerance: float = key(
        _SHIPPED.tolerance,
        "How much more than the best cutoff the present one may cost, as a share of it.",
        example="0.2",
        ge=0,
        le=100,
    )
    look_again_every: PositiveSpan = key(
        parse_span("30d"), "How often the cutoff is to be looked at.", example="1w"
    )
    source: Name | None = key(
        None,
        "Of an LLM's confidences the one that the cutoff is put on.",
        example="verbalized",
    )
    corroborated_by: Name | None = key(
        None,
        "Another source that must be above the cutoff too before the answer is acted on.",
        example="judge",
    )

    def value(self) -> DecisionPolicy:
        """The decision as core knows it."""
        return DecisionPolicy(**{name: getattr(self, name) for name in type(self).model_fields})
