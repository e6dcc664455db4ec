"""The keys of `claims:`, what the predictions of a model state.

Guarantees: names and levels are distinct and can stand in a claim's name. Must never: compare keys
with each other; `rules.py` does.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from monitor.config.sections import Keys, key
from monitor.config.values import Name, distinct
from monitor.core.kinds import BINARY, ClaimSet, Kind, Logprobs

MOST_CLASSES = 100
_Level = Annotated[float, Field(ge=0.001, le=0.999)]
_Names = Annotated[
    tuple[Name, ...], Field(strict=False, max_length=MOST_CLASSES), AfterValidator(distinct)
]
_Levels = Annotated[
    tuple[_Level, ...], Field(strict=False, max_length=MOST_CLASSES), AfterValidator(distinct)
]


class ClaimKeys(Keys):
    """What a prediction states; of `classes`, `sources` and the levels, one kind."""

    classes: _Names = key(
        BINARY.classes,
        "Names of the classes of a multi-class model, in the order of `probs` if that is a list.",
        example="[home, draw, away]",
    )
    sources: _Names = key(
        BINARY.sources,
        "Where the confidences of an LLM's answer come from; each is a series of its own.",
        example="[token_prob, verbalized, judge]",
    )
    logprobs: Annotated[Logprobs, Field(strict=False)] = key(
        BINARY.logprobs,
        "How `logprobs` become the confidence `token_prob`: of a token on average, exp(mean), or "
        "of the whole answer, exp(sum).",
        example="sum",
    )
    quantiles: _Levels = key(
        BINARY.quantiles,
        "Levels of a regression's quantiles; pairs such as 0.05 and 0.95 are intervals too.",
        example="[0.05, 0.5, 0.95]",
    )
    intervals: _Levels = key(
        BINARY.intervals,
        "Levels of the intervals that a regression states itself, as `interval`.",
        example="[0.9]",
    )

    def value(self) -> ClaimSet:
        """The claims as core knows them."""
        return ClaimSet(**{name: getattr(self, name) for name in type(self).model_fields})


def some_claim(claims: ClaimKeys | None) -> ClaimKeys | None:
    """The claims, if any are declared; null stands for binary predictions."""
    if claims is not None and claims.value().kind is Kind.BINARY:
        message = (
            "declares no claim; give classes, sources, quantiles or intervals, or null for "
            "predictions with a score"
        )
        raise ValueError(message)
    return claims
