"""Corroboration: how the sources of an LLM's confidence agree on the same answers.

Guarantees: pairs of sources are compared on the labelled answers that have both, never pooled, and
each share has its interval. Must never: call agreement a proof: two sources may be wrong together,
and the labels say how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.kinds import Kind, claim_set_of
from monitor.core.measures.wilson import wilson
from monitor.watch.labelled_rows import newest_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.watch.counting import Events

SURE = 0.5
"""A source takes an answer for right above this confidence."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some answers, with Wilson's 95 % interval."""

    value: float
    low: float
    high: float


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
    agree: Share | None
    right_if_both: Share | None
    right_if_one: Share | None
    right_if_none: Share | None

    def as_json(self) -> dict[str, object]:
        """Plain JSON: of each share its value, `_low` and `_high`."""
        found: dict[str, object] = {
            "model": self.model, "source": self.source, "other": self.other, "n": self.n
        }  # fmt: skip
        for name in ("agree", "right_if_both", "right_if_one", "right_if_none"):
            share: Share | None = getattr(self, name)
            found[name] = None if share is None else share.value
            found[f"{name}_low"] = None if share is None else share.low
            found[f"{name}_high"] = None if share is None else share.high
        return found


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
            found.append(agreement(model, source, other, pair, label == 1))
    return found


def agreement_words(found: Agreement) -> str:
    """One sentence for people."""
    if found.agree is None:
        return f"{found.source} and {found.other}: no labelled answer has both."
    shares = [
        f"{words} {_percent(share)}"
        for words, share in (
            ("both", found.right_if_both),
            ("one alone", found.right_if_one),
            ("neither", found.right_if_none),
        )
        if share is not None
    ]
    return (
        f"{found.source} and {found.other} agree on {_percent(found.agree)} of "
        f"{found.n:,} answers; right when above {SURE:g} is {', '.join(shares)}."
    )


def agreement(
    model: str,
    source: str,
    other: str,
    pair: Sequence[NDArray[np.float64]],
    right: NDArray[np.bool_],
) -> Agreement:
    """Of two sources' confidences in the same answers; NaN where one has none."""
    both_stated = ~(np.isnan(pair[0]) | np.isnan(pair[1]))
    sure = (pair[0][both_stated] > SURE).astype(int) + (pair[1][both_stated] > SURE)
    right = right[both_stated]
    by_count = [_share(right[sure == k]) for k in (2, 1, 0)]
    return Agreement(model, source, other, len(right), _share(sure != 1), *by_count)


def _share(true: NDArray[np.bool_]) -> Share | None:
    if not len(true):
        return None
    low, high = wilson(np.array([true.sum()]), np.array([len(true)]))
    return Share(float(true.mean()), float(low[0]), float(high[0]))


def _percent(share: Share) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
