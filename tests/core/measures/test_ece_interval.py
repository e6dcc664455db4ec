"""The root mean square calibration error: coverage, ends, and what it says of ECE."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.measures.ece_interval import rms_calibration_error
from monitor.core.measures.logistic import logit, sigmoid

probability = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.1, 0.3, 0.6, 1e-9, 1 - 1e-9]))
pairs = st.lists(st.tuples(probability, st.booleans()), min_size=1, max_size=80)


def score_of(rng: np.random.Generator, law: str, n: int) -> np.ndarray:
    if law == "tied":
        return rng.choice([0.5, 0.7, 0.8, 0.9, 0.95, 0.999], n)
    return sigmoid(rng.normal(*((-3.5, 1.0) if law == "rare" else (0.0, 1.2)), n))


@pytest.mark.parametrize("n", [200, 500, 2000])
@pytest.mark.parametrize("law", ["middle", "rare", "tied"])
@pytest.mark.parametrize(("shift", "slope"), [(0.0, 1.0), (0.5, 1.0), (0.0, 0.6)])
def test_the_interval_covers_at_its_level(law: str, shift: float, slope: float, n: int) -> None:
    rng = np.random.default_rng([n, len(law), int(10 * shift), int(10 * slope)])
    seen = score_of(rng, law, 200_000)
    truth = math.sqrt(float(((sigmoid(shift + slope * logit(seen)) - seen) ** 2).mean()))
    covered, low_covered, runs = 0, 0, 150
    for _ in range(runs):
        score = score_of(rng, law, n)
        outcome = rng.random(n) < sigmoid(shift + slope * logit(score))
        found = rms_calibration_error(BinCounts.from_rows(score, outcome))
        narrow = rms_calibration_error(BinCounts.from_rows(score, outcome), 0.5)
        covered += found.low - 1e-9 <= truth <= found.high + 1e-9
        low_covered += narrow.low - 1e-9 <= truth <= narrow.high + 1e-9
    # At a true coverage of .95, 150 runs fall below .90 once in a hundred; the seeds are fixed.
    assert covered / runs >= 0.90
    # And an interval of one half holds the truth neither rarely nor always.
    assert 0.4 <= low_covered / runs <= 0.88


@given(pairs)
def test_ends_lie_where_they_must(some: list[tuple[float, bool]]) -> None:
    score, outcome = (np.array(c, dtype=np.float64) for c in zip(*some, strict=True))
    found = rms_calibration_error(BinCounts.from_rows(score, outcome > 0))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > 0
    assert found.high >= abs(float((score - outcome).mean())) - 1e-8


@given(pairs, st.floats(0.5, 0.9))
def test_a_higher_level_holds_the_lower_one(some: list[tuple[float, bool]], level: float) -> None:
    score, outcome = (np.array(c, dtype=np.float64) for c in zip(*some, strict=True))
    counts = BinCounts.from_rows(score, outcome > 0)
    inner, outer = rms_calibration_error(counts, level), rms_calibration_error(counts, 0.95)
    assert outer.low <= inner.low + 1e-6
    assert inner.high <= outer.high + 1e-6


def test_scores_that_are_sure_and_always_wrong() -> None:
    found = rms_calibration_error(BinCounts.from_rows(np.ones(100), np.zeros(100, dtype=np.bool_)))
    assert found.value == pytest.approx(1, abs=0.02)
    assert found.high == 1
    assert found.low > 0.9


def test_a_large_sample_meets_the_truth() -> None:
    rng = np.random.default_rng(0)
    score = score_of(rng, "middle", 100_000)
    off = sigmoid(0.5 + logit(score)) - score
    found = rms_calibration_error(BinCounts.from_rows(score, rng.random(100_000) < score + off))
    truth = math.sqrt(float((off**2).mean()))
    assert found.value == pytest.approx(truth, abs=0.004)
    assert found.high - found.low < 0.01


def test_without_labels_nothing_is_known() -> None:
    assert all(math.isnan(v) for v in astuple(rms_calibration_error(BinCounts.empty())))
