"""Crossed quantiles of files: predictions whose quantile is below that of a lower level.

Guarantees: such predictions are told, and counted as they are stated. Must never: mend or drop one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.kinds import claim_set_of, crossed, level_text

if TYPE_CHECKING:
    from monitor.watch.counting import Events


@dataclass(frozen=True, slots=True)
class Crossings:
    """How many of a model's predictions have quantiles that cross."""

    model: str
    crossed: int
    predictions: int


def crossings(events: Events) -> list[Crossings]:
    """Of every model that has some, in the order of models."""
    levels = claim_set_of(tuple(events.numbers)).quantiles
    if not levels:
        return []
    is_crossed = crossed({level: events.numbers[f"q_{level_text(level)}"] for level in levels})
    found = []
    for model in dict.fromkeys(events.model):
        mine = events.model == model
        if is_crossed[mine].any():
            found.append(Crossings(model, int(is_crossed[mine].sum()), int(mine.sum())))
    return found


def crossing_words(one: Crossings) -> str:
    """One sentence for people."""
    return (
        f"{one.model}: the quantiles of {one.crossed:,} of {one.predictions:,} predictions cross, "
        "a higher level below a lower one; each is judged as it is stated, and between crossed "
        "ends lies no label."
    )
