"""Smooth ECE against its definition on raw rows, and against the authors' package.

`RECORDED` was made by relplot 1.0.3:

    from relplot import smECE
    for arguments in RECORDED:
        score, outcome = stream(*arguments)
        print(smECE(score, outcome.astype(float)))

relplot bisects the bandwidth to 1/1024 and smooths on a grid, so it may differ by about 1e-3.
It is no oracle for scores at 0 or 1: there it counts half of a row's weight (its reflection takes
the first and last point of the grid once, of which half lies outside), and so falls below
|mean score - base rate|, which the definition cannot.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import EDGES, BinCounts, bin_index
from monitor.core.measures.logistic import sigmoid
from monitor.core.measures.smooth_ece import MIN_BANDWIDTH, smooth_ece, smooth_ece_at

RECORDED = {
    (1, 500, 0.0, 1.2, 0.0, 1.0): 0.041293,
    (2, 2000, 0.0, 1.2, 0.0, 0.6): 0.064237,
    (3, 2000, -1.0, 1.0, 0.5, 1.0): 0.111288,
    (4, 5000, 0.5, 1.5, 0.0, 1.6): 0.064849,
    (5, 300, 0.0, 0.5, -0.3, 1.0): 0.055120,
    (6, 10_000, 0.0, 1.2, 0.0, 1.0): 0.013274,
}
probability = st.one_of(
    st.floats(0, 1), st.floats(0.4, 0.45), st.sampled_from([0.0, 1.0, 0.1, 0.3, 0.6, 1 - 1e-9])
)
pairs = st.lists(st.tuples(probability, st.booleans()), min_size=1, max_size=40)


def stream(  # noqa: PLR0913, PLR0917  # a stream's properties, in the order of RECORDED
    seed: int, n: int, centre: float, spread: float, shift: float, slope: float
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(centre, spread, n)
    return 1 / (1 + np.exp(-z)), rng.random(n) < 1 / (1 + np.exp(-(shift + slope * z)))


def defined(score: np.ndarray, outcome: np.ndarray, bandwidth: float) -> float:
    """Definition 1 of the paper on raw rows: midpoint rule, kernel summed over reflections."""
    t = (np.arange(4000) + 0.5) / 4000
    density = np.zeros_like(t)
    places, owner = np.unique(score, return_inverse=True)
    residual = np.bincount(owner, weights=score - outcome)
    for turn in range(-4, 5):
        for place in (places + 2 * turn, -places + 2 * turn):
            u = (t[:, None] - place) / bandwidth
            density += np.exp(-u * u / 2) @ residual
    return float(np.abs(density).mean()) / (len(score) * bandwidth * math.sqrt(2 * math.pi))


@pytest.mark.parametrize(("arguments", "recorded"), RECORDED.items())
def test_the_authors_package_agrees(arguments: tuple[float, ...], recorded: float) -> None:
    seed, n, *rest = arguments
    found = smooth_ece(BinCounts.from_rows(*stream(int(seed), int(n), *rest)))
    assert found.value == pytest.approx(recorded, abs=5e-4)


@settings(max_examples=30)
@given(pairs)
def test_raw_rows_lie_within_the_bound(some: list[tuple[float, bool]]) -> None:
    score, outcome = (np.array(c, dtype=np.float64) for c in zip(*some, strict=True))
    counts = BinCounts.from_rows(score, outcome > 0)
    found = smooth_ece(counts)
    # f falls and s rises: where the raw rows' f(s) - s is positive, their smooth ECE is above s.
    upper = found.value + found.resolution + 2e-4
    lower = found.value - found.resolution - 2e-4
    if upper < 1:
        assert defined(score, outcome, max(upper, MIN_BANDWIDTH)) <= upper
    if lower > MIN_BANDWIDTH:
        assert defined(score, outcome, lower) >= lower


def test_what_a_micro_bin_hides_lies_within_the_bound() -> None:
    # Positives at both ends of one micro-bin, negatives in its middle: mean and first moment say
    # nothing of it. Beside it, rows enough off to set the bandwidth.
    k = int(bin_index(np.array([0.3]))[0])
    lower, upper = EDGES[k - 1], EDGES[k]
    ends, middle = np.array([lower + 1e-6, upper - 1e-6]), (lower + upper) / 2
    score = np.concatenate([np.tile(ends, 300), np.full(1400, middle), np.full(40, 0.9)])
    outcome = np.arange(2040) < 600
    found = smooth_ece(BinCounts.from_rows(score, outcome))
    below, above = MIN_BANDWIDTH, 1.0
    while above - below > 1e-5:
        at = (below + above) / 2
        below, above = (at, above) if defined(score, outcome, at) > at else (below, at)
    assert 5e-4 < abs(above - found.value) <= found.resolution < 0.02


@pytest.mark.parametrize("bandwidth", [0.02, 0.05, 0.2, 0.7])
def test_one_bandwidth_is_the_definition(bandwidth: float) -> None:
    score, outcome = stream(8, 400, 0.3, 2.0, 0.2, 0.8)
    found = smooth_ece_at(BinCounts.from_rows(score, outcome), bandwidth)
    assert found == pytest.approx(defined(score, outcome, bandwidth), abs=3e-5 / bandwidth)


@given(pairs)
def test_it_is_at_least_the_gap_and_at_most_one(some: list[tuple[float, bool]]) -> None:
    score, outcome = (np.array(c, dtype=np.float64) for c in zip(*some, strict=True))
    found = smooth_ece(BinCounts.from_rows(score, outcome > 0))
    assert abs(float((score - outcome).mean())) <= found.value + 1e-6
    assert found.value <= 1 + 1e-6
    assert found.bandwidth >= MIN_BANDWIDTH


def test_scores_at_an_end_count_in_full() -> None:
    rng = np.random.default_rng(7)
    score = np.where(rng.random(2000) < 0.5, 1.0, 0.8)
    outcome = rng.random(2000) < 0.8
    gap = float((score - outcome).mean())
    assert smooth_ece(BinCounts.from_rows(score, outcome)).value == pytest.approx(gap, abs=1e-6)


@pytest.mark.parametrize(
    ("score", "outcome", "value"),
    [(0.0, False, 0.0), (1.0, True, 0.0), (0.0, True, 1.0), (1.0, False, 1.0), (0.3, False, 0.3)],
)
def test_constant_scores_of_one_class(score: float, outcome: bool, value: float) -> None:
    found = smooth_ece(BinCounts.from_rows(np.full(30, score), np.full(30, outcome)))
    assert found.value == pytest.approx(value, abs=1e-6)


def test_without_labels_nothing_is_known() -> None:
    found = smooth_ece(BinCounts.empty())
    assert math.isnan(found.value)
    assert math.isnan(found.bandwidth)
    assert math.isnan(found.resolution)
    assert math.isnan(smooth_ece_at(BinCounts.empty(), 0.1))


def test_more_labels_of_an_honest_model_read_less() -> None:
    rng = np.random.default_rng(9)
    values = []
    for n in (200, 2000, 20_000):
        score = sigmoid(rng.normal(0, 1.2, n))
        values.append(smooth_ece(BinCounts.from_rows(score, rng.random(n) < score)).value)
    assert values[0] > values[1] > values[2]
    assert values[2] < 0.015
