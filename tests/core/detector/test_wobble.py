from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.detector.calibration_map import Cells
from monitor.core.detector.sequential import Detector
from monitor.core.detector.shock import SIGMAS, LevelLikelihood
from monitor.core.detector.wobble import LEVELS, HiddenLevel, IidShock, expected_sd
from tests.core.streams import counts, lifted

if TYPE_CHECKING:
    from tests.core.streams import Truth

HIDDEN = HiddenLevel.made()
LOG_A = float(np.log(4e6))


def level(rng: np.random.Generator, shift: float, n: int = 400) -> LevelLikelihood:
    """Likelihood of a cohort of calibrated scores whose outcomes are shifted in logits."""
    cells = Cells.of([counts(rng, n, lambda z: z + shift)])
    return LevelLikelihood.of(cells.logit[None, :], cells, 1.0)


def walk(rng: np.random.Generator, days: int, phi: float, sd: float) -> list[float]:
    at, path = rng.normal(0, sd), []
    for _ in range(days):
        at = phi * at + rng.normal(0, sd * np.sqrt(1 - phi**2))
        path.append(at)
    return path


def test_moves_are_chances_and_keep_mean_and_spread_of_the_level() -> None:
    assert HIDDEN.steps.min() >= 0
    assert HIDDEN.steps.sum(axis=2) == pytest.approx(1.0)
    inner = np.abs(LEVELS) < 0.5
    mean = HIDDEN.steps @ LEVELS
    phis = np.repeat([0.0, 0.5, 0.8, 0.95, 0.99], 5)
    small = HIDDEN.sds[:, 0] < 0.2
    for model in np.flatnonzero(small):
        assert mean[model][inner] == pytest.approx(phis[model] * LEVELS[inner], abs=0.004)


def test_a_model_at_rest_stays_at_its_long_run_spread() -> None:
    at = HIDDEN.resting
    for _ in range(200):
        at = HIDDEN.moved(at)
    weight = at / at.sum(axis=1, keepdims=True)
    sd = np.sqrt(weight @ LEVELS**2)
    # Wide moves of the tail make it a little wider, and the grid's ends cut the widest.
    assert (sd[HIDDEN.sds[:, 0] == 0.16] > 0.15).all()
    assert (sd[HIDDEN.sds[:, 0] == 0.16] < 0.24).all()


def test_moving_many_bets_at_once_is_moving_each() -> None:
    rng = np.random.default_rng(1)
    many = rng.random((3, *HIDDEN.resting.shape))

    together = HIDDEN.moved(many)

    for one, each in zip(many, together, strict=True):
        assert HIDDEN.moved(one) == pytest.approx(each)


def test_the_quartic_is_the_likelihood_near_its_mode() -> None:
    rng = np.random.default_rng(2)
    cells = Cells.of([counts(rng, 500, lambda z: z + 0.3)])
    found = LevelLikelihood.of(cells.logit[None, :], cells, 1.0).at_levels(LEVELS)[0]

    exact = [
        float(cells.positive @ (cells.logit + u) - cells.n @ np.logaddexp(0, cells.logit + u))
        for u in LEVELS
    ]

    near = np.abs(LEVELS - 0.3) < 0.5
    assert found[near] == pytest.approx(np.array(exact)[near], abs=0.05)
    assert int(np.argmax(found)) == int(np.argmax(exact))


def test_a_baseline_tells_wobble_from_none() -> None:
    rng = np.random.default_rng(3)
    calm = HIDDEN.known([level(rng, 0.0) for _ in range(60)])
    wild = HIDDEN.known([level(rng, u) for u in walk(rng, 60, 0.8, 0.3)])

    assert calm.sum() == pytest.approx(1)
    assert expected_sd(HIDDEN, calm) < 0.1
    assert 0.15 < expected_sd(HIDDEN, wild) < 0.5


def test_iid_shocks_are_the_integral_at_each_size() -> None:
    rng = np.random.default_rng(4)
    one = level(rng, 0.1)

    found = IidShock().log_likelihood(one, 0.01)

    assert found == pytest.approx(one.log_marginal(SIGMAS**2 + 0.01))
    assert IidShock().moved(found) is found


def sharper(level: float) -> Truth:
    return lambda z: z / 2 + level


def drifting_days(rng: np.random.Generator, path: list[float]) -> list[BinCounts]:
    return [counts(rng, 500, lifted(u)) for u in path]


@pytest.mark.parametrize("seed", range(2))
def test_days_with_a_memory_are_no_alarm_where_the_level_is_hidden(seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = [0.25 * float(np.sin(2 * np.pi * i / 90)) for i in range(270)]
    days = drifting_days(rng, path)
    highest = {}
    for hidden_level in (False, True):
        detector = Detector.from_baseline(days[:90], hidden_level=hidden_level)
        highest[hidden_level] = -np.inf
        for i, day in enumerate(days[90:]):
            detector = detector.observe(day, i, learn_below=LOG_A)
            highest[hidden_level] = max(highest[hidden_level], detector.log_m)

    assert highest[True] < LOG_A
    assert highest[False] >= LOG_A


def test_a_slope_is_found_as_soon_although_the_level_is_hidden() -> None:
    rng = np.random.default_rng(6)
    detector = Detector.from_baseline(
        drifting_days(rng, walk(rng, 60, 0.7, 0.2)), hidden_level=True
    )
    assert detector.has_hidden_level
    for i, u in enumerate(walk(rng, 8, 0.7, 0.2)):
        detector = detector.observe(counts(rng, 500, sharper(u)), i)

    assert detector.log_m >= LOG_A
    assert detector.changed_since_s <= 1


def test_any_counts_leave_numbers() -> None:
    tied = BinCounts.from_rows(np.full(900, 1.0), np.arange(900) < 450)
    detector = Detector.from_baseline([tied], hidden_level=True)
    for i in range(4):
        zero = BinCounts.from_rows(np.full(5000, 1.0), np.zeros(5000, dtype=bool))
        detector = detector.observe(zero, i)

    assert np.isfinite(detector.log_m)
    assert np.isfinite(detector.known).all()
    assert detector.known.sum() == pytest.approx(1)
