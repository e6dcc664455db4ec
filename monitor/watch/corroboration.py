"""Corroboration: how the sources of an LLM's confidence agree on the same answers.

Guarantees: pairs of sources are compared on the labelled answers that have both, never pooled. Must
never: call agreement a proof: two sources may be wrong together, and the labels say how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.kinds import Kind, claim_set_of
from monitor.watch.labelled_rows import newest_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.watch.counting import Events

SURE = 0.5
"""A source takes an answer for right above this confidence."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two sources on one model's labelled answers that have both.

    agree: share where both are above .5, or neither. right_if_both, right_if_one, right_if_none:
    share of right answers where both, one, or neither is above .5; None where there are none.
    """

    model: str
    source: str
    other: str
    n: int
    agree: float | None
    right_if_both: float | None
    right_if_one: float | None
    right_if_none: float | None


def agreements(events: Events) -> list[Agreement]:
    """Every pair of sources of every model, in the order of models and columns."""
    claims = claim_set_of(tuple(events.numbers))
    if claims.kind is not Kind.LLM:
        return []
    found = []
    for model in dict.fromkeys(events.model):
        rows, label = newest_labels(events, model)
        for source, other in combinations(claims.sources, 2):
            pair = [events.numbers[f"confidence_{name}"][rows] for name in (source, other)]
            found.append(_agreement(model, source, other, pair, label))
    return found


def agreement_words(agreement: Agreement) -> str:
    """One sentence for people."""
    if not agreement.n:
        return f"{agreement.source} and {agreement.other}: no labelled answer has both."
    shares = [
        f"{words} {share:.1%}"
        for words, share in (
            ("both", agreement.right_if_both),
            ("one alone", agreement.right_if_one),
            ("neither", agreement.right_if_none),
        )
        if share is not None
    ]
    return (
        f"{agreement.source} and {agreement.other} agree on {agreement.agree:.1%} of "
        f"{agreement.n:,} answers; right when above {SURE:g} is {', '.join(shares)}."
    )


def _agreement(
    model: str,
    source: str,
    other: str,
    pair: Sequence[NDArray[np.float64]],
    label: NDArray[np.float64],
) -> Agreement:
    both_stated = ~(np.isnan(pair[0]) | np.isnan(pair[1]))
    sure = (pair[0][both_stated] > SURE).astype(int) + (pair[1][both_stated] > SURE)
    right = label[both_stated] == 1
    n = len(right)
    by_count = [float(right[sure == k].mean()) if (sure == k).any() else None for k in (2, 1, 0)]
    return Agreement(model, source, other, n, float((sure != 1).mean()) if n else None, *by_count)
