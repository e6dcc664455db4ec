"""What more labels would buy, against sets of labels that were really drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.measures.debiased_ece import debiased_ece
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.report.more_labels import FACTORS, fitted, more_labels

REAL_SETS = 80


def drawn(rng: np.random.Generator, n: int, slope: float, *, repaired: bool = False) -> BinCounts:
    """Scores whose true logit is slope * logit(score), as they are or repaired to the truth."""
    score = sigmoid(rng.normal(0.0, 1.5, n))
    truth = sigmoid(slope * logit(score))
    return BinCounts.from_rows(truth if repaired else score, rng.random(n) < truth)


@pytest.mark.parametrize("slope", [1.0, 0.4])
def test_expected_half_widths_are_those_of_sets_really_drawn(slope: float) -> None:
    few = drawn(np.random.default_rng(7), 300, slope)
    rng = np.random.default_rng(8)
    for said in more_labels(few, (2, 10)):
        found = [debiased_ece(drawn(rng, said.n, slope)) for _ in range(REAL_SETS)]
        half = np.mean([(one.high - one.low) / 2 for one in found])
        assert said.ece_half_width == pytest.approx(half, rel=0.1)


@pytest.mark.parametrize("slope", [1.0, 0.4])
def test_the_smallest_shift_is_found_in_four_sets_of_five(slope: float) -> None:
    few = drawn(np.random.default_rng(7), 300, slope)
    rng = np.random.default_rng(9)
    for said in more_labels(few, (1, 4)):
        found = []
        for _ in range(2 * REAL_SETS):
            score = sigmoid(slope * rng.normal(0.0, 1.5, said.n))
            moved = np.clip(score - said.smallest_shift, 0, 1)
            counts = BinCounts.from_rows(score, rng.random(said.n) < moved)
            found.append(debiased_ece(counts).low > 0)
        assert 0.7 <= np.mean(found) <= 0.92


def test_copies_of_an_honest_sample_look_dishonest_and_are_not_what_is_used() -> None:
    """Why the counts are not multiplied: ten copies of honest labels are a proof against them."""
    copied, kept = [], []
    for seed in range(20):
        few = drawn(np.random.default_rng(seed), 200, 1.0)
        copied.append(debiased_ece(BinCounts(few.sums * 10)).low > 0)
        weight = few.labelled / few.n_labelled
        kept.append(float(weight @ np.abs(fitted(few) - np.nan_to_num(few.mean_scores()))))
    assert np.mean(copied) > 0.5
    assert np.median(kept) < 0.01


def test_a_plain_error_is_kept_almost_whole() -> None:
    few = drawn(np.random.default_rng(3), 400, 0.4)
    score = np.nan_to_num(few.mean_scores())
    weight = few.labelled / few.n_labelled
    truth = sigmoid(0.4 * logit(score))
    assert weight @ np.abs(fitted(few) - truth) < 0.25 * (weight @ np.abs(score - truth))


@given(seed=st.integers(0, 10**6), n=st.integers(50, 400), slope=st.sampled_from([0.3, 1.0, 2.5]))
@settings(max_examples=6, deadline=None)
def test_more_labels_never_tell_less(seed: int, n: int, slope: float) -> None:
    few = drawn(np.random.default_rng(seed), n, slope)
    said = more_labels(few)
    assert said == more_labels(few)
    assert [one.n for one in said] == [n * factor for factor in FACTORS]
    for one in said[1:]:
        root = one.factor**0.5
        assert one.gap_half_width == pytest.approx(said[0].gap_half_width / root)
        assert one.smallest_shift == pytest.approx(said[0].smallest_shift / root)
    widths = [one.ece_half_width for one in said]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    "counts",
    [
        BinCounts.empty(),
        BinCounts.from_rows(np.full(49, 0.5), np.arange(49) % 2 == 0),
        BinCounts.from_rows(np.repeat([0.0, 1.0], 100), np.repeat([False, True], 100)),
    ],
)
def test_nothing_is_said_where_too_little_is_known(counts: BinCounts) -> None:
    assert more_labels(counts) == ()


def test_one_class_alone_is_taken_at_its_scores() -> None:
    few = BinCounts.from_rows(np.full(100, 0.1), np.zeros(100, dtype=bool))
    assert [one.n for one in more_labels(few)] == [100, 200, 400, 1000]
