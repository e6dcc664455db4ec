"""What predictions and labels of other kinds than binary state, as numbers of their model's claims.

Guarantees: a prediction gives one number for each of its model's `ClaimSet.columns`, NaN where it
does not state one that may be missing, or a Refusal that says what does not fit; so does a label
its one number. Must never: mend what does not fit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.losses import LARGEST
from monitor.core.kinds import (
    SUM_TOLERANCE,
    TOKEN_PROB,
    ClaimSet,
    Kind,
    class_number,
    level_text,
    probability_of_tokens,
)
from monitor.ingest.formats import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.ingest.formats import LabelEvent, LabelOfAnyKind, PredictionOfAnyKind

Numbers = list[float]


def numbers_stated(event: PredictionOfAnyKind, claims: ClaimSet) -> Numbers | Refusal | None:
    """Numbers in the order of `claims.columns`; None where the event is of another kind."""
    return _READERS[claims.kind](event, claims)


def label_number(event: LabelEvent | LabelOfAnyKind, claims: ClaimSet) -> float | Refusal:
    """The label as a number; NaN for a retraction."""
    if event.op == "retract":
        return math.nan
    return _LABELS[claims.kind](event.label, claims)


_Label = bool | int | float | str | None


def _class(label: _Label, claims: ClaimSet) -> float | Refusal:
    name = str(label) if isinstance(label, int | str) and not isinstance(label, bool) else None
    if name in claims.classes:
        return class_number(name)
    known = _cut_text(", ".join(claims.classes))
    return Refusal("bad_label", f"label is {_cut(label)}; the classes are {known}")


def _right(label: _Label, _: ClaimSet) -> float | Refusal:
    if not isinstance(label, str) and label is not None and label in (0, 1):
        return float(label)
    detail = f"label is {_cut(label)}; give 1 where the answer was right, 0 where it was not"
    return Refusal("bad_label", detail)


def _number(label: _Label, _: ClaimSet) -> float | Refusal:
    if not isinstance(label, bool | str) and label is not None and abs(label) <= LARGEST:
        return float(label)
    detail = f"label is {_cut(label)}; give a number within {LARGEST:g} of 0"
    return Refusal("bad_label", detail)


_LABELS: dict[Kind, Callable[[_Label, ClaimSet], float | Refusal]] = {
    Kind.MULTICLASS: _class,
    Kind.LLM: _right,
    Kind.REGRESSION: _number,
}


def _probs(event: PredictionOfAnyKind, claims: ClaimSet) -> Numbers | Refusal | None:
    probs = event.probs
    if probs is None:
        return None
    if isinstance(probs, list):
        if len(probs) != len(claims.classes):
            return Refusal(
                "bad_probs",
                f"probs has {len(probs)} numbers, and {len(claims.classes)} classes are declared; "
                "give one each, in their order, or an object by class",
            )
        numbers = probs
    else:
        unknown = _unknown(probs, claims.classes)
        if unknown is not None:
            return Refusal("bad_probs", _undeclared("probs names class", unknown, claims.classes))
        numbers = [probs.get(name, 0.0) for name in claims.classes]
    total = math.fsum(numbers)
    if not abs(total - 1) <= SUM_TOLERANCE:
        return Refusal("bad_probs", f"probs add up to {total:.6g}; they must add up to 1 ± 0.001")
    return numbers


def _confidences(event: PredictionOfAnyKind, claims: ClaimSet) -> Numbers | Refusal | None:
    if event.confidences is None and event.logprobs is None:
        return None
    found = dict(event.confidences or {})
    if event.logprobs is not None:
        if TOKEN_PROB in found:
            detail = f"it gives logprobs and a confidence {TOKEN_PROB}; give one of the two"
            return Refusal("bad_confidences", detail)
        tokens = event.logprobs if isinstance(event.logprobs, list) else [event.logprobs]
        if not tokens:
            return Refusal("bad_confidences", "logprobs is an empty list; give one a token")
        found[TOKEN_PROB] = probability_of_tokens(np.array(tokens), claims.logprobs)
    unknown = _unknown(found, claims.sources)
    if unknown is not None:
        detail = _undeclared("a confidence comes from", unknown, claims.sources)
        return Refusal("bad_confidences", detail)
    if not found:
        return Refusal("bad_confidences", "confidences is empty; give one source at least")
    return [found.get(source, math.nan) for source in claims.sources]


def _levels(event: PredictionOfAnyKind, claims: ClaimSet) -> Numbers | Refusal | None:
    if event.quantiles is None and event.interval is None:
        return None
    intervals = event.interval if isinstance(event.interval, list) else [event.interval]
    found: dict[str, float] = {}
    for text, value in (event.quantiles or {}).items():
        name = f"q_{_level(text)}"
        if name in found:
            return Refusal("bad_quantiles", f"quantiles has the level {_cut(text)} twice")
        found[name] = value
    for one in intervals:
        if one is not None:
            level = level_text(one.level)
            if one.lower > one.upper:
                detail = f"the interval of level {level} has its lower end above its upper one"
                return Refusal("bad_quantiles", detail)
            found |= {f"lower_{level}": one.lower, f"upper_{level}": one.upper}
    unknown = _unknown(found, claims.columns)
    missing = [name for name in claims.columns if name not in found]
    if unknown is not None or missing:
        declared = ", ".join(claims.columns)
        stray = _cut(unknown) if unknown is not None else f"nothing for {missing[0]}"
        return Refusal("bad_quantiles", f"it gives {stray}; declared are {_cut_text(declared)}")
    too_large = [value for value in found.values() if not abs(value) <= LARGEST]
    if too_large:
        return Refusal("bad_quantiles", f"{too_large[0]:g} is not within {LARGEST:g} of 0")
    return [found[name] for name in claims.columns]


def _level(text: str) -> str:
    try:
        return level_text(float(text))
    except ValueError:
        return text


_READERS: dict[Kind, Callable[[PredictionOfAnyKind, ClaimSet], Numbers | Refusal | None]] = {
    Kind.MULTICLASS: _probs,
    Kind.LLM: _confidences,
    Kind.REGRESSION: _levels,
}


def _unknown(found: Mapping[str, float], declared: Sequence[str]) -> str | None:
    return next((name for name in found if name not in declared), None)


def _undeclared(what: str, name: str, declared: Sequence[str]) -> str:
    known = _cut_text(", ".join(declared))
    return f"{what} {_cut(name)}, which is not declared; declared are {known}"


def _cut(value: object) -> str:
    return _cut_text(ascii(value))


def _cut_text(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[:most] + "..."
