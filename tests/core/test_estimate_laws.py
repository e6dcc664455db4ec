"""Laws of every estimate from counts: merging, order, complement, and the edges of the law.

The complement of (score, outcome) is (1 - score, not outcome). Micro-bins are (lower, upper], so a
score on an edge changes sides with it; the law is exact, up to rounding in billionths, for scores
off the edges, and moves a score on an edge by one bin.
"""

from __future__ import annotations

from dataclasses import asdict, astuple
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monitor.core.bins import EDGES, BinCounts, bin_index
from monitor.core.measures.auroc import auroc_interval
from monitor.core.measures.bin_tests import bin_tests
from monitor.core.measures.ece_interval import rms_calibration_error
from monitor.core.measures.equal_mass_ece import equal_mass
from monitor.core.measures.metrics import metrics
from monitor.core.measures.smooth_ece import smooth_ece
from monitor.core.measures.usefulness import resolution, usefulness
from monitor.core.verdicts import Direction

if TYPE_CHECKING:
    from random import Random

Rows = list[tuple[float, bool]]
probability = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.1, 0.3, 0.6, 0.7, 1e-9, 1 - 1e-9])
)
rows = st.lists(st.tuples(probability, st.booleans()), min_size=1, max_size=60)
LOWER = np.concatenate([[0.0], EDGES[:-1]])
# Well inside a micro-bin, as rounding must not carry the complement over its edge.
inside = st.builds(
    lambda k, part: float(LOWER[k] + (EDGES[k] - LOWER[k]) * part),
    st.integers(0, len(EDGES) - 1),
    st.floats(0.1, 0.9),
)
inner_rows = st.lists(st.tuples(inside, st.booleans()), min_size=1, max_size=60)


def counted(some: Rows) -> BinCounts:
    if not some:
        return BinCounts.empty()
    score, outcome = zip(*some, strict=True)
    return BinCounts.from_rows(np.array(score, dtype=np.float64), np.array(outcome))


def everything(counts: BinCounts) -> dict[str, Any]:
    """Every estimate of this span, flat."""
    return {
        **asdict(metrics(counts)),
        **{f"equal mass {k}": v for k, v in asdict(equal_mass(counts)).items()},
        **{f"smooth {k}": v for k, v in asdict(smooth_ece(counts)).items()},
        **{f"auroc {k}": v for k, v in asdict(auroc_interval(counts)).items()},
        **{f"rms {k}": v for k, v in asdict(rms_calibration_error(counts)).items()},
        **{f"resolution {k}": v for k, v in asdict(resolution(counts)).items()},
        **{f"bin {k}": t.misplaced for k, t in enumerate(bin_tests(counts))},
    }


@settings(max_examples=50)
@given(rows, st.integers(0, 60), st.randoms(use_true_random=False))
def test_neither_order_nor_cutting_changes_any_estimate(
    some: Rows, at: int, random: Random
) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)
    parts = [counted(shuffled[:at]), BinCounts.empty(), counted(shuffled[at:])]
    whole = everything(sum(parts[1:], parts[0]))
    assert whole == pytest.approx(everything(counted(some)), rel=0, abs=0, nan_ok=True)


def test_the_edges_are_symmetric() -> None:
    # 1 - edge is an edge, to the last digits; so each micro-bin has a complement.
    assert np.sort(1 - EDGES[:-1]) == pytest.approx(EDGES[:-1], abs=1e-15)


SAME = [
    *("n", "ece_10", "ece_15", "ece_20", "mce_15"),
    *("brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "log_loss"),
]


@settings(max_examples=60)
@given(inner_rows)
def test_the_complement_has_the_same_errors_and_the_opposite_gap(some: Rows) -> None:
    other = [(1 - score, not outcome) for score, outcome in some]
    places = [bin_index(np.array([s for s, _ in each])) for each in (some, other)]
    assume(np.array_equal(places[0], len(EDGES) - 1 - places[1]))
    here, there = metrics(counted(some)), metrics(counted(other))
    for name in SAME:
        assert getattr(there, name) == pytest.approx(getattr(here, name), abs=2e-8), name
    assert there.gap == pytest.approx(-here.gap, abs=2e-9)
    assert there.base_rate == pytest.approx(1 - here.base_rate)
    assert smooth_ece(counted(other)).value == pytest.approx(
        smooth_ece(counted(some)).value, abs=1e-5
    )
    # How pairs within a micro-bin rank is read from spreads next to the rounding.
    mine, yours = auroc_interval(counted(some)), auroc_interval(counted(other))
    if mine.resolution >= 0:
        assert abs(yours.value - mine.value) <= mine.resolution + 1e-9
        assert yours.resolution == pytest.approx(mine.resolution)
    assert resolution(counted(other)).sharpness == pytest.approx(
        resolution(counted(some)).sharpness, abs=1e-8
    )


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, len(EDGES) - 1), st.booleans()), min_size=1, max_size=60))
def test_the_complement_of_tied_scores_ranks_the_same(some: list[tuple[int, bool]]) -> None:
    place, outcome = (np.array(column) for column in zip(*some, strict=True))
    score = (LOWER[place] + EDGES[place]) / 2
    here = auroc_interval(BinCounts.from_rows(score, outcome > 0))
    there = auroc_interval(BinCounts.from_rows(1 - score, outcome == 0))
    assert astuple(there) == pytest.approx(astuple(here), abs=1e-9, nan_ok=True)


@settings(max_examples=60)
@given(inner_rows)
def test_the_complement_misplaces_the_same_labels_the_other_way(some: Rows) -> None:
    other = [(1 - score, not outcome) for score, outcome in some]
    places = [bin_index(np.array([s for s, _ in each])) for each in (some, other)]
    assume(np.array_equal(places[0], len(EDGES) - 1 - places[1]))
    here = {round(15 * t.bin.lower): t for t in bin_tests(counted(some))}
    there = {14 - round(15 * t.bin.lower): t for t in bin_tests(counted(other))}
    assert here.keys() == there.keys()
    opposite = {
        Direction.OVERCONFIDENT: Direction.UNDERCONFIDENT,
        Direction.UNDERCONFIDENT: Direction.OVERCONFIDENT,
    }
    for k, test in here.items():
        assert there[k].misplaced == pytest.approx(test.misplaced, abs=1e-6)
        assert there[k].p_value == pytest.approx(test.p_value, abs=1e-6)
        if test.misplaced > 1e-6:
            assert there[k].direction == opposite[test.direction]


@given(inner_rows)
def test_the_complement_is_as_far_from_equal_mass_rows_as_the_bound_says(some: Rows) -> None:
    # Cuts go to the nearest edge, and runs of unequal length lie at one end: only bounds agree.
    other = [(1 - score, not outcome) for score, outcome in some]
    here, there = equal_mass(counted(some), 1), equal_mass(counted(other), 1)
    assert there.ece == pytest.approx(here.ece, abs=1e-8)
    assert there.debiased == pytest.approx(here.debiased, abs=1e-8)


def test_a_score_on_an_edge_moves_by_one_bin_in_the_complement() -> None:
    for lower, upper in pairwise(EDGES[:-1]):
        (here,), (there,) = bin_index(np.array([upper])), bin_index(np.array([1 - upper]))
        assert upper - lower > 0
        assert there in {len(EDGES) - 1 - here, len(EDGES) - 2 - here}


SOME = np.arange(60) % 3 == 0
RISING = np.linspace(0.01, 0.99, 60)


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        pytest.param(RISING[:0], SOME[:0], id="no rows"),
        pytest.param(RISING[:1], SOME[:1], id="one row"),
        pytest.param(RISING, SOME | True, id="all positive"),
        pytest.param(RISING, SOME & False, id="all negative"),
        pytest.param(RISING * 0, SOME, id="scores of 0"),
        pytest.param(RISING * 0 + 1, SOME, id="scores of 1"),
        pytest.param(RISING * 0, SOME & False, id="0 and right"),
        pytest.param(RISING * 0, SOME | True, id="0 and wrong"),
        pytest.param(RISING * 0 + 1, SOME | True, id="1 and right"),
        pytest.param(np.where(SOME, 1.0, 0.0), SOME, id="0 and 1, right"),
        pytest.param(np.where(SOME, 0.0, 1.0), SOME, id="0 and 1, wrong"),
        pytest.param(RISING * 0 + 0.3, SOME, id="constant"),
        pytest.param(1 - 1e-12 * RISING, SOME, id="next to 1"),
        pytest.param(RISING, RISING > 0.5, id="separable"),
    ],
)
@pytest.mark.parametrize("times", [1, 50])
def test_no_counts_raise_warn_or_give_infinities(
    score: np.ndarray, outcome: np.ndarray, times: int
) -> None:
    counts = BinCounts.from_rows(np.tile(score, times), np.tile(outcome, times))
    assert not any(np.isinf(value) for value in everything(counts).values())
    assert usefulness(counts).reason.endswith(".")


def test_unlabelled_rows_change_nothing() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(300)
    counts = BinCounts.from_rows(score, rng.random(300) < score)
    unlabelled = BinCounts.from_rows(rng.random(500), rng.random(500) < 0.5, np.zeros(500) > 0)
    assert everything(counts + unlabelled) == pytest.approx(everything(counts), rel=0, abs=0)
