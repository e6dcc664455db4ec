"""Comparing: two models on the same labels, or on labels of their own, difference by difference.

Guarantees: closed forms, so equal rows give equal bits; every difference has a 95 % interval, and
says how it was made. Must never: call a model more honest where the interval holds 0.

Paired, the models predicted the same rows: what is hard about a row is hard for both, and cancels.
Unpaired, two histograms are compared, and their traffic may differ too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.decision.thresholds import CostCurve
from monitor.core.decisions import DecisionPolicy
from monitor.core.measures.auroc import auroc_interval
from monitor.core.measures.debiased_ece import debiased_ece
from monitor.core.measures.influences import (
    Rows,
    of_brier,
    of_reliability,
    of_resolution,
    of_uncertainty,
    parts,
)
from monitor.core.measures.metrics import brier
from monitor.core.measures.wilson import Z_95, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MIN_LABELS = 100
HALF = DecisionPolicy(cutoff=0.5, cost_false_positive=1.0, cost_false_negative=1.0)
"""Accuracy is 1 less the cost of this: a score above .5 says 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows that both models predicted, and their outcomes; shape (rows,) each.

    own: outcomes of B, where a claim is of what each model says itself (its top label, its
    answer); None where both foretell the same thing.
    """

    score_a: NDArray[np.float64]
    score_b: NDArray[np.float64]
    outcome: NDArray[np.bool_]
    own: NDArray[np.bool_] | None = None

    @property
    def outcome_b(self) -> NDArray[np.bool_]:
        """What came true of B's claims."""
        return self.outcome if self.own is None else self.own

    @property
    def is_one_outcome(self) -> bool:
        """Whether the same came true of both in every row."""
        return self.own is None or bool((self.own == self.outcome).all())


@dataclass(frozen=True, slots=True)
class Difference:
    """An estimate of each model, and a - b with its 95 % interval; method: how that was made."""

    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    method: str

    @property
    def is_shown(self) -> bool:
        """Whether the labels exclude that there is no difference."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences by name: accuracy, brier and its parts, ece_debiased, auroc, and cost where set.

    Of quantiles and intervals those of `comparing_levels.py`.

    n_a, n_b: labelled rows compared; equal where paired.
    """

    paired: bool
    n_a: int
    n_b: int
    differences: tuple[Difference, ...]

    def of(self, metric: str) -> Difference | None:
        """The difference of a metric, if it was compared."""
        return next((each for each in self.differences if each.metric == metric), None)


def compare_paired(
    pairs: Pairs, decisions: tuple[DecisionPolicy, DecisionPolicy] | None = None
) -> Comparison:
    """Two models on the same labelled rows; raises ValueError for fewer than 100.

    decisions: what hangs on each model's scores, where that is set.
    """
    n = len(pairs.outcome)
    refuse_few(n, n)
    a, b = Rows.of(pairs.score_a, pairs.outcome), Rows.of(pairs.score_b, pairs.outcome_b)
    counts_a = BinCounts.from_rows(pairs.score_a, pairs.outcome)
    counts_b = BinCounts.from_rows(pairs.score_b, pairs.outcome_b)
    found = [
        *_paired_accuracy(pairs),
        *_smooth(a, b, counts_a, counts_b, _paired_se),
        _ece(counts_a, counts_b),
        _paired_auroc(pairs, counts_a, counts_b),
    ]
    found += [_decided(pairs, decisions)] if decisions is not None else []
    return Comparison(paired=True, n_a=n, n_b=n, differences=tuple(found))


def _paired_accuracy(pairs: Pairs) -> list[Difference]:
    """None of two scores of the same answers: which are right does not hang on the score."""
    if pairs.own is None:
        return [_negated(_decided(pairs, (HALF, HALF)), "accuracy")]
    return [] if pairs.is_one_outcome else [paired_shares("accuracy", pairs.outcome, pairs.own)]


def compare_unpaired(
    counts_a: BinCounts,
    counts_b: BinCounts,
    decisions: tuple[DecisionPolicy, DecisionPolicy] | None = None,
    *,
    own: bool = False,
) -> Comparison:
    """Two histograms of different rows; raises ValueError for fewer than 100 labels in either.

    own: a claim is of what each model says itself, as `Pairs.own`.
    """
    n_a, n_b = counts_a.n_labelled, counts_b.n_labelled
    refuse_few(n_a, n_b)
    a, b = Rows.of_counts(counts_a), Rows.of_counts(counts_b)
    auroc_a, auroc_b = auroc_interval(counts_a), auroc_interval(counts_b)
    if own:
        accuracy = shares("accuracy", counts_a, counts_b)
    else:
        accuracy = _negated(_costs(counts_a, counts_b, (HALF, HALF)), "accuracy")
    found = [
        accuracy,
        *_smooth(a, b, counts_a, counts_b, _unpaired_se),
        _ece(counts_a, counts_b),
        mover(
            "auroc",
            (auroc_a.value, auroc_a.low, auroc_a.high),
            (auroc_b.value, auroc_b.low, auroc_b.high),
        ),
    ]
    found += [_costs(counts_a, counts_b, decisions)] if decisions is not None else []
    return Comparison(paired=False, n_a=n_a, n_b=n_b, differences=tuple(found))


def refuse_few(n_a: int, n_b: int) -> None:
    """Raises ValueError for fewer than 100 labelled rows."""
    if min(n_a, n_b) < MIN_LABELS:
        msg = f"{min(n_a, n_b)} labelled rows to compare on; {MIN_LABELS} are needed"
        raise ValueError(msg)


def _smooth(
    a: Rows,
    b: Rows,
    counts_a: BinCounts,
    counts_b: BinCounts,
    se: Callable[[Rows, Rows, Callable[[Rows], NDArray[np.float64]]], float],
) -> list[Difference]:
    """Brier and its parts, by their influences."""
    parts_a, parts_b = parts(a), parts(b)
    estimates = (
        ("brier", brier(counts_a), brier(counts_b), of_brier),
        ("reliability", parts_a.reliability, parts_b.reliability, of_reliability),
        ("resolution", parts_a.resolution, parts_b.resolution, of_resolution),
        ("uncertainty", parts_a.uncertainty, parts_b.uncertainty, of_uncertainty),
    )
    return [_wald(name, x, y, se(a, b, influence)) for name, x, y, influence in estimates]


def _paired_se(a: Rows, b: Rows, influence: Callable[[Rows], NDArray[np.float64]]) -> float:
    apart = influence(a) - influence(b)
    return float(np.sqrt(apart @ apart) / len(apart))


def _unpaired_se(a: Rows, b: Rows, influence: Callable[[Rows], NDArray[np.float64]]) -> float:
    variance = sum(float(rows.weight @ influence(rows) ** 2) / rows.n**2 for rows in (a, b))
    return float(np.sqrt(variance))


def _wald(metric: str, a: float, b: float, se: float, method: str = "influence") -> Difference:
    return Difference(metric, a, b, a - b, a - b - Z_95 * se, a - b + Z_95 * se, method)


def mover(metric: str, a: tuple[float, float, float], b: tuple[float, float, float]) -> Difference:
    """Interval of a difference from both estimates' own (value, low, high).

    MOVER: Zou and Donner 2008, eq. 6, as if they were independent. What two models on the same
    rows share makes it wider than it need be, never shorter.
    """
    low = a[0] - b[0] - np.hypot(a[0] - a[1], b[2] - b[0])
    high = a[0] - b[0] + np.hypot(a[2] - a[0], b[0] - b[1])
    return Difference(metric, a[0], b[0], a[0] - b[0], float(low), float(high), "mover")


def _ece(counts_a: BinCounts, counts_b: BinCounts) -> Difference:
    a, b = debiased_ece(counts_a), debiased_ece(counts_b)
    return mover("ece_debiased", (a.value, a.low, a.high), (b.value, b.low, b.high))


def _costs(
    counts_a: BinCounts, counts_b: BinCounts, decisions: tuple[DecisionPolicy, DecisionPolicy]
) -> Difference:
    a = CostCurve.of(counts_a, decisions[0]).at(decisions[0].cutoff)
    b = CostCurve.of(counts_b, decisions[1]).at(decisions[1].cutoff)
    return mover("cost", (a.cost, a.low, a.high), (b.cost, b.low, b.high))


def _decided(pairs: Pairs, decisions: tuple[DecisionPolicy, DecisionPolicy]) -> Difference:
    """Cost of each model's decisions on the same rows.

    Rows that differ are few, so the interval is that of Bonett and Price 2012 (JEBS 37:479): of
    the rows and one more of each kind that could be, +c and -c for either error.
    """
    a = _row_costs(pairs.score_a, pairs.outcome, decisions[0])
    b = _row_costs(pairs.score_b, pairs.outcome_b, decisions[1])
    kinds = {c for d in decisions for c in (d.cost_false_positive, d.cost_false_negative)}
    return _of_rows("cost", a, b, sorted(kinds))


def paired_shares(metric: str, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Difference:
    """Shares of the same rows; the interval is that of Bonett and Price 2012."""
    return _of_rows(metric, a.astype(np.float64), b.astype(np.float64), [1.0])


def shares(metric: str, a: BinCounts, b: BinCounts) -> Difference:
    """Shares of positive labels of different rows: MOVER of their Wilson intervals."""
    n = np.array([a.n_labelled, b.n_labelled])
    positive = np.array([a.n_positive, b.n_positive])
    low, high = wilson(positive, n)
    value = positive / n
    ends = [(float(value[k]), float(low[k]), float(high[k])) for k in (0, 1)]
    return mover(metric, ends[0], ends[1])


def _of_rows(
    metric: str, a: NDArray[np.float64], b: NDArray[np.float64], kinds: Sequence[float]
) -> Difference:
    more = np.array([sign * c for c in kinds for sign in (-1, 1)])
    padded = np.concatenate([a - b, more])
    centre, half = float(padded.mean()), Z_95 * float(padded.std()) / np.sqrt(len(padded))
    value = float(a.mean() - b.mean())
    low, high = min(value, centre - half), max(value, centre + half)
    return Difference(metric, float(a.mean()), float(b.mean()), value, low, high, "paired means")


def _row_costs(
    score: NDArray[np.float64], outcome: NDArray[np.bool_], decision: DecisionPolicy
) -> NDArray[np.float64]:
    acted = score > decision.cutoff
    wrongly = decision.cost_false_positive * (acted & ~outcome)
    return np.asarray(wrongly + decision.cost_false_negative * (~acted & outcome))


def _negated(cost: Difference, metric: str) -> Difference:
    """1 - cost: what is right instead of what is wrong."""
    return replace(
        cost, metric=metric, a=1 - cost.a, b=1 - cost.b, difference=-cost.difference,
        low=-cost.high, high=-cost.low,
    )  # fmt: skip


def _paired_auroc(pairs: Pairs, counts_a: BinCounts, counts_b: BinCounts) -> Difference:
    """DeLong, DeLong and Clarke-Pearson 1988: the placements of both models, row by row.

    Where the placements never differ (both perfect, say), or the outcomes do, as if the models
    were independent.
    """
    outcome = pairs.outcome
    if not pairs.is_one_outcome:
        a, b = auroc_interval(counts_a), auroc_interval(counts_b)
        return mover("auroc", (a.value, a.low, a.high), (b.value, b.low, b.high))
    if outcome.all() or not outcome.any():
        nan = float("nan")
        return Difference("auroc", nan, nan, nan, nan, nan, "delong")
    won_a, lost_a = _placements(pairs.score_a, outcome)
    won_b, lost_b = _placements(pairs.score_b, outcome)
    variance = sum(
        float(np.var(own - other, ddof=1)) / len(own)
        for own, other in ((won_a, won_b), (lost_a, lost_b))
        if len(own) > 1
    )
    value_a, value_b = float(won_a.mean()), float(won_b.mean())
    if variance > 0:
        return _wald("auroc", value_a, value_b, float(np.sqrt(variance)), "delong")
    a, b = auroc_interval(counts_a), auroc_interval(counts_b)
    return mover("auroc", (value_a, a.low, a.high), (value_b, b.low, b.high))


def _placements(
    score: NDArray[np.float64], outcome: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the other class that each positive beats, and that each negative is beaten by."""
    positive, negative = np.sort(score[outcome]), np.sort(score[~outcome])
    return (
        _beaten(negative, score[outcome]),
        1 - _beaten(positive, score[~outcome]),
    )


def _beaten(other: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the sorted others below each score, equal ones by halves."""
    below = np.searchsorted(other, score, side="left")
    at_most = np.searchsorted(other, score, side="right")
    return np.asarray((below + at_most) / (2 * len(other)))
