"""One false-alarm budget over a fleet: so many false pages a month, and the thresholds it gives.

Guarantees: the expected false alarms that the thresholds allow, sum of labels_i / A_i over the
expected labels, never exceed the budget; a series without traffic takes no part of it; more budget
lowers no series' chance, one more series raises no other's. The rule per series is that of the
e-detector: labels to a false alarm at threshold A are A or more on average, so that N labels hold
N / A false alarms or fewer (Shin, Ramdas and Rinaldo, arXiv 2203.03532). Must never: be taken to
hold for a series that sends more labels than were expected, or for thresholds lowered every hour:
a lower threshold counts for all labels since the detector last rested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LOWEST_ALARM_AT = 1e3
"""Thresholds go no lower: below, a few odd cohorts are an alarm."""
SILENT = 1e-6
"""Expected labels a month that are none."""
NEWCOMER_LABELS = 10_000.0
"""Labels a month of a series of unknown traffic, where no series' traffic is known."""
SPANS_A_MONTH = {
    "day": 365.25 / 12,
    "week": 365.25 / 84,
    "month": 1.0,
    "quarter": 1 / 3,
    "year": 1 / 12,
}
_COUNTS = {"a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0}
_SENTENCE = re.compile(
    r"\s*(?:at most\s+)?(?P<count>[\d.]+|[a-z]+)(?:\s+false)?(?:\s+(?:pages?|alarms?|alerts?))?"
    r"\s*(?:per|a|an|each|every|/)\s*(?P<span>day|week|month|quarter|year)"
    r"(?:\s+over the (?:whole )?fleet)?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Budget:
    """False pages that a fleet may give a month, on average; above 0."""

    per_month: float

    def __post_init__(self) -> None:
        if not (self.per_month > 0 and isfinite(self.per_month)):
            msg = f"a false-alarm budget must be above 0 a month, not {self.per_month}"
            raise ValueError(msg)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Budget in words, such as `at most 1 false page a month`; ValueError for others."""
        found = _SENTENCE.fullmatch(text)
        count = None if found is None else _number(found["count"].lower())
        if found is None or count is None:
            msg = f'budget "{text}" is not of the form "at most 1 false page a month"'
            raise ValueError(msg)
        return cls(count * SPANS_A_MONTH[found["span"].lower()])

    @property
    def words(self) -> str:
        """The budget as a person would say it."""
        span, count = "month", self.per_month
        if count < 1:
            span, count = "year", 12 * count
        pages = "page" if count == 1 else "pages"
        return f"at most {count:.3g} false {pages} a {span} over the whole fleet"


def _number(text: str) -> float | None:
    if text in _COUNTS:
        return _COUNTS[text]
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Threshold A of each series, in labels, and what they allow.

    infinite for a series without traffic. expected_per_month: sum of labels_i / A_i, at most the
    budget, and less only where every series stands at the floor.
    """

    alarm_at: Mapping[str, float]
    expected_per_month: float


def thresholds(
    budget: Budget,
    labels_per_month: Mapping[str, float | None],
    weights: Mapping[str, float] | None = None,
    *,
    lowest: float = LOWEST_ALARM_AT,
) -> Thresholds:
    """Thresholds whose expected false alarms add up to the budget.

    labels_per_month: expected labels by series; 0 for a silent one, None for a new one, which is
    given the median of those known. weights: share of the budget each series is to have, against
    the others'; equal without. A_i = max(lowest, labels_i / (c w_i)), where c is such that the
    sum of labels_i / A_i = sum of min(labels_i / lowest, c w_i) is the budget: what the floor
    takes from one series goes to the others. Raises ValueError for negative labels or weights that
    are not above 0.
    """
    names = sorted(labels_per_month)
    labels = _expected(names, labels_per_month)
    weight = np.array([1.0 if weights is None else weights.get(name, 1.0) for name in names])
    if (labels < 0).any() or not (weight > 0).all():
        msg = "labels a month must be 0 or more, and weights above 0"
        raise ValueError(msg)
    sending = labels > SILENT
    if not sending.any():
        return Thresholds(dict.fromkeys(names, inf), 0.0)
    most = labels[sending] / lowest
    part = np.minimum(most, _level(budget.per_month, most, weight[sending]) * weight[sending])
    alarm_at = np.full(len(names), inf)
    # Upwards by a few units in the last place: the sum must not round to more than the budget.
    alarm_at[sending] = np.maximum(lowest, labels[sending] / part * (1 + 1e-12))
    spent = float((labels[sending] / alarm_at[sending]).sum())
    return Thresholds(dict(zip(names, alarm_at.tolist(), strict=True)), spent)


def _expected(names: list[str], given: Mapping[str, float | None]) -> NDArray[np.float64]:
    known = [v for v in given.values() if v is not None and v > 0]
    newcomer = float(np.median(known)) if known else NEWCOMER_LABELS
    values = [given[name] for name in names]
    return np.array([newcomer if v is None else v for v in values], dtype=np.float64)


def _level(budget: float, most: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Largest c with sum of min(most, c weight) <= budget; infinite where all may have the most."""
    if most.sum() <= budget:
        return inf
    order = np.argsort(most / weight, kind="stable")
    most, weight = most[order], weight[order]
    left = budget - np.concatenate([[0.0], np.cumsum(most)[:-1]])
    rest = np.cumsum(weight[::-1])[::-1]
    # The first series that its share does not fill to the floor, and all after it, get c each.
    at = int(np.argmax(left / rest <= most / weight))
    return float(left[at] / rest[at])


def e_d_bh(log_m: Mapping[str, float], at: Thresholds) -> frozenset[str]:
    """The series that e-d-BH names now, from their e-detectors' log M.

    e-Benjamini-Hochberg on the values e_i = M_i / A_i: the k largest are named, for the largest k
    whose k-th value is 1 / k or more (Dandapanthula and Ramdas, arXiv 2501.04130; e-BH: Wang and
    Ramdas, arXiv 2009.02824). Every series whose M reaches its own threshold is named, and where
    many move together, also those at a part of it. What is kept: the expected *share* of false
    names, at any time of stopping, is at most the budget times the months until then. That is
    weaker than so many false pages a month, which the thresholds alone keep.
    """
    sent = [name for name in sorted(log_m) if isfinite(at.alarm_at.get(name, inf))]
    if not sent:
        return frozenset()
    log_e = np.array([log_m[name] - np.log(at.alarm_at[name]) for name in sent])
    order = np.argsort(-log_e, kind="stable")
    holds = log_e[order] >= -np.log(np.arange(1, len(sent) + 1))
    named = int(np.flatnonzero(holds).max()) + 1 if holds.any() else 0
    return frozenset(sent[i] for i in order[:named])
