"""Equal-mass ECE and ACE against raw rows, within the bound that they promise."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.measures.equal_mass_ece import equal_mass, equal_mass_sums, folded_mean

probability = st.one_of(
    st.floats(0, 1), st.floats(0.4, 0.45), st.sampled_from([0.0, 1.0, 0.1, 0.3, 0.5, 0.7, 1 - 1e-9])
)
pairs = st.lists(st.tuples(probability, st.booleans()), min_size=1, max_size=120)


def columns(some: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    score, outcome = zip(*some, strict=True)
    return np.array(score, dtype=np.float64), np.array(outcome)


def raw_runs(score: np.ndarray, outcome: np.ndarray, bins: int) -> list[tuple[int, float]]:
    """Rows and |rate - mean score| of each run of the rows as they lie, sorted by score."""
    order = np.argsort(score, kind="stable")
    runs = np.array_split((outcome - score)[order], bins)
    return [(len(run), abs(float(run.mean()))) for run in runs if len(run)]


def raw_ece(score: np.ndarray, outcome: np.ndarray, bins: int) -> float:
    return sum(n * gap for n, gap in raw_runs(score, outcome, bins)) / len(score)


@given(pairs, st.integers(1, 20))
def test_raw_rows_lie_within_the_bound(some: list[tuple[float, bool]], bins: int) -> None:
    score, outcome = columns(some)
    found = equal_mass(BinCounts.from_rows(score, outcome), bins)
    runs = raw_runs(score, outcome, bins)
    assert abs(found.ece - raw_ece(score, outcome, bins)) <= found.resolution
    assert abs(found.ace - np.mean([gap for _, gap in runs])) <= found.ace_resolution
    assert 0 <= found.debiased <= found.ece <= 1
    assert 1 <= found.bins <= bins


@given(pairs, st.integers(1, 20))
def test_the_bound_holds_for_any_order_of_tied_rows(
    some: list[tuple[float, bool]], bins: int
) -> None:
    score, outcome = columns([(round(score, 1), outcome) for score, outcome in some])
    found = equal_mass(BinCounts.from_rows(score, outcome), bins)
    for order in (np.lexsort([outcome]), np.lexsort([~outcome])):
        assert abs(found.ece - raw_ece(score[order], outcome[order], bins)) <= found.resolution


tied = st.lists(
    st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7]), st.booleans()), min_size=2, max_size=16
)


@settings(max_examples=400)
@given(tied, st.integers(2, 5))
def test_few_tied_scores_lie_within_the_bound(some: list[tuple[float, bool]], bins: int) -> None:
    score, outcome = columns(some)
    found = equal_mass(BinCounts.from_rows(score, outcome), bins)
    assert abs(found.ece - raw_ece(score, outcome, bins)) <= found.resolution


@pytest.mark.parametrize("n", [14, 15, 16, 29, 150])
def test_one_row_a_micro_bin_loses_nothing(n: int) -> None:
    rng = np.random.default_rng(n)
    score = np.linspace(0.005, 0.995, n)
    outcome = rng.random(n) < score
    found = equal_mass(BinCounts.from_rows(score, outcome))
    assert found.ece == pytest.approx(raw_ece(score, outcome, 15), abs=2e-9)
    assert found.resolution < 0.06


def test_the_bound_is_reached_by_some_rows() -> None:
    # Two tied rows in the middle of four: the cut in half may put either one on either side.
    score = np.array([0.2, 0.5, 0.5, 0.8])
    outcome = np.array([False, False, True, True])
    found = equal_mass(BinCounts.from_rows(score, outcome), 2)
    apart = abs(found.ece - raw_ece(score, outcome, 2))
    assert apart == pytest.approx(0.25)
    assert apart <= found.resolution < 0.26


def test_bins_are_whole_micro_bins_and_hold_every_row_once() -> None:
    rng = np.random.default_rng(0)
    score = rng.choice([0.5, 0.8, 0.85, 0.9, 0.95, 1.0], 900)
    counts = BinCounts.from_rows(score, rng.random(900) < score)
    merged = equal_mass_sums(counts, 15)
    assert len(merged) == 6
    assert np.array_equal(merged.sum(axis=0), counts.sums.sum(axis=0))
    assert (merged[:, 1] > 0).all()


def test_even_scores_make_even_bins() -> None:
    score = np.linspace(1e-4, 1 - 1e-4, 60_000)
    merged = equal_mass_sums(BinCounts.from_rows(score, score > 0.5), 15)
    assert len(merged) == 15
    assert merged[:, 1] == pytest.approx(4000, rel=0.25)


def test_debiasing_takes_off_what_noise_adds() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(100):
        score = rng.uniform(0.05, 0.95, 1000)
        found.append(equal_mass(BinCounts.from_rows(score, rng.random(1000) < score)))
    raw, debiased = np.mean([f.ece for f in found]), np.mean([f.debiased for f in found])
    assert raw == pytest.approx(math.sqrt(2 / math.pi) * 0.42 / math.sqrt(1000 / 15), rel=0.1)
    assert debiased < 0.7 * raw


def test_a_wrong_model_reads_as_wrong_as_it_is() -> None:
    rng = np.random.default_rng(2)
    score = rng.uniform(0.3, 0.9, 50_000)
    found = equal_mass(BinCounts.from_rows(score, rng.random(50_000) < score - 0.2))
    assert astuple(found)[:3] == pytest.approx((0.2, 0.2, 0.2), abs=0.006)
    assert found.resolution < 1e-8


def test_folded_mean_is_that_of_draws() -> None:
    draws = np.abs(np.random.default_rng(3).normal(0.02, 0.03, 400_000))
    found = folded_mean(np.array([0.02, -0.02, 0.02]), np.array([0.03, 0.03, 0.0]))
    assert found == pytest.approx([draws.mean(), draws.mean(), 0.02], abs=1e-4)


@pytest.mark.parametrize("score", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("outcome", [False, True])
def test_constant_scores_of_one_class_are_one_bin(score: float, *, outcome: bool) -> None:
    found = equal_mass(BinCounts.from_rows(np.full(40, score), np.full(40, outcome)))
    off = abs(outcome - score)
    assert (found.ece, found.ace, found.debiased) == pytest.approx((off, off, off))
    assert found.bins == 1
    assert found.resolution == pytest.approx(0, abs=1e-8) or off == 0


def test_without_labels_nothing_is_known() -> None:
    found = equal_mass(BinCounts.empty())
    assert found.bins == 0
    assert all(math.isnan(value) for value in astuple(found)[:5])


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="0 equal-mass bins"):
        equal_mass(BinCounts.empty(), 0)
