"""Two constructed models with a known truth: what is told apart, and how often intervals hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.decision.compare_words import compare_json, compare_words, more_honest
from monitor.core.decision.comparing import (
    Comparison,
    Difference,
    Pairs,
    compare_paired,
    compare_unpaired,
)
from monitor.core.decisions import DecisionPolicy
from monitor.core.measures.influences import Rows, parts
from monitor.core.measures.logistic import sigmoid

DECISIONS = (DecisionPolicy(0.4, 1.0, 3.0), DecisionPolicy(0.5, 1.0, 3.0))


def too_extreme(rng: np.random.Generator, n: int) -> Pairs:
    """B's logits are 1.6 times those of A, which is honest: equal accuracy, equal ranking."""
    z = rng.normal(0, 1.5, n)
    return Pairs(sigmoid(z), sigmoid(1.6 * z), rng.random(n) < sigmoid(z))


def less_informed(rng: np.random.Generator, n: int) -> Pairs:
    """Both are honest, but B knows half of what A knows."""
    known, more = rng.normal(0, 1.5, (2, n))
    outcome = rng.random(n) < sigmoid(known + more)
    # P(Y = 1 | known): a logistic averaged over a normal, by 40 quadrature nodes.
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    blurred = sigmoid(known[:, None] + 1.5 * node) @ weight / weight.sum()
    return Pairs(sigmoid(known + more), blurred, outcome)


def equally_wrong(rng: np.random.Generator, n: int) -> Pairs:
    """Both add noise of one size to the honest logit, each its own: equal in everything."""
    z = rng.normal(0, 1.5, n)
    a, b = (sigmoid(z + rng.normal(0, 1.0, n)) for _ in range(2))
    return Pairs(a, b, rng.random(n) < sigmoid(z))


def true_ece(score: np.ndarray, outcome: np.ndarray) -> float:
    bin_ = np.minimum((score * 200).astype(int), 199)
    return float(np.abs(np.bincount(bin_, score - outcome, 200)).sum() / len(score))


SCENES = [too_extreme, less_informed, equally_wrong]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("n", [500, 2000])
def test_intervals_hold_the_true_differences(scene: object, n: int) -> None:
    assert callable(scene)
    whole = scene(np.random.default_rng(0), 800_000)
    truth = {d.metric: d.difference for d in compare_paired(whole, DECISIONS).differences}
    truth["ece_debiased"] = true_ece(whole.score_a, whole.outcome) - true_ece(
        whole.score_b, whole.outcome
    )
    runs = 150
    held: dict[tuple[str, bool], int] = {}
    rng = np.random.default_rng(1)
    for _ in range(runs):
        one, other = scene(rng, n), scene(rng, n)
        unpaired = compare_unpaired(
            BinCounts.from_rows(one.score_a, one.outcome),
            BinCounts.from_rows(other.score_b, other.outcome),
            DECISIONS,
        )
        for found in (compare_paired(one, DECISIONS), unpaired):
            for each in found.differences:
                key = (each.metric, found.paired)
                held[key] = held.get(key, 0) + (
                    each.low - 1e-3 * (each.high - each.low)
                    <= truth[each.metric]
                    <= each.high + 1e-3 * (each.high - each.low)
                    or abs(truth[each.metric] - each.difference) < 1e-9
                )
    assert {key: n_held / runs for key, n_held in held.items() if n_held / runs < 0.9} == {}


def test_models_of_equal_accuracy_and_unequal_honesty_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    right = [more_honest(compare_paired(too_extreme(rng, 2000))) for _ in range(60)]
    assert right.count(0) >= 57
    assert right.count(1) == 0
    found = compare_paired(too_extreme(rng, 2000))
    accuracy, auroc = found.of("accuracy"), found.of("auroc")
    assert accuracy is not None
    assert auroc is not None
    assert accuracy.difference == 0
    assert auroc.difference == pytest.approx(0)
    words = compare_words("first", "second", found)
    assert words[0].startswith("first is the more honest")
    assert words[1].startswith("Their accuracy is not shown to differ")
    assert compare_json("first", "second", found)["more_honest"] == "first"


def test_the_sentence_quotes_the_interval_that_shows_it() -> None:
    """Where the interval of ECE holds 0, reliability's decided; no number is printed as -0."""
    shown = Difference("reliability", 0.001, 0.0046, -0.0036, -0.0066, -0.0006, "")
    found = Comparison(
        paired=True,
        n_a=900,
        n_b=900,
        differences=(
            Difference("ece_debiased", 0.03, 0.07, -0.04, -0.1, 0.008, ""),
            shown,
            Difference("accuracy", 0.8, 0.8, -0.0, -0.0, 0.0, ""),
        ),
    )
    honest, accuracy, _ = compare_words("A", "B", found)
    assert honest.startswith("A is the more honest")
    assert honest.endswith("what shows it is Brier's reliability, -0.00360, -0.00660 to -0.00060.")
    assert accuracy.endswith("difference 0.00000, 0.00000 to 0.00000.")
    surer = replace(found, differences=(replace(found.differences[0], high=-0.01), shown))
    assert compare_words("A", "B", surer)[0].endswith("difference -0.040, -0.100 to -0.010).")


@pytest.mark.parametrize("paired", [True, False])
def test_models_of_equal_honesty_are_hardly_ever_told_apart(*, paired: bool) -> None:
    rng, called, runs = np.random.default_rng(3), 0, 200
    for _ in range(runs):
        one = equally_wrong(rng, 1000)
        found = compare_paired(one)
        if not paired:
            other = equally_wrong(rng, 1000)
            found = compare_unpaired(
                BinCounts.from_rows(one.score_a, one.outcome),
                BinCounts.from_rows(other.score_b, other.outcome),
            )
        called += more_honest(found) is not None
    # 5 % is what the intervals promise; three standard errors of 200 runs above it.
    assert called / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_more_knowledge_is_not_called_honesty() -> None:
    found = compare_paired(less_informed(np.random.default_rng(4), 4000))
    words = compare_words("A", "B", found)
    assert words[0].startswith("Neither is shown to be the more honest")
    assert words[1].startswith("A is the more accurate")
    assert words[2].startswith("A ranks better")
    resolution = found.of("resolution")
    assert resolution is not None
    assert resolution.low > 0


def test_pairs_are_surer_than_two_histograms_of_the_same_rows() -> None:
    pairs = too_extreme(np.random.default_rng(5), 1000)
    together = compare_paired(pairs, DECISIONS)
    apart = compare_unpaired(
        BinCounts.from_rows(pairs.score_a, pairs.outcome),
        BinCounts.from_rows(pairs.score_b, pairs.outcome),
        DECISIONS,
    )
    for metric in ("accuracy", "brier", "reliability", "resolution", "cost"):
        one, other = together.of(metric), apart.of(metric)
        assert one is not None
        assert other is not None
        assert one.difference == pytest.approx(other.difference, abs=2e-3)
        assert one.high - one.low < other.high - other.low


def test_swapping_the_models_turns_every_difference_round() -> None:
    pairs = equally_wrong(np.random.default_rng(6), 700)
    there = compare_paired(pairs, DECISIONS)
    back = compare_paired(
        Pairs(pairs.score_b, pairs.score_a, pairs.outcome), (DECISIONS[1], DECISIONS[0])
    )
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert one.low == pytest.approx(-other.high)
        assert one.high == pytest.approx(-other.low)


def test_the_parts_of_brier_have_no_bias_of_small_bins() -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(400):
        score = rng.integers(1, 15, 100) / 15 - 1 / 30
        found.append(parts(Rows.of(score, rng.random(100) < score)))
    reliability = np.array([each.reliability for each in found])
    assert abs(reliability.mean()) < 3 * reliability.std() / 20


def test_few_rows_are_refused() -> None:
    few = too_extreme(np.random.default_rng(8), 99)
    with pytest.raises(ValueError, match="99 labelled rows"):
        compare_paired(few)
    counts = BinCounts.from_rows(few.score_a, few.outcome)
    with pytest.raises(ValueError, match="99 labelled rows"):
        compare_unpaired(counts, counts)


def test_rows_of_one_class_decide_no_auroc_and_break_nothing() -> None:
    score = np.linspace(0.1, 0.9, 200)
    found = compare_paired(Pairs(score, score[::-1].copy(), np.ones(200, dtype=bool)), DECISIONS)
    auroc = found.of("auroc")
    assert auroc is not None
    assert np.isnan(auroc.difference)
    words = compare_words("A", "B", found)
    assert "Their AUROC cannot be compared: labels of both classes are needed." in words
