"""Kinds of confidence: which claims a prediction makes, whatever its kind.

Guarantees: every kind becomes claims of `claims.py`, a name, a score and how a label decides it; a
claim's name, the salt of its key and the number of a class depend on their names alone, so that
an order in a configuration may change. Must never: look at a label, or know a wire format.

A prediction with several claims stands in the join once a claim, under its own key salted by the
claim's name. A binary prediction has the one claim `positive`, whose salt is 0.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import POSITIVE, OutcomeRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

TOP_LABEL = "top_label"
"""Name of the claim that the class with the largest probability is the right one."""
VERBALIZED = "verbalized"
"""Source of confidence that a model was asked for in words: weak evidence by itself."""
TOKEN_PROB = "token_prob"  # noqa: S105  # a token of text, no secret
"""Source of confidence that log-probabilities of tokens give."""
SUM_TOLERANCE = 1e-3
"""How far the probabilities of one prediction may be from adding up to 1."""
PREFIXES = ("p_", "confidence_", "q_")
"""What names of columns begin with, by kind."""
_CLASS_BYTES = 6


class Kind(StrEnum):
    """What one prediction of a model states."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    LLM = "llm"
    REGRESSION = "regression"


class Logprobs(StrEnum):
    """How the log-probabilities of an answer's tokens become one probability.

    sum: of the whole answer, exp(sum); mean: of a token, exp(mean), which does not fall with the
    answer's length.
    """

    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True)
class ClaimSet:
    """What the predictions of one model state; all empty: one probability of label 1.

    classes: names of a multi-class model's classes. sources: where an LLM's confidence comes from.
    quantiles, intervals: levels in (0, 1) of a regression's quantiles and central intervals; every
    pair of quantiles t and 1 - t is an interval of level 1 - 2t too.
    """

    classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    quantiles: tuple[float, ...] = ()
    intervals: tuple[float, ...] = ()
    logprobs: Logprobs = Logprobs.MEAN

    @property
    def kind(self) -> Kind:
        """The kind whose names are given."""
        if self.classes:
            return Kind.MULTICLASS
        if self.sources:
            return Kind.LLM
        return Kind.REGRESSION if self.quantiles or self.intervals else Kind.BINARY

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all claims of one prediction."""
        if self.classes:
            return (TOP_LABEL, *map(class_claim, self.classes))
        if self.sources:
            return tuple(map(confidence_claim, self.sources))
        if self.kind is Kind.BINARY:
            return (POSITIVE,)
        levels = dict.fromkeys((*self.intervals, *(level for level, _, _ in self.pairs)))
        return (*map(quantile_claim, self.quantiles), *map(interval_claim, levels))

    @cached_property
    def pairs(self) -> tuple[tuple[float, float, float], ...]:
        """(level, lower, upper) of every symmetric pair of quantiles, widest first."""
        by_text = {level_text(level): level for level in self.quantiles}
        found = []
        for lower in sorted(self.quantiles):
            upper = by_text.get(level_text(1 - lower))
            if upper is not None and lower < 0.5:  # noqa: PLR2004  # the median has no pair
                found.append((float(level_text(1 - 2 * lower)), lower, upper))
        return tuple(found)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers that one prediction of this kind brings, as in files."""
        if self.classes:
            return tuple(f"p_{name}" for name in self.classes)
        if self.sources:
            return tuple(f"confidence_{name}" for name in self.sources)
        texts = map(level_text, self.intervals)
        bounds = [f"{side}_{level}" for level in texts for side in ("lower", "upper")]
        return (*(f"q_{level_text(level)}" for level in self.quantiles), *bounds)

    @cached_property
    def salts(self) -> NDArray[np.uint64]:
        """What each claim's key differs by from the prediction's own; in the order of `names`."""
        return np.array([salt(name) for name in self.names], dtype=np.uint64)

    def as_json(self) -> dict[str, object]:
        """Plain JSON values of what is given."""
        given = {"kind": str(self.kind)} | {k: v for k, v in asdict(self).items() if v}
        return {key: list(v) if isinstance(v, tuple) else str(v) for key, v in given.items()}


BINARY = ClaimSet()
"""What predictions state by default."""


@dataclass(frozen=True, slots=True, eq=False)
class ClaimColumns:
    """One claim of many predictions: an element a row, of the rows `row` that make it.

    low: reference that stands in the series (EQUALS), one a row; refs: shape (rows, 2), those that
    each row brings (AT_MOST, WITHIN).
    """

    name: str
    rule: OutcomeRule
    row: NDArray[np.intp]
    score: NDArray[np.float64]
    low: NDArray[np.float64]
    refs: NDArray[np.float64] | None = None


def claims_made(claims: ClaimSet, values: NDArray[np.float64]) -> Iterator[ClaimColumns]:
    """The claims of predictions of one model.

    values: shape (predictions, len(claims.columns)), columns in that order; NaN where a prediction
    does not state a number, and then it does not make the claim.
    """
    if claims.classes:
        return _of_classes(claims, values)
    if claims.sources:
        return _of_sources(claims, values)
    return _of_levels(claims, values)


def _of_classes(claims: ClaimSet, values: NDArray[np.float64]) -> Iterator[ClaimColumns]:
    rows = np.arange(len(values))
    numbers = np.array([class_number(name) for name in claims.classes])
    top = np.argmax(values, axis=1)  # of equal ones the first that is declared
    yield ClaimColumns(TOP_LABEL, OutcomeRule.EQUALS, rows, values[rows, top], numbers[top])
    for place, name in enumerate(claims.classes):
        low = np.full(len(rows), numbers[place])
        yield ClaimColumns(class_claim(name), OutcomeRule.EQUALS, rows, values[:, place], low)


def _of_sources(claims: ClaimSet, values: NDArray[np.float64]) -> Iterator[ClaimColumns]:
    for place, source in enumerate(claims.sources):
        rows = np.flatnonzero(~np.isnan(values[:, place]))
        score, low = values[rows, place], np.ones(len(rows))
        yield ClaimColumns(confidence_claim(source), OutcomeRule.EQUALS, rows, score, low)


def _of_levels(claims: ClaimSet, values: NDArray[np.float64]) -> Iterator[ClaimColumns]:
    """Quantiles, the intervals that are stated, and those that pairs of quantiles make."""
    place = {name: number for number, name in enumerate(claims.columns)}
    nothing = np.full(len(values), np.nan)
    for level in claims.quantiles:
        refs = np.column_stack([values[:, place[f"q_{level_text(level)}"]], nothing])
        yield _level(quantile_claim(level), OutcomeRule.AT_MOST, level, refs)
    stated = [
        (level, f"lower_{level_text(level)}", f"upper_{level_text(level)}")
        for level in claims.intervals
    ]
    paired = [
        (level, f"q_{level_text(lower)}", f"q_{level_text(upper)}")
        for level, lower, upper in claims.pairs
        if level not in claims.intervals
    ]
    for level, lower, upper in (*stated, *paired):
        refs = np.column_stack([values[:, place[lower]], values[:, place[upper]]])
        yield _level(interval_claim(level), OutcomeRule.WITHIN, level, refs)


def _level(name: str, rule: OutcomeRule, level: float, refs: NDArray[np.float64]) -> ClaimColumns:
    """A claim whose probability is a constant; not made where a number is missing."""
    rows = np.flatnonzero(~np.isnan(refs[:, : 1 if rule is OutcomeRule.AT_MOST else 2]).any(axis=1))
    score = np.full(len(rows), level)
    return ClaimColumns(name, rule, rows, score, np.ones(len(rows)), refs[rows])


def crossed(quantiles: Mapping[float, NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Of each prediction, whether a quantile is below that of a lower level; by level, NaN: none.

    Such quantiles promise a negative share between them; each is judged as it is stated.
    """
    if not quantiles:
        return np.zeros(0, dtype=np.bool_)
    values = np.column_stack([quantiles[level] for level in sorted(quantiles)])
    return np.asarray((np.diff(values, axis=1) < 0).any(axis=1))


def claim_set_of(columns: Sequence[str]) -> ClaimSet:
    """The claims that a file's columns of these names make, in their order.

    Raises ValueError for columns of two kinds, or a level that is no number in (0, 1).
    """
    found = {
        prefix: tuple(name.removeprefix(prefix) for name in columns if name.startswith(prefix))
        for prefix in PREFIXES
    }
    given = [f"{prefix}..." for prefix, names in found.items() if names]
    if len(given) > 1:
        message = f"columns of {len(given)} kinds ({', '.join(given)}); give one kind a file"
        raise ValueError(message)
    return ClaimSet(
        classes=found["p_"],
        sources=found["confidence_"],
        quantiles=tuple(sorted(map(_level_in, found["q_"]))),
    )


def _level_in(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = np.nan
    if not 0 < level < 1:
        message = f"q_{text} names no level between 0 and 1; write q_0.05 for the 5 % quantile"
        raise ValueError(message)
    return level


def probability_of_tokens(logprobs: NDArray[np.float64], how: Logprobs) -> float:
    """One probability from the log-probabilities of an answer's tokens (natural logarithms)."""
    logarithm = logprobs.sum() if how is Logprobs.SUM else logprobs.mean()
    return float(np.exp(min(0.0, float(logarithm))))


def class_number(name: str) -> float:
    """The number that stands for a class as a label: 48 bits of a hash of its name, exact."""
    return float(int.from_bytes(_digest(name, _CLASS_BYTES)))


def salt(claim: str) -> int:
    """What a claim's key differs by: 64 bits of a hash of its name, 0 for `positive`."""
    return 0 if claim == POSITIVE else int.from_bytes(_digest(claim, 8))


def class_claim(name: str) -> str:
    """Name of the claim that the label is this class."""
    return f"class:{name}"


def confidence_claim(source: str) -> str:
    """Name of the claim that the answer is right, by one source."""
    return f"confidence:{source}"


def quantile_claim(level: float) -> str:
    """Name of the claim that the label is at most the quantile of this level."""
    return f"quantile:{level_text(level)}"


def interval_claim(level: float) -> str:
    """Name of the claim that the label is within the interval of this level."""
    return f"interval:{level_text(level)}"


def level_of(claim: str) -> float | None:
    """Level of a claim of a quantile or an interval; None of others."""
    prefix, _, level = claim.partition(":")
    return float(level) if prefix in {"quantile", "interval"} else None


def covered_words(claim: str) -> str:
    """Where the labels are that a quantile or an interval covers."""
    return "at or below the quantile" if claim.startswith("quantile:") else "within the interval"


def level_text(level: float) -> str:
    """A level as it stands in names: at most 10 significant digits, so that 1 - 2 * 0.05 is 0.9."""
    return f"{level:.10g}"


def _digest(name: str, size: int) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=size).digest()
