"""Wrong bins: the tests' level over all bins, their power, order and directions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from monitor.core.bins import BinCounts
from monitor.core.measures.bin_tests import bin_tests, classify, holm, wrong_bins
from monitor.core.measures.logistic import sigmoid
from monitor.core.measures.metrics import reliability_bins
from monitor.core.verdicts import Direction


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("centre", [0.0, -3.0])
def test_an_honest_model_is_seldom_accused(n: int, centre: float) -> None:
    rng = np.random.default_rng(n)
    accused = 0
    for _ in range(400):
        score = sigmoid(rng.normal(centre, 1.2, n))
        accused += any(t.off for t in bin_tests(BinCounts.from_rows(score, rng.random(n) < score)))
    # At a true level of .05, 400 runs exceed .078 once in a hundred; the seeds are fixed.
    assert accused / 400 <= 0.078


def test_the_wrong_bins_are_found_and_ranked_by_the_labels_they_misplace() -> None:
    rng = np.random.default_rng(0)
    score = np.concatenate([np.full(3000, 0.9), np.full(500, 0.5), np.full(3000, 0.2)])
    truth = np.concatenate([np.full(3000, 0.8), np.full(500, 0.75), np.full(3000, 0.2)])
    first, second, third = bin_tests(BinCounts.from_rows(score, rng.random(6500) < truth))
    assert first.off
    assert second.off
    assert not third.off
    assert (first.direction, second.direction) == (
        Direction.OVERCONFIDENT,
        Direction.UNDERCONFIDENT,
    )
    assert first.misplaced == pytest.approx(300, abs=60)
    assert second.misplaced == pytest.approx(125, abs=30)
    assert first.bin.lower < 0.9 <= first.bin.upper


def test_a_large_gap_of_few_labels_comes_after_a_proven_one() -> None:
    score = np.concatenate([np.full(2000, 0.5), np.full(3, 0.1)])
    outcome = np.concatenate([np.arange(2000) < 900, [True, False, False]])
    first, second = bin_tests(BinCounts.from_rows(score, outcome))
    assert first.bin.n == 2000
    assert abs(second.bin.mean_score - second.bin.observed) > 0.2
    assert (first.off, second.off) == (True, False)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_each_test_is_exact(some: list[tuple[float, bool]]) -> None:
    score, outcome = (np.array(c, dtype=np.float64) for c in zip(*some, strict=True))
    counts = BinCounts.from_rows(score, outcome > 0)
    found = bin_tests(counts)
    assert found == classify(reliability_bins(counts))
    assert sum(t.bin.n for t in found) == len(some)
    for test in found:
        p, seen = min(1.0, test.bin.mean_score), round(test.bin.observed * test.bin.n)
        tails = [
            binomtest(seen, test.bin.n, p, alternative=side).pvalue for side in ("less", "greater")
        ]
        assert test.p_value == pytest.approx(min(1.0, 2 * min(tails)), abs=1e-12)
        assert test.p_value <= test.adjusted <= 1
        assert test.off == (test.adjusted <= 0.05)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.2], [0.2]),
        # By hand: .01*4, .02*3 and .03*2 after it, .5*1.
        ([0.03, 0.01, 0.5, 0.02], [0.06, 0.04, 0.5, 0.06]),
        ([0.4, 0.4], [0.8, 0.8]),
        ([0.0, 1.0, 0.9], [0.0, 1.0, 1.0]),
    ],
)
def test_holm(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(np.array(p_values)) == pytest.approx(adjusted)


@pytest.mark.parametrize(
    ("score", "outcome", "off"),
    [(0.0, True, True), (1.0, False, True), (0.0, False, False), (1.0, True, False)],
)
def test_sure_scores(score: float, outcome: bool, off: bool) -> None:
    (found,) = bin_tests(BinCounts.from_rows(np.full(30, score), np.full(30, outcome)))
    assert found.off == off
    assert found.p_value == (0.0 if off else 1.0)


def test_nothing_is_tested_without_labels() -> None:
    assert bin_tests(BinCounts.empty()) == ()


@given(st.integers(0, 2**32 - 1), st.floats(-1.0, 1.0), st.sampled_from([20, 200, 2000]))
def test_the_cheap_look_finds_just_the_bins_that_the_tests_call_wrong(
    seed: int, level: float, n: int
) -> None:
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, n)
    score = np.where(rng.random(n) < 0.1, np.rint(sigmoid(logit)), sigmoid(logit))
    bins = reliability_bins(BinCounts.from_rows(score, rng.random(n) < sigmoid(logit + level)))
    assert wrong_bins(bins) == tuple(test for test in classify(bins) if test.off)
    assert wrong_bins(()) == ()
