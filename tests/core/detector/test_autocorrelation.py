from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.detector.autocorrelation import (
    Autocorrelation,
    Memory,
    find_memory,
    residual_levels,
)
from monitor.core.detector.sequential import Detector
from tests.core.streams import DAY_S, counts

if TYPE_CHECKING:
    from tests.core.streams import Truth


def stream(
    rng: np.random.Generator, levels: np.ndarray, n: int = 250, apart_s: int = DAY_S
) -> list[tuple[int, BinCounts]]:
    """Cohorts of a calibrated model, each with its own level."""

    def moved(u: float) -> Truth:
        return lambda z: z + u

    return [(day * apart_s, counts(rng, n, moved(u))) for day, u in enumerate(levels.tolist())]


def memory_of(cohorts: list[tuple[int, BinCounts]]) -> Autocorrelation:
    return find_memory(Detector.from_baseline([c for _, c in cohorts]), cohorts)


def ar(rng: np.random.Generator, days: int, sd: float, phi: float) -> np.ndarray:
    level = np.zeros(days)
    for day in range(1, days):
        level[day] = phi * level[day - 1] + sd * np.sqrt(1 - phi**2) * rng.normal()
    return level


def test_days_that_follow_one_another_alike_are_found() -> None:
    rng = np.random.default_rng(1)

    found = memory_of(stream(rng, ar(rng, 60, 0.5, 0.7)))

    assert found.has_memory
    assert found.memory in {Memory.ADJACENT, Memory.SLOW}
    assert found.p_value <= 0.01
    assert 0.3 < found.lag_1 <= 1


def test_a_season_in_the_baseline_is_found() -> None:
    rng = np.random.default_rng(2)

    found = memory_of(stream(rng, 0.4 * np.sin(2 * np.pi * np.arange(60) / 60)))

    assert found.memory in {Memory.SLOW, Memory.ADJACENT}
    assert found.p_value <= 0.01


def test_a_weekly_rhythm_is_found_and_named() -> None:
    rng = np.random.default_rng(3)

    found = memory_of(stream(rng, 0.8 * np.array([-1, 1, -1, 1, -1, 1, 0.0])[np.arange(42) % 7]))

    assert found.memory is Memory.WEEKLY
    assert found.weekly > 0.5
    assert "week to week" in found.reason


@pytest.mark.parametrize(("sd", "tails"), [(0.0, False), (0.3, False), (0.3, True)])
def test_independent_days_have_no_memory_as_often_as_it_says(sd: float, tails: bool) -> None:
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(40):
        shocks = sd * (rng.standard_t(3, 24) if tails else rng.normal(size=24))
        wrong += memory_of(stream(rng, shocks, 100)).has_memory

    assert wrong <= 6


def test_levels_are_those_of_the_cohorts() -> None:
    rng = np.random.default_rng(5)
    true = rng.normal(0, 0.5, 30)
    cohorts = stream(rng, true, 2000)
    known = residual_levels(Detector.from_baseline([c for _, c in cohorts]), cohorts)

    assert np.abs((known.level - known.level.mean()) - (true - true.mean())).max() < 0.3
    assert known.noise == pytest.approx(1 / (2000 * 0.14), rel=0.3)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_few_cohorts_are_insufficient(n: int) -> None:
    rng = np.random.default_rng(6)
    cohorts = [*stream(rng, np.zeros(n)), (99 * DAY_S, BinCounts.empty())]

    found = memory_of(cohorts)

    assert found.memory is Memory.INSUFFICIENT
    assert not found.has_memory
    assert f"{n} of the 10 cohorts" in found.reason


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("positive", [True, False])
def test_one_class_and_one_score_have_no_memory(score: float, positive: bool) -> None:
    one = BinCounts.from_rows(np.full(50, score), np.full(50, positive))

    found = memory_of([(day * DAY_S, one) for day in range(20)])

    assert found.memory is Memory.NONE
    assert found.p_value == 1
    assert np.isnan(found.lag_1)


@pytest.mark.parametrize("apart_s", [3600, 7 * DAY_S, 30 * DAY_S])
def test_cohorts_of_other_lengths_are_tested_for_what_they_can_show(apart_s: int) -> None:
    rng = np.random.default_rng(7)

    found = memory_of(stream(rng, ar(rng, 60, 0.5, 0.7), apart_s=apart_s))

    assert found.memory in {Memory.ADJACENT, Memory.SLOW}
    assert np.isnan(found.weekly)


def test_gaps_between_cohorts_are_not_pairs() -> None:
    rng = np.random.default_rng(8)
    cohorts = [each for each in stream(rng, ar(rng, 80, 0.5, 0.7)) if each[0] % (7 * DAY_S)]

    found = memory_of(cohorts)

    assert found.cohorts == len(cohorts)
    assert found.has_memory
