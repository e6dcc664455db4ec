"""A comparison in sentences and as plain JSON.

Guarantees: the first sentence says which model is the more honest, or that the labels do not tell.
Must never: let honesty alone pass for quality: what else differs is said beside it.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from monitor.core.verdicts import as_plain

if TYPE_CHECKING:
    from monitor.core.decision.comparing import Comparison, Difference

Json = dict[str, object]
SMALL = 0.01
"""Size of an interval below which three decimals would be zeros."""
TITLES = {
    "accuracy": "accuracy",
    "brier": "Brier",
    "reliability": "  reliability",
    "resolution": "  resolution",
    "uncertainty": "  uncertainty",
    "ece_debiased": "ECE, debiased",
    "auroc": "AUROC",
    "cost": "cost",
    "coverage": "coverage",
    "coverage_error": "  off by",
    "pinball": "pinball loss",
    "interval_score": "interval score",
    "width": "  width",
}


def compare_words(a: str, b: str, found: Comparison) -> list[str]:
    """Honesty, then accuracy, then ranking, then what the decisions cost, then what was compared.

    The more honest has the smaller ECE and the smaller reliability part of Brier, and the interval
    of either difference excludes 0: the one sees errors that are large in few bins, the other
    small ones in many.
    """
    if found.of("coverage") is not None:
        return [*_levels(a, b, found), _compared(a, b, found)]
    said = [_honest(a, b, found)]
    for metric, claim in (("accuracy", "is the more accurate"), ("auroc", "ranks better")):
        each = found.of(metric)
        if each is not None:
            said.append(_side_by_side(a, b, each, TITLES[metric], claim))
    cost = found.of("cost")
    if cost is not None:
        said.append(_cost(a, b, cost))
    return [*said, _compared(a, b, found)]


def compare_json(a: str, b: str, found: Comparison) -> Json:
    """Every difference a - b by metric, and the sentences."""
    return {
        "a": a,
        "b": b,
        "paired": found.paired,
        "n_a": found.n_a,
        "n_b": found.n_b,
        "more_honest": {0: a, 1: b, None: None}[more_honest(found)],
        "differences": [as_plain(each) for each in found.differences],
        "words": compare_words(a, b, found),
    }


def more_honest(found: Comparison) -> int | None:
    """0 or 1 for the first or second model, None where the labels do not tell."""
    distance = found.of("coverage_error")
    if distance is not None:
        return int(distance.difference > 0) if distance.is_shown else None
    reliability, ece = found.of("reliability"), found.of("ece_debiased")
    if reliability is None or ece is None or not (reliability.is_shown or ece.is_shown):
        return None
    if reliability.difference * ece.difference <= 0:
        return None
    return 1 if ece.difference > 0 else 0


def _honest(a: str, b: str, found: Comparison) -> str:
    ece, reliability = found.of("ece_debiased"), found.of("reliability")
    if ece is None or reliability is None:  # pragma: no cover  # every comparison has them
        raise AssertionError
    side = more_honest(found)
    between = f"(ECE, debiased; difference {_interval(ece)})"
    if side is not None and not ece.is_shown:
        between = f"(ECE, debiased); what shows it is Brier's reliability, {_interval(reliability)}"
    if side is None:
        return (
            f"Neither is shown to be the more honest: the probabilities of {a} are off by "
            f"{ece.a:.3f} on average, those of {b} by {ece.b:.3f} {between}."
        )
    name, own, other, its = (a, ece.a, b, ece.b) if side == 0 else (b, ece.b, a, ece.a)
    return (
        f"{name} is the more honest: its probabilities are off by {own:.3f} on average, "
        f"those of {other} by {its:.3f} {between}."
    )


def _levels(a: str, b: str, found: Comparison) -> list[str]:
    """Whose coverage is nearer to what is promised, and whose loss is the smaller."""
    coverage, distance = found.of("coverage"), found.of("coverage_error")
    if coverage is None or distance is None:  # pragma: no cover  # comparisons of levels have them
        raise AssertionError
    values = (
        f"coverage {a} {coverage.a:.3f}, {distance.a:.3f} off what is promised; {b} "
        f"{coverage.b:.3f}, {distance.b:.3f} off; difference {_interval(distance)}"
    )
    side = more_honest(found)
    said = [f"Neither is shown to be the more honest: {values}."]
    if side is not None:
        said = [f"{b if side else a} is the more honest: {values}."]
    for metric in ("pinball", "interval_score"):
        loss = found.of(metric)
        if loss is None:
            continue
        values = f"{a} {loss.a:.4g}, {b} {loss.b:.4g}; difference {_interval(loss)}"
        if loss.is_shown:
            said.append(f"{b if loss.difference > 0 else a} loses less: {TITLES[metric]} {values}.")
        else:
            said.append(f"Their {TITLES[metric]} is not shown to differ: {values}.")
    return said


def _side_by_side(a: str, b: str, each: Difference, title: str, claim: str) -> str:
    if isnan(each.difference):
        return f"Their {title} cannot be compared: labels of both classes are needed."
    values = f"{a} {each.a:.3f}, {b} {each.b:.3f}; difference {_interval(each)}"
    if not each.is_shown:
        return f"Their {title} is not shown to differ: {values}."
    better = a if each.difference > 0 else b
    return f"{better} {claim}: {title} {values}."


def _cost(a: str, b: str, cost: Difference) -> str:
    values = (
        f"per 1,000 predictions {1000 * cost.a:.4g} with {a}, {1000 * cost.b:.4g} with {b}; "
        f"difference {1000 * cost.difference:.3g} "
        f"({1000 * cost.low:.3g} to {1000 * cost.high:.3g})"
    )
    if not cost.is_shown:
        return f"What the decisions cost is not shown to differ: {values}."
    return f"Decisions cost less with {b if cost.difference > 0 else a}: {values}."


def _compared(a: str, b: str, found: Comparison) -> str:
    if found.paired:
        return f"Compared on the same {found.n_a:,} labelled predictions, pair by pair."
    return (
        f"Compared on labels of their own, {found.n_a:,} of {a} and {found.n_b:,} of {b}: what "
        "differs may be the traffic too."
    )


def _interval(each: Difference) -> str:
    places = 3 if max(abs(each.low), abs(each.high)) >= SMALL else 5
    found = (f"{value:z.{places}f}" for value in (each.difference, each.low, each.high))
    return "{}, {} to {}".format(*found)
