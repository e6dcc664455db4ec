"""Repairs against fits to the raw pairs, and when none is offered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from monitor.core.bins import BinCounts
from monitor.core.measures.logistic import Nodes, fit_logistic, logit, sigmoid
from monitor.core.measures.metrics import equal_width_ece
from monitor.core.measures.moments import ClassMoments
from monitor.core.recalibration.repairs import (
    apply,
    best_repair,
    fit_platt,
    fit_temperature,
    recalibrated,
)

Scene = dict[str, Any]


def drawn(
    n: int,
    seed: int,
    *,
    shift: float = 0.0,
    slope: float = 1.0,
    law: tuple[float, float] = (0.0, 1.5),
) -> tuple[np.ndarray, np.ndarray]:
    """Scores with logits of `law` (mean, sd), and outcomes of logit shift + slope * logit."""
    rng = np.random.default_rng(seed)
    score = sigmoid(rng.normal(*law, n))
    return score, rng.random(n) < sigmoid(shift + slope * logit(score))


def raw_fit(score: np.ndarray, outcome: np.ndarray, *, intercept: bool) -> np.ndarray:
    """Maximum likelihood on the raw pairs by a general minimiser: (slope, intercept)."""
    x, sign = logit(score), np.where(outcome, 1.0, -1.0)

    def loss(at: np.ndarray) -> float:
        line = at[0] * x + (at[1] if intercept else 0.0)
        return float(np.logaddexp(0, -sign * line).mean())

    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", tol=1e-10)
    return np.asarray(found.x if intercept else found.x * [1, 0])


SCENES = [
    pytest.param({}, id="honest"),
    pytest.param({"slope": 0.5}, id="too extreme"),
    pytest.param({"slope": 1.6, "shift": -0.4}, id="too timid and shifted"),
    pytest.param({"law": (-4.0, 1.0), "shift": 0.7}, id="rare event"),
    pytest.param({"law": (5.0, 3.0), "slope": 0.3, "shift": -0.4}, id="next to 1"),
]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("n", [500, 5000])
def test_fits_are_those_of_the_raw_pairs(scene: Scene, n: int) -> None:
    score, outcome = drawn(n, 1, **scene)
    counts = BinCounts.from_rows(score, outcome)
    for fit, intercept in ((fit_temperature, False), (fit_platt, True)):
        assert fit(counts) == pytest.approx(raw_fit(score, outcome, intercept=intercept), abs=1e-3)


@pytest.mark.parametrize(
    ("x", "positive", "negative"),
    [
        pytest.param([13.1, -11.6, -7.2], [1, 1e5, 0], [1e5, 1, 1e2], id="upside down"),
        pytest.param([10.4, -8.2, -0.2], [10, 1, 0], [0, 1e5, 1e6], id="rare and far apart"),
        pytest.param([-8.1, -7.0, 12.6], [100, 100, 0], [1000, 1e5, 1e4], id="falling"),
    ],
)
def test_fits_of_extreme_counts_reach_the_maximum(
    x: list[float], positive: list[float], negative: list[float]
) -> None:
    # Undamped Newton steps diverge on the first and the third, timidly damped ones on the second.
    weight = np.array(positive + negative)
    points = Nodes(np.tile(x, 2), weight, np.repeat([1.0, -1.0], len(x)))
    held = Nodes(points.logit[weight > 0], weight[weight > 0], points.sign[weight > 0])
    found = fit_logistic(held)

    def loss(at: np.ndarray) -> float:
        return float(weight @ np.logaddexp(0, -points.sign * (at[0] * points.logit + at[1])))

    slow = minimize(loss, np.array([0.0, 0.0]), method="Nelder-Mead", tol=1e-12)
    assert (found.slope, found.intercept) == pytest.approx(slow.x, abs=1e-4)
    assert found.log_likelihood == pytest.approx(-slow.fun, rel=1e-9)


def test_tied_scores_have_no_spread_and_close_ones_have_theirs() -> None:
    for score in (1 - 1.27e-5, 0.0003333333, 1 / 3, 0.85):
        tied = ClassMoments.of(BinCounts.from_rows(np.full(999, score), np.arange(999) % 3 == 0))
        assert (tied.sd[0], tied.sd_positive[0], tied.sd_negative[0]) == (0, 0, 0)
    close = np.array([0.758, 0.760, 0.762, 0.764])
    found = ClassMoments.of(BinCounts.from_rows(close, np.array([True, False, True, False])))
    assert found.sd[0] == pytest.approx(close.std(), rel=1e-3)
    assert (found.mean_positive[0], found.mean_negative[0]) == pytest.approx((0.760, 0.762))
    assert found.sd_positive[0] == pytest.approx(0.002, rel=1e-3)


def test_a_moved_score_of_one_belongs_to_the_last_bin() -> None:
    score = np.repeat([1.0, 0.8], 100)
    counts = BinCounts.from_rows(score, np.arange(200) >= 10)
    moved = apply(np.array([1.0, 0.8]), 3.0, 0.0)
    assert moved[0] == 1
    assert moved[1] > 14 / 15
    expected = abs(100 * moved.sum() - 190) / 200
    assert recalibrated(counts, 3.0, 0.0).ece_15 == pytest.approx(expected, abs=1e-9)


def test_apply_is_the_line_of_the_logit() -> None:
    score = np.array([0.0, 1e-6, 0.2, 0.5, 0.9, 1.0])
    assert apply(score, 1.0, 0.0) == pytest.approx(np.clip(score, 1e-6, 1 - 1e-6), abs=1e-12)
    assert apply(np.array([0.5]), 3.0, math.log(3)) == pytest.approx(0.75)
    assert apply(np.array([0.2]), 2.0, 0.0) == pytest.approx(1 / 17)
    assert apply(np.array([1.0, 0.0]), 1e6, 0.0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, 0.2), (2.0, -1.0), (0.0, 0.5)])
def test_moved_counts_give_the_metrics_of_moved_rows(
    scene: Scene, slope: float, intercept: float
) -> None:
    score, outcome = drawn(4000, 2, **scene)
    moved = apply(score, slope, intercept)
    counts = BinCounts.from_rows(score, outcome)
    found = recalibrated(counts, slope, intercept)
    truth = BinCounts.from_rows(moved, outcome)
    assert found.mean_score == pytest.approx(moved.mean(), abs=2e-4)
    # A micro-bin that straddles an edge after the move goes to one side as a whole.
    assert found.ece_15 == pytest.approx(equal_width_ece(truth, 15), abs=6e-3)
    if slope == 0:
        assert found.auroc == pytest.approx(0.5, abs=0.02)


def test_repair_of_nothing_is_unknown() -> None:
    found = recalibrated(BinCounts.empty(), 1.0, 0.0)
    assert all(math.isnan(value) for value in (found.ece_15, found.mean_score, found.auroc))


@pytest.mark.parametrize(
    ("scene", "method", "slope", "intercept"),
    [
        ({"slope": 0.5}, "temperature", 0.5, 0.0),
        ({"slope": 1.6}, "temperature", 1.6, 0.0),
        ({"shift": 0.7}, "platt", 1.0, 0.7),
        ({"slope": 0.6, "shift": -0.6}, "platt", 0.6, -0.6),
        ({"law": (3.0, 1.5), "slope": 0.5, "shift": -0.5}, "platt", 0.5, -0.5),
    ],
)
def test_repair_names_the_fault_and_mends_it_on_unseen_labels(
    scene: Scene, method: str, slope: float, intercept: float
) -> None:
    fitted, held_out = (BinCounts.from_rows(*drawn(8000, seed, **scene)) for seed in (5, 6))
    repair = best_repair(fitted, held_out)
    assert repair is not None
    assert repair.method == method
    assert (repair.slope, repair.intercept) == pytest.approx((slope, intercept), abs=0.08)
    assert (repair.n_fitted, repair.n_held_out) == (8000, 8000)
    assert repair.ece_before == equal_width_ece(held_out, 15) > 0.04
    assert repair.ece_after < 0.025
    assert repair.auroc_after == pytest.approx(repair.auroc_before, abs=1e-12)


def test_an_honest_model_gets_a_temperature_near_one() -> None:
    chosen = [
        best_repair(*(BinCounts.from_rows(*drawn(2000, 2 * k + half)) for half in (0, 1)))
        for k in range(100)
    ]
    methods = [repair.method for repair in chosen if repair is not None]
    assert len(methods) == 100
    # The intercept is tested at 5 %.
    assert 3 <= methods.count("platt") <= 8


def of_classes(negative: int, positive: int) -> BinCounts:
    rng = np.random.default_rng(0)
    outcome = np.repeat([False, True], [negative, positive])
    return BinCounts.from_rows(sigmoid(rng.normal(outcome * 1.0, 1.0)), outcome)


ENOUGH = of_classes(90, 90)
FALLING = BinCounts.from_rows(*drawn(500, 5, slope=-1.0))


@pytest.mark.parametrize(
    ("fitted", "held_out", "offered"),
    [
        pytest.param(ENOUGH, ENOUGH, True, id="enough"),
        pytest.param(of_classes(90, 10), of_classes(10, 90), True, id="just enough"),
        pytest.param(of_classes(89, 10), ENOUGH, False, id="99 labels"),
        pytest.param(ENOUGH, of_classes(49, 50), False, id="99 labels held out"),
        pytest.param(of_classes(500, 9), ENOUGH, False, id="9 positives"),
        pytest.param(ENOUGH, of_classes(9, 500), False, id="9 negatives held out"),
        pytest.param(of_classes(500, 0), ENOUGH, False, id="one class"),
        pytest.param(BinCounts.empty(), ENOUGH, False, id="nothing fitted"),
        pytest.param(ENOUGH, BinCounts.empty(), False, id="nothing held out"),
        pytest.param(FALLING, FALLING, False, id="scores that rank the wrong way"),
        pytest.param(
            BinCounts.from_rows(np.full(200, 0.3), np.arange(200) % 2 == 0),
            ENOUGH,
            False,
            id="constant scores",
        ),
        pytest.param(
            BinCounts.from_rows(np.linspace(0, 1, 200), np.linspace(0, 1, 200) > 0.5),
            ENOUGH,
            False,
            id="separable",
        ),
    ],
)
def test_when_a_repair_is_offered(fitted: BinCounts, held_out: BinCounts, *, offered: bool) -> None:
    assert (best_repair(fitted, held_out) is not None) == offered


@given(
    st.integers(0, 10_000),
    st.floats(0.05, 5),
    st.floats(-4, 4),
    st.floats(0.2, 4),
    st.floats(-5, 5),
)
def test_a_rising_line_never_changes_the_ranking(
    seed: int, slope: float, intercept: float, sd: float, mean: float
) -> None:
    counts = BinCounts.from_rows(*drawn(200, seed, law=(mean, sd)))
    as_it_is = recalibrated(counts, 1.0, 0.0).auroc
    moved = recalibrated(counts, slope, intercept).auroc
    assert moved == pytest.approx(as_it_is, abs=2e-3, nan_ok=True)
