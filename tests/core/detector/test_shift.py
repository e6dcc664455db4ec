from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.placed import Placed
from monitor.core.detector.sequential import Detector
from monitor.core.detector.shift import (
    Shift,
    Split,
    baseline_error,
    cause_of,
    direction_of,
    measure_shift,
    shifts_of,
    split_cause,
    splits_of,
)
from monitor.core.measures.logistic import sigmoid
from monitor.core.measures.metrics import metrics
from monitor.core.verdicts import Cause, Direction
from tests.core.streams import counts, honest

if TYPE_CHECKING:
    from tests.core.streams import Truth


def week(rng: np.random.Generator, truth: Truth, n: int, centre: float = 0.0) -> list[BinCounts]:
    return [counts(rng, n // 7, truth, centre=centre) for _ in range(7)]


def true_size(truth: Truth) -> float:
    z = np.random.default_rng(0).normal(0, 1.8, 400_000)
    return float(np.abs(sigmoid(truth(z)) - sigmoid(z)).mean())


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param(honest, id="no change"),
        pytest.param(lambda z: z + 0.3, id="level + .3"),
        pytest.param(lambda z: z / 1.5, id="temperature 1.5"),
        pytest.param(lambda z: z - 1.0 * ((z > 1) & (z < 2)), id="one place - 1"),
    ],
)
@pytest.mark.parametrize("n", [280, 1400, 5600])
def test_shift_is_near_the_truth_and_its_interval_holds_it(truth: Truth, n: int) -> None:
    rng = np.random.default_rng(n)
    held, sizes = 0, []
    for _ in range(3):
        baseline = Detector.from_baseline([counts(rng, 250) for _ in range(20)])
        for _ in range(10):
            shift = measure_shift(baseline, week(rng, truth, n))
            assert shift is not None
            assert shift.low <= shift.size <= shift.high
            held += shift.low <= true_size(truth) <= shift.high
            sizes.append(shift.size)

    assert held >= 27  # of 30, for 95 % intervals; their ends are deliberately wide
    assert np.mean(sizes) == pytest.approx(true_size(truth), abs=0.03)


def test_shift_keeps_the_sign_of_the_gap() -> None:
    rng = np.random.default_rng(1)
    baseline = Detector.from_baseline([counts(rng, 250) for _ in range(20)])

    up = measure_shift(baseline, week(rng, lambda z: z + 0.5, 2100))
    down = measure_shift(baseline, week(rng, lambda z: z - 0.5, 2100))

    assert up is not None
    assert up.gap > 0.05
    assert down is not None
    assert down.gap < -0.05


def test_shift_from_a_bad_but_constant_map_is_small() -> None:
    rng = np.random.default_rng(2)
    bad = [counts(rng, 250, lambda z: 0.4 * z - 1) for _ in range(27)]
    baseline = Detector.from_baseline(bad[:20])

    shift = measure_shift(baseline, bad[20:])

    assert shift is not None
    assert shift.size < 0.04
    assert metrics(bad[20]).ece_15 > 0.1


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(BinCounts.from_rows(np.array([0.7]), np.array([True])), id="one label"),
        pytest.param(BinCounts.from_rows(np.ones(90), np.zeros(90, dtype=bool)), id="all wrong"),
        pytest.param(BinCounts.from_rows(np.full(90, 0.4), np.arange(90) < 36), id="one score"),
    ],
)
def test_shift_of_degenerate_windows_is_a_number(window: BinCounts) -> None:
    rng = np.random.default_rng(3)
    baseline = Detector.from_baseline([counts(rng, 250) for _ in range(4)])

    shift = measure_shift(baseline, [window])

    assert shift is not None
    assert 0 <= shift.low <= shift.size <= shift.high <= 1


def test_without_labels_there_is_no_shift_and_no_split() -> None:
    baseline = Detector.from_baseline([])

    assert measure_shift(baseline, [BinCounts.empty()]) is None
    assert baseline_error(baseline, [BinCounts.empty()]) is None
    assert split_cause(baseline, 0.1, [BinCounts.empty()]) is None
    assert split_cause(baseline, None, [BinCounts.empty()]) is None


def sure_above_even(z: np.ndarray) -> np.ndarray:
    """Honest below a score of one half, far too sure above it."""
    return np.where(z > 0, 0.4 * z, z)


def true_ece(truth: Truth, centre: float) -> float:
    z = np.random.default_rng(0).normal(centre, 1.8, 400_000)
    return float(np.abs(sigmoid(truth(z)) - sigmoid(z)).mean())


@pytest.mark.parametrize(
    ("truth", "centre", "cause"),
    [
        pytest.param(sure_above_even, -1.5, None, id="nothing changes"),
        pytest.param(lambda z: 0.4 * z, -1.5, Cause.MAP, id="the map changes"),
        pytest.param(honest, -1.5, Cause.MAP, id="the map is mended"),
        pytest.param(sure_above_even, 1.0, Cause.MIX, id="traffic moves along the map"),
    ],
)
def test_map_and_mix_are_told_apart(truth: Truth, centre: float, cause: Cause | None) -> None:
    rng = np.random.default_rng(4)
    before = [counts(rng, 500, sure_above_even, centre=-1.5) for _ in range(40)]
    after = [counts(rng, 500, truth, centre=centre) for _ in range(14)]
    baseline = Detector.from_baseline(before)
    mix_part = true_ece(sure_above_even, centre) - true_ece(sure_above_even, -1.5)
    map_part = true_ece(truth, centre) - true_ece(sure_above_even, centre)

    split, shift = (
        split_cause(baseline, baseline_error(baseline, before), after),
        measure_shift(baseline, after),
    )

    assert split is not None
    assert shift is not None
    assert split.map_part == pytest.approx(map_part, abs=0.02)
    assert split.mix_part == pytest.approx(mix_part, abs=0.02)
    assert cause_of(shift, split, 0.02) is cause
    whole = sum(after[1:], after[0]), sum(before[1:], before[0])
    change = metrics(whole[0]).ece_15 - metrics(whole[1]).ece_15
    assert split.map_part + split.mix_part == pytest.approx(change, abs=0.02)


@pytest.mark.parametrize(
    ("size", "map_part", "mix_part", "cause"),
    [
        (0.01, 0.01, -0.01, None),
        (0.01, 0.00, 0.06, Cause.MIX),
        (0.08, 0.06, 0.06, Cause.MAP),
        (0.10, 0.00, 0.00, Cause.MAP),  # from too high to too low: the ECE is the same
        (0.03, -0.02, -0.12, Cause.MIX),
    ],
)
def test_the_larger_part_is_the_cause(
    size: float, map_part: float, mix_part: float, cause: Cause | None
) -> None:
    assert cause_of(Shift(size, 0, 1, 0), Split(map_part, mix_part), 0.02) is cause


@pytest.mark.parametrize(
    ("ece", "low", "high", "gap", "slope", "direction"),
    [
        (0.10, 0.08, 0.12, 0.09, 1.0, Direction.OVERCONFIDENT),
        (0.10, 0.08, 0.12, -0.09, 1.0, Direction.UNDERCONFIDENT),
        (0.10, 0.08, 0.12, 0.01, 0.6, Direction.OVERCONFIDENT),
        (0.10, 0.08, 0.12, -0.01, 0.6, Direction.OVERCONFIDENT),
        (0.10, 0.08, 0.12, 0.01, 1.6, Direction.UNDERCONFIDENT),
        (0.10, 0.08, 0.12, -0.01, float("nan"), Direction.UNDERCONFIDENT),
        (0.02, 0.00, 0.03, 0.02, 1.0, Direction.IMPROVED),
        (0.05, 0.00, 0.12, 0.05, 1.0, Direction.OVERCONFIDENT),
    ],
)
def test_direction(  # noqa: PLR0913, PLR0917  # one row of the table
    ece: float, low: float, high: float, gap: float, slope: float, direction: Direction
) -> None:
    some = metrics(counts(np.random.default_rng(5), 500))
    before = replace(some, ece_debiased=0.06, ece_debiased_low=0.05, ece_debiased_high=0.07)
    now = replace(
        some,
        ece_debiased=ece,
        ece_debiased_low=low,
        ece_debiased_high=high,
        gap=gap,
        slope=slope,
    )

    assert direction_of(before, now) is direction


def windows_of_every_kind() -> list[tuple[Detector, list[BinCounts], Arrival]]:
    """Windows on maps with many knots and with none, under every kind of arrival."""
    rng = np.random.default_rng(6)
    curved = Detector.from_baseline([counts(rng, 200) for _ in range(5)])
    tied = Detector.from_baseline([BinCounts.from_rows(np.full(200, 0.4), np.arange(200) < 90)])
    ends = BinCounts.from_rows(rng.choice([0.0, 0.3, 1.0], 90), np.arange(90) < 40)
    one = BinCounts.from_rows(np.array([0.7]), np.array([True]))
    nothing = BinCounts.empty()
    cohorts = [
        [counts(rng, 150, labelled=0.9) for _ in range(7)],
        [nothing, counts(rng, 45), nothing],
        [ends, counts(rng, 60)],
        [one],
        [nothing],
        [],
    ]
    arrivals = [COMPLETE, Arrival(0.9, 0.6, se=0.02), Arrival(0.7, unlabelled_negative=True)]
    return [(d, c, a) for d in (curved, tied) for c in cohorts for a in arrivals]


KINDS = windows_of_every_kind()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=12))
def test_what_is_placed_beside_a_window_changes_no_bit_of_it(chosen: list[int]) -> None:
    asked = [KINDS[k] for k in chosen]
    placed = Placed.of([(baseline, cohorts) for baseline, cohorts, _ in asked])
    arrivals = [arrival for *_, arrival in asked]
    before = [None if k % 5 == 0 else 0.01 * k for k in chosen]
    assert shifts_of(placed, arrivals) == [measure_shift(*each) for each in asked]
    assert splits_of(placed, before, arrivals) == [
        split_cause(baseline, error, cohorts, arrival)
        for (baseline, cohorts, arrival), error in zip(asked, before, strict=True)
    ]
