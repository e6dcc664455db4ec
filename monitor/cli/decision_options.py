"""What the command line may say of a decision, in place of a policy.

Guarantees: what it gives replaces the policy's value; what cannot be is a ValueError with the
mend. Must never: fill in a cost that nobody named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.config.decision_keys import MOST
from monitor.core.decisions import DecisionPolicy

if TYPE_CHECKING:
    from collections.abc import Collection

PolicyPath = Annotated[
    Path | None,
    typer.Option("--policy", "--config", "-p", "-c", help="Configuration; else CALMON_CONFIG."),
]
Cutoff = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Scores above it are acted on; default: the policy's."),
]
FalsePositive = Annotated[
    float | None, typer.Option("--cost-false-positive", help="Cost of acting on a 0.")
]
FalseNegative = Annotated[
    float | None, typer.Option("--cost-false-negative", help="Cost of not acting on a 1.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """Options as given; None where an option was left out."""

    cutoff: float | None = None
    cost_false_positive: float | None = None
    cost_false_negative: float | None = None
    tolerance: float | None = None

    def over(self, decision: DecisionPolicy | None) -> DecisionPolicy | None:
        """The policy's decision with these options in place of its own.

        Without one in the policy the cutoff and both costs are needed; else None. Raises ValueError
        for costs that no policy may state, and for a cutoff outside the review band.
        """
        for cost in (self.cost_false_positive, self.cost_false_negative):
            if cost is not None and not 0 < cost <= MOST:
                message = f"a cost of {cost:g} is no cost; give a number above 0, at most {MOST:g}"
                raise ValueError(message)
        if decision is None:
            if None in {self.cutoff, self.cost_false_positive, self.cost_false_negative}:
                return None
            decision = DecisionPolicy(0.5, 1.0, 1.0)
        cutoff = decision.cutoff if self.cutoff is None else self.cutoff
        low, high = decision.review_from, decision.review_to
        if low is not None and high is not None and not low <= cutoff <= high:
            message = f"the cutoff {cutoff:g} is outside the review band {low:g} to {high:g}"
            raise ValueError(message)
        return replace(
            decision,
            cutoff=cutoff,
            cost_false_positive=_or(self.cost_false_positive, decision.cost_false_positive),
            cost_false_negative=_or(self.cost_false_negative, decision.cost_false_negative),
            tolerance=_or(self.tolerance, decision.tolerance),
        )


def model_and_version(name: str, known: Collection[str]) -> tuple[str, str | None]:
    """Model and version of `MODEL` or `MODEL@VERSION`; a known model's name may hold an @."""
    if name in known or "@" not in name:
        return name, None
    model, _, version = name.rpartition("@")
    return model, version


def _or(asked: float | None, own: float) -> float:
    return own if asked is None else asked
