from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.integrate import quad

from monitor.core.bins import BinCounts
from monitor.core.detector.calibration_map import Cells, hat_knots, prior
from monitor.core.detector.shock import PRIOR, SIGMAS, LevelLikelihood, sigma_chances
from monitor.core.measures.logistic import logit
from tests.core.streams import counts


def cells_of(scores: list[float], n: list[int], positive: list[int]) -> Cells:
    held = [
        BinCounts.from_rows(np.full(k, s), np.arange(k) < p)
        for s, k, p in zip(scores, n, positive, strict=True)
    ]
    return Cells.of([sum(held[1:], held[0])])


def log_marginal(logits: np.ndarray, cells: Cells, variance: float) -> np.ndarray:
    return LevelLikelihood.of(logits, cells, variance).log_marginal(np.array([variance]))[:, 0]


def sigma_mean(chances: np.ndarray) -> float:
    return float(chances @ SIGMAS)


@pytest.mark.parametrize("sigma", [0.02, 0.2, 1.0])
@pytest.mark.parametrize(
    ("n", "positive"),
    [
        pytest.param([3, 2], [1, 2], id="five labels"),
        pytest.param([200, 300], [90, 220], id="a day"),
        pytest.param([200, 300], [20, 60], id="a day far from what was expected"),
        pytest.param([40_000, 60_000], [18_000, 44_000], id="peak narrower than fixed nodes"),
    ],
)
def test_marginal_is_the_integral_over_the_shock(
    n: list[int], positive: list[int], sigma: float
) -> None:
    cells = cells_of([0.4, 0.7], n, positive)
    z = np.array([-0.4, 0.9])

    def log_joint(u: float) -> float:
        fitted = cells.positive @ (z + u) - cells.n @ np.logaddexp(0, z + u)
        return float(fitted - 0.5 * (u / sigma) ** 2 - np.log(sigma * np.sqrt(2 * np.pi)))

    grid = np.linspace(-3, 3, 60_001)
    mode = float(grid[np.argmax([log_joint(u) for u in grid])])
    top = log_joint(mode)
    width = min(sigma, 1 / np.sqrt(cells.n.sum() * 0.2)) * 12
    integral, _ = quad(lambda u: np.exp(log_joint(u) - top), mode - width, mode + width, limit=200)

    found = log_marginal(z[None, :], cells, sigma**2)

    assert found[0] == pytest.approx(top + np.log(integral), abs=0.02)


@pytest.mark.parametrize("variance", [0.0, 0.04, 0.8])
@pytest.mark.parametrize("z", [[0.0, 0.0], [-1.5, 2.0], [4.0, 7.0]])
def test_marginal_is_a_distribution_over_all_outcomes(z: list[float], variance: float) -> None:
    n = (3, 4)
    total = 0.0
    for positive in product(range(n[0] + 1), range(n[1] + 1)):
        cells = cells_of([0.3, 0.6], list(n), list(positive))
        ways = comb(n[0], positive[0]) * comb(n[1], positive[1])
        found = log_marginal(np.array([z]), cells, variance)
        total += ways * float(np.exp(found[0]))

    assert total == pytest.approx(1.0, abs=2e-3)


def test_marginal_is_finite_for_impossible_outcomes() -> None:
    cells = cells_of([0.0, 1.0], [100_000, 100_000], [100_000, 0])

    found = log_marginal(np.array([[-700.0, 700.0], [13.8, -13.8]]), cells, 1.0)

    assert np.isfinite(found).all()
    assert found[1] > found[0]


@pytest.mark.parametrize(
    ("wobble", "low", "high"), [(0.0, 0, 0.1), (0.2, 0.1, 0.3), (0.6, 0.4, 0.8)]
)
def test_sigma_is_found_from_forty_cohorts(wobble: float, low: float, high: float) -> None:
    rng = np.random.default_rng(11)
    cells = Cells.of([counts(rng, 250, wobble=wobble) for _ in range(40)])
    knots = hat_knots(cells)

    sigma = sigma_mean(sigma_chances(cells, knots, prior(len(knots))))

    assert low <= sigma <= high


def test_sigma_of_one_cohort_is_what_was_known_before() -> None:
    cells = Cells.of([counts(np.random.default_rng(12), 1000)])
    knots = hat_knots(cells)

    sigma = sigma_mean(sigma_chances(cells, knots, prior(len(knots))))

    assert sigma == pytest.approx(float(PRIOR @ SIGMAS), abs=0.03)


def test_sigma_goes_on_being_learned() -> None:
    rng = np.random.default_rng(13)
    chances = PRIOR
    for _ in range(40):
        cells = Cells.of([counts(rng, 250, wobble=0.2)])
        level = LevelLikelihood.of(cells.logit[None, :], cells, 0.04)
        likelihood = level.log_marginal(SIGMAS**2)[0]
        chances = chances * np.exp(likelihood - likelihood.max())
        chances = chances / chances.sum()

    assert 0.1 <= sigma_mean(chances) <= 0.3


def test_sigma_on_scores_next_to_one_does_not_blow_up() -> None:
    rng = np.random.default_rng(14)
    score = 1 - 10.0 ** -rng.uniform(3, 9, 4000)
    right = rng.random(4000) < 0.85
    cells = Cells.of([BinCounts.from_rows(score[i::8], right[i::8]) for i in range(8)])
    knots = hat_knots(cells)

    sigma = sigma_mean(sigma_chances(cells, knots, prior(len(knots))))

    assert logit(score).max() > 13
    assert sigma < 0.25
