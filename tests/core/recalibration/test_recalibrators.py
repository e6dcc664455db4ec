"""Maps fitted to counts against scikit-learn and betacal on the raw pairs, and their laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from betacal import BetaCalibration
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from monitor.core.bins import SCORE_MAX, SCORE_MIN, BinCounts
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.recalibration.recalibrator_fits import HALF_LABEL, fit_map
from monitor.core.recalibration.recalibrators import (
    Beta,
    CalibrationMap,
    Isotonic,
    LogitLine,
    Method,
)
from tests.core.test_oracles import DATA, MODELS, rows

Array = np.ndarray
Map = Callable[[Array], Array]

WORLDS = [
    pytest.param((0.0, 1.5), 1.0, 0.0, id="honest"),
    pytest.param((0.0, 1.5), 0.5, 0.0, id="too extreme"),
    pytest.param((0.0, 1.5), 1.6, -0.4, id="too timid and shifted"),
    pytest.param((-4.0, 1.0), 1.0, 0.7, id="rare event"),
    pytest.param((5.0, 3.0), 0.3, -0.4, id="next to 1"),
]
GRID = np.concatenate([[0.0, 1e-9, 1e-6], np.linspace(0.001, 0.999, 500), [1 - 1e-6, 1.0]])


def drawn(
    n: int, seed: int, law: tuple[float, float], slope: float, shift: float
) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    score = sigmoid(rng.normal(*law, n))
    return score, rng.random(n) < sigmoid(shift + slope * logit(score))


def clipped(score: Array) -> Array:
    return np.asarray(np.clip(score, SCORE_MIN, SCORE_MAX))


def regression(columns: Array, outcome: Array) -> tuple[Array, float]:
    """Maximum likelihood by scikit-learn: coefficients and intercept."""
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(columns, outcome)
    return np.asarray(fit.coef_[0]), float(fit.intercept_[0])


def raw_map(method: Method, score: Array, outcome: Array) -> Map:
    """The same family fitted to the raw pairs by others' code."""
    score = clipped(score)
    if method is Method.ISOTONIC:
        return raw_isotonic(score, outcome)
    if method is Method.BETA:
        return raw_beta(score, outcome)
    if method is Method.PLATT:
        slope, shift = regression(logit(score)[:, None], outcome)
        return lambda x: sigmoid(shift + slope[0] * logit(x))
    fit = LogisticRegression(C=np.inf, tol=1e-10, fit_intercept=False)
    slope = fit.fit(logit(score)[:, None], outcome).coef_[0]
    return lambda x: sigmoid(slope[0] * logit(x))


def raw_beta(score: Array, outcome: Array) -> Map:
    """Kull 2017, by scikit-learn to the end: betacal stops at its default tolerance."""
    sides = np.column_stack([np.log(score), -np.log1p(-score)])
    at, shift = regression(sides, outcome)
    for side in (0, 1):
        if at[side] < 0:
            one, shift = regression(sides[:, [1 - side]], outcome)
            at = np.insert(one, side, 0.0)
    a, b = at
    return lambda x: sigmoid(shift + a * np.log(clipped(x)) - b * np.log1p(-clipped(x)))


def raw_isotonic(score: Array, outcome: Array) -> Map:
    """scikit-learn's; ends that saw one class take half a label of the other, as ours do."""
    fit = IsotonicRegression(out_of_bounds="clip").fit(score, outcome)
    x, y = fit.X_thresholds_, fit.y_thresholds_.copy()
    lowest, highest = y == 0, y == 1
    if lowest.any():
        seen = (score <= x[lowest].max()).sum()
        y[lowest] = min(y[~lowest].min(), HALF_LABEL / (seen + 1))
    if highest.any():
        seen = (score >= x[highest].min()).sum()
        y[highest] = max(y[~highest].max(), 1 - HALF_LABEL / (seen + 1))
    return lambda score: np.interp(score, x, y)


def fitted(method: Method, score: Array, outcome: Array) -> CalibrationMap:
    found = fit_map(method, BinCounts.from_rows(score, outcome))
    assert found is not None
    return found


@pytest.mark.parametrize(("law", "slope", "shift"), WORLDS)
@pytest.mark.parametrize("method", [Method.TEMPERATURE, Method.PLATT, Method.BETA])
def test_fits_are_those_of_scikit_learn_and_betacal(
    method: Method, law: tuple[float, float], slope: float, shift: float
) -> None:
    score, outcome = drawn(5000, 1, law, slope, shift)
    ours, theirs = fitted(method, score, outcome), raw_map(method, score, outcome)
    seen = np.quantile(score, np.linspace(0, 1, 201))
    assert ours(seen) == pytest.approx(theirs(seen), abs=1e-3)
    if method is Method.BETA:
        beta = BetaCalibration("abm").fit(clipped(score)[:, None], outcome)
        assert ours(seen) == pytest.approx(beta.predict(clipped(seen)[:, None]), abs=3e-3)


def knots(score: Array, outcome: Array) -> Isotonic:
    found = fitted(Method.ISOTONIC, score, outcome)
    assert isinstance(found, Isotonic)
    return found


def test_isotonic_has_scikit_learns_rates_where_each_score_has_its_own_micro_bin() -> None:
    rng = np.random.default_rng(3)
    score = rng.integers(1, 60, 4000) / 60 - 0.005
    outcome = rng.random(4000) < score**2
    ours, theirs = knots(score, outcome), raw_isotonic(score, outcome)
    at = np.array(ours.score)
    assert ours.probability == pytest.approx(theirs(at), abs=1e-8)
    assert set(np.round(ours.probability, 8)) == set(np.round(theirs(score), 8))
    assert (np.diff(ours.probability) > 0).all()


@pytest.mark.parametrize(("law", "slope", "shift"), WORLDS)
def test_isotonic_is_near_scikit_learns_on_any_scores(
    law: tuple[float, float], slope: float, shift: float
) -> None:
    score, outcome = drawn(20_000, 2, law, slope, shift)
    ours, theirs = knots(score, outcome), raw_isotonic(score, outcome)
    # Where steps end differs by up to a micro-bin; within them, lines run about the same rates.
    assert np.abs(ours(score) - theirs(score)).mean() < 0.01


def excess(map_: Map, score: Array, truth: Array) -> float:
    """Mean log loss above that of the true probabilities (Kullback and Leibler), in nats."""
    p = np.clip(map_(score), 1e-12, 1 - 1e-12)
    return float((truth * np.log(truth / p) + (1 - truth) * np.log((1 - truth) / (1 - p))).mean())


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize(("law", "slope", "shift"), WORLDS)
def test_excess_log_loss_is_within_2_percent_of_the_raw_pairs_fit(
    method: Method, law: tuple[float, float], slope: float, shift: float
) -> None:
    unseen, _ = drawn(50_000, 99, law, slope, shift)
    truth = sigmoid(shift + slope * logit(unseen))
    total_ours, total_theirs = 0.0, 0.0
    for seed in (1, 2, 3):
        pairs = drawn(5000, seed, law, slope, shift)
        total_ours += excess(fitted(method, *pairs), unseen, truth)
        total_theirs += excess(raw_map(method, *pairs), unseen, truth)
    assert total_ours <= 1.02 * total_theirs


def log_loss(map_: Map, score: Array, outcome: Array) -> float:
    p = np.clip(map_(score), 1e-12, 1 - 1e-12)
    return float(-np.log(np.where(outcome, p, 1 - p)).mean())


Halves = tuple[tuple[Array, Array], tuple[Array, Array]]


def excesses(method: Method, halves: Halves) -> tuple[float, float]:
    """Of both fits to the first half, on the second, above the same family fitted to that."""
    first, second = halves
    least = log_loss(raw_map(method, *second), *second)
    ours, theirs = fitted(method, *first), raw_map(method, *first)
    return log_loss(ours, *second) - least, log_loss(theirs, *second) - least


@pytest.fixture(scope="module")
def real_halves() -> list[Halves]:
    if not DATA.is_dir():
        pytest.skip("the recorded streams do not lie beside this checkout")
    found = []
    for stream, models in MODELS.items():
        for model in models:
            score, outcome = rows(stream, model)
            half = len(score) // 2
            found.append(((score[:half], outcome[:half]), (score[half:], outcome[half:])))
    return found


@pytest.mark.parametrize("method", list(Method))
def test_excess_log_loss_on_real_streams_is_within_2_percent(
    method: Method, real_halves: list[Halves]
) -> None:
    found = np.array([excesses(method, halves) for halves in real_halves])
    within = found[:, 0] <= 1.02 * found[:, 1]
    # 44 % of qa-endpoint's second half have scores beyond any of its first, where an isotonic map
    # is flat at the rate of its last block: 22 of 24 labels for us, 24 of 26 for the rows.
    assert within.sum() >= len(within) - (method is Method.ISOTONIC)
    assert found[:, 0].sum() <= 1.02 * found[:, 1].sum()


def test_isotonic_is_within_2_percent_on_each_real_stream_where_it_has_seen_scores(
    real_halves: list[Halves],
) -> None:
    for (score, outcome), (later, came) in real_halves:
        seen = (clipped(later) >= clipped(score).min()) & (clipped(later) <= clipped(score).max())
        ours, theirs = excesses(Method.ISOTONIC, ((score, outcome), (later[seen], came[seen])))
        assert ours <= 1.02 * theirs


@pytest.mark.parametrize("method", list(Method))
@given(
    seed=st.integers(0, 10_000),
    slope=st.floats(0.1, 4),
    shift=st.floats(-2, 2),
    law=st.tuples(st.floats(-3, 3), st.floats(0.3, 3)),
)
@settings(max_examples=25, deadline=None)
def test_maps_never_fall_and_stay_within_0_and_1(
    method: Method, seed: int, slope: float, shift: float, law: tuple[float, float]
) -> None:
    found = fit_map(method, BinCounts.from_rows(*drawn(300, seed, law, slope, shift)))
    if found is None:
        return
    moved = found(GRID)
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert (np.diff(moved) >= 0).all()
    if method is not Method.ISOTONIC:
        # Strictly, where doubles can still tell.
        inner = GRID[(GRID >= SCORE_MIN) & (GRID <= SCORE_MAX)]
        can_tell = found(inner)[np.abs(logit(found(inner))) < 12]
        assert (np.diff(can_tell) > 0).all()


@pytest.mark.parametrize("method", [Method.TEMPERATURE, Method.PLATT, Method.BETA])
@given(seed=st.integers(0, 10_000), slope=st.floats(0.3, 3), shift=st.floats(-1, 1))
@settings(max_examples=25, deadline=None)
def test_complement_of_scores_and_labels_gives_the_complement(
    method: Method, seed: int, slope: float, shift: float
) -> None:
    score, outcome = drawn(400, seed, (0.3, 1.5), slope, shift)
    ours = fit_map(method, BinCounts.from_rows(score, outcome))
    other = fit_map(method, BinCounts.from_rows(1 - score, ~outcome))
    assert (ours is None) == (other is None)
    if ours is not None and other is not None:
        assert ours(score) == pytest.approx(1 - other(1 - score), abs=1e-6)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([0.2, 0.8, 0.9], [1, 1, 1], id="one class"),
        pytest.param([0.4] * 4, [0, 1, 1, 0], id="constant scores"),
        pytest.param([0.1, 0.2, 0.8, 0.9] * 9, [1, 1, 0, 0] * 9, id="upside down"),
    ],
)
def test_no_map_where_the_labels_decide_none(
    method: Method, score: list[float], outcome: list[int]
) -> None:
    counts = BinCounts.from_rows(np.array(score, dtype=float), np.array(outcome, dtype=bool))
    found = fit_map(method, counts)
    # One class or constant scores still decide a temperature: it is a line through a half.
    assert found is None or (method is Method.TEMPERATURE and len(set(score)) in {1, 3})


def test_separated_classes_have_no_finite_line_but_steps() -> None:
    counts = BinCounts.from_rows(np.linspace(0.01, 0.99, 50), np.arange(50) >= 25)
    assert [fit_map(method, counts) for method in list(Method)[:3]] == [None, None, None]
    steps = fit_map(Method.ISOTONIC, counts)
    assert isinstance(steps, Isotonic)
    assert (steps.probability[0], steps.probability[-1]) == pytest.approx((0.5 / 26, 25.5 / 26))


def test_a_beta_map_with_one_side_falling_leaves_it_out() -> None:
    # Rates that rise at low scores alone pull b below 0.
    rng = np.random.default_rng(1)
    score = rng.uniform(0.01, 0.99, 20_000)
    truth = np.interp(score, [0, 0.3, 1], [0.05, 0.6, 0.55])
    outcome = rng.random(20_000) < truth
    ours = fitted(Method.BETA, score, outcome)
    assert isinstance(ours, Beta)
    assert ours.b == 0
    assert ours(GRID) == pytest.approx(raw_map(Method.BETA, score, outcome)(GRID), abs=1e-3)


@pytest.mark.parametrize(
    "made",
    [
        lambda: LogitLine(Method.PLATT, 0.0, 0.1),
        lambda: LogitLine(Method.PLATT, -1.0, 0.1),
        lambda: LogitLine(Method.PLATT, math.nan, 0.1),
        lambda: LogitLine(Method.PLATT, 1.0, math.inf),
        lambda: LogitLine(Method.TEMPERATURE, 1.0, 0.5),
        lambda: Beta(0.0, 0.0, 1.0),
        lambda: Beta(-0.1, 2.0, 1.0),
        lambda: Beta(1.0, math.inf, 1.0),
        lambda: Isotonic((0.1,), (0.2,)),
        lambda: Isotonic((0.1, 0.1), (0.2, 0.3)),
        lambda: Isotonic((0.1, 0.2), (0.3, 0.2)),
        lambda: Isotonic((0.1, 0.2), (0.3, 1.2)),
        lambda: Isotonic((0.1, 0.2), (0.3, math.nan)),
        lambda: Isotonic((0.1, 0.2), (0.3, 0.4, 0.5)),
    ],
)
def test_a_map_that_would_fall_is_not_made(made: Callable[[], CalibrationMap]) -> None:
    with pytest.raises(ValueError, match=r"rise|above|within|pairs|intercept"):
        made()
