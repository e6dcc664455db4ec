from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from monitor.core.bins import BinCounts
from monitor.core.detector.calibration_map import (
    Cells,
    Problem,
    features,
    fit,
    fits_of,
    hat_knots,
    posterior_of,
    posteriors_of,
    prior,
)
from monitor.core.measures.logistic import logit, sigmoid
from tests.core.streams import counts

if TYPE_CHECKING:
    from collections.abc import Callable


def tied(n: int, positive: int, score: float) -> BinCounts:
    return BinCounts.from_rows(np.full(n, score), np.arange(n) < positive)


def test_fit_is_the_mode_that_a_general_optimiser_finds() -> None:
    rng = np.random.default_rng(1)
    cells = Cells.of([counts(rng, 120, wobble=0.5) for _ in range(4)])
    knots, sigma = hat_knots(cells), 0.3
    before = prior(len(knots))
    x = features(cells.logit, knots)
    d = len(before.mean)

    def loss(at: np.ndarray) -> float:
        z = x @ at[:d] + at[d:][cells.owner]
        off = at[:d] - before.mean
        fitted = cells.positive @ z - cells.n @ np.logaddexp(0, z)
        penalty = off @ before.precision @ off + at[d:] @ at[d:] / sigma**2
        return float(0.5 * penalty - fitted)

    found = minimize(loss, np.zeros(d + 4), method="BFGS", options={"gtol": 1e-6})

    posterior = fit(cells, knots, before, sigma).posterior
    assert posterior.mean == pytest.approx(found.x[:d], abs=1e-3)


def test_evidence_of_sigma_is_the_integral_over_map_and_shock() -> None:
    cohorts = [tied(80, 30, 0.5), tied(60, 40, 0.5), tied(90, 50, 0.5)]
    cells = Cells.of(cohorts)
    no_knots = hat_knots(cells)
    grid = np.linspace(-4, 4, 801)

    def brute(sigma: float) -> float:
        """Log integral over level and shocks; all logits are 0, so the slope does not matter."""
        u = np.linspace(-6, 6, 601) * sigma
        density = np.exp(-0.5 * (u / sigma) ** 2)
        total = np.exp(-0.5 * grid**2)
        for cohort in cohorts:
            z = grid[:, None] + u
            likelihood = np.exp(cohort.n_positive * z - cohort.n_labelled * np.logaddexp(0, z) + 50)
            total = total * (likelihood @ density / density.sum())
        return float(np.log(total.sum()))

    log_evidence = {s: fit(cells, no_knots, prior(0), s).log_evidence for s in (0.1, 0.3, 0.6, 1.0)}

    for sigma in (0.3, 0.6, 1.0):
        assert log_evidence[sigma] - log_evidence[0.1] == pytest.approx(
            brute(sigma) - brute(0.1), abs=0.05
        )


def test_learning_cohort_by_cohort_comes_to_the_fit_of_all_at_once() -> None:
    rng = np.random.default_rng(2)
    cohorts = [counts(rng, 400) for _ in range(12)]
    cells = Cells.of(cohorts)
    knots = hat_knots(cells)
    at_once = fit(cells, knots, prior(len(knots)), 0.1).posterior

    learned = prior(len(knots))
    for cohort in cohorts:
        learned = fit(Cells.of([cohort]), knots, learned, 0.1).posterior

    x = features(np.linspace(-3, 3, 13), knots)
    assert x @ learned.mean == pytest.approx(x @ at_once.mean, abs=0.03)
    assert np.linalg.slogdet(learned.precision)[1] == pytest.approx(
        np.linalg.slogdet(at_once.precision)[1], abs=0.3
    )


def test_fit_recovers_a_bent_map() -> None:
    rng = np.random.default_rng(3)
    cells = Cells.of([counts(rng, 2000, lambda z: 0.4 + 0.6 * z) for _ in range(10)])
    knots = hat_knots(cells)

    posterior = fit(cells, knots, prior(len(knots)), 0.0).posterior

    z = np.linspace(-3, 3, 13)
    assert features(z, knots) @ posterior.mean == pytest.approx(0.4 + 0.6 * z, abs=0.2)


@pytest.mark.parametrize(
    ("cohorts", "knots"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([BinCounts.empty()], 0, id="an empty cohort"),
        pytest.param([tied(1, 1, 0.3)], 0, id="one label"),
        pytest.param([tied(500, 450, 0.9)], 0, id="constant scores"),
        pytest.param(
            [tied(300, 300, 1.0), tied(300, 0, 0.0)], 2, id="scores 0 and 1, always right"
        ),
        pytest.param(
            [tied(300, 0, 1.0) + tied(300, 300, 0.0)], 2, id="scores 0 and 1, always wrong"
        ),
        pytest.param(
            [tied(400, 400, s) for s in (0.8, 0.9, 0.95)], 3, id="one class, three scores"
        ),
    ],
)
def test_fit_is_finite_for_any_counts(cohorts: list[BinCounts], knots: int) -> None:
    cells = Cells.of(cohorts)
    found = hat_knots(cells)

    fitted = fit(cells, found, prior(len(found)), 0.2)

    assert len(found) == knots
    assert np.isfinite(fitted.posterior.mean).all()
    assert np.linalg.eigvalsh(fitted.posterior.precision).min() > 0
    assert np.isfinite(fitted.log_evidence)


def test_hats_sum_to_one_everywhere_and_the_outer_ones_are_flat() -> None:
    knots = np.array([-2.0, -0.5, 0.1, 3.0])

    hats = features(np.linspace(-20, 20, 4001), knots)[:, 2:]

    assert hats.sum(axis=1) == pytest.approx(1.0)
    assert hats[0] == pytest.approx([1, 0, 0, 0])
    assert hats[-1] == pytest.approx([0, 0, 0, 1])


def test_cells_keep_cohorts_apart_and_leave_empty_ones_out() -> None:
    two = tied(10, 4, 0.2) + tied(30, 20, 0.7)

    cells = Cells.of([two, BinCounts.empty(), tied(5, 5, 0.7)])

    assert cells.first.tolist() == [0, 2]
    assert cells.owner.tolist() == [0, 0, 1]
    assert cells.n.tolist() == [10, 30, 5]
    assert cells.positive.tolist() == [4, 20, 5]
    assert cells.logit == pytest.approx(logit(np.array([0.2, 0.7, 0.7])))
    assert sigmoid(cells.quantiles(np.array([0.1, 0.2, 0.5, 0.9]))) == pytest.approx([0.2, 0.7])


@pytest.mark.parametrize("n_knots", [0, 2, 3, 8])
def test_features_are_hats_as_np_interp_draws_them(n_knots: int) -> None:
    rng = np.random.default_rng(n_knots)
    knots = np.sort(rng.normal(0, 2, n_knots))
    z = np.concatenate([rng.normal(0, 3, 200), knots, [-14.0, 14.0]])
    hats = [np.interp(z, knots, hat) for hat in np.eye(n_knots)]
    assert np.array_equal(features(z, knots), np.column_stack([np.ones_like(z), z, *hats]))


def test_the_posterior_alone_is_that_of_the_fit() -> None:
    rng = np.random.default_rng(3)
    cells = Cells.of([counts(rng, 120, wobble=0.5) for _ in range(4)])
    knots = hat_knots(cells)
    before, x = prior(len(knots)), features(cells.logit, knots)
    for offset in (None, np.full(len(x), 0.3)):
        whole = fit(cells, knots, before, 0.2, offset).posterior
        alone = posterior_of(cells, x, before, 0.2, offset)
        assert np.array_equal(alone.mean, whole.mean)
        assert np.array_equal(alone.precision, whole.precision)


KINDS: dict[str, Callable[[np.random.Generator], BinCounts]] = {
    "ordinary": lambda rng: counts(rng, int(rng.integers(1, 300)), wobble=0.5),
    "narrow": lambda rng: counts(rng, 40, spread=0.05),
    "extreme": lambda rng: counts(rng, 200, spread=8.0),
    "nothing": lambda _: BinCounts.empty(),
    "one class": lambda _: tied(90, 90, 0.9) + tied(20, 20, 0.4),
    "certain and wrong": lambda _: tied(30, 0, 1.0) + tied(300, 300, 0.0),
    "one label": lambda _: tied(1, 0, 0.7),
}


def problem(kinds: list[str], seed: int, sigma: float) -> Problem:
    rng = np.random.default_rng(seed)
    cells = Cells.of([KINDS[kind](rng) for kind in kinds])
    knots = hat_knots(cells)
    offset = rng.normal(0, 1, len(cells.n)) if rng.random() < 0.5 else None
    return Problem(cells, features(cells.logit, knots), prior(len(knots)), sigma, offset)


# Drawn by name, and made in the test: the arrays would be a long story where it fails.
ASKED = st.tuples(
    st.lists(st.sampled_from(sorted(KINDS)), max_size=3),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.1, 1.0]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ASKED, max_size=6), st.integers(0, 2**32 - 1))
def test_a_fit_does_not_hang_on_what_is_fitted_beside_it(
    drawn: list[tuple[list[str], int, float]], seed: int
) -> None:
    asked = [problem(*each) for each in drawn]
    alone = [fits_of([each])[0] for each in asked]
    order = np.random.default_rng(seed).permutation(len(asked)).tolist()
    together = fits_of([asked[i] for i in order])
    posteriors = posteriors_of([asked[i] for i in order])
    for i, one, posterior in zip(order, together, posteriors, strict=True):
        assert one.log_evidence == alone[i].log_evidence
        for found in (one.posterior, posterior):
            assert np.array_equal(found.mean, alone[i].posterior.mean)
            assert np.array_equal(found.precision, alone[i].posterior.precision)
