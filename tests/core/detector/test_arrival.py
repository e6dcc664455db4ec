"""A map of complete labels against labels that a horizon has sorted out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.delays import DAY_S, null_offset
from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.sequential import Detector
from monitor.core.detector.shift import measure_shift
from monitor.core.measures.logistic import sigmoid
from tests.core.delayed import Rows, rows
from tests.core.streams import counts

if TYPE_CHECKING:
    from collections.abc import Callable

HORIZON_S = 7 * DAY_S
LOG_A = float(np.log(1e6))

shares = st.floats(0.05, 1.0)
logits = st.floats(-12, 12)


@given(f1=shares, f0=shares, z=logits)
def test_left_out_rows_move_every_logit_alike(f1: float, f0: float, z: float) -> None:
    q = sigmoid(np.array([z]))

    moved = sigmoid(Arrival(f1, f0).observed(np.array([z])))

    assert moved == pytest.approx(q * f1 / (q * f1 + (1 - q) * f0), rel=1e-6)


@given(f1=shares, z=logits)
def test_implicit_negatives_scale_the_chance(f1: float, z: float) -> None:
    moved = sigmoid(Arrival(f1, unlabelled_negative=True).observed(np.array([z])))

    assert moved == pytest.approx(sigmoid(np.array([z])) * f1, rel=1e-6)


def test_complete_labels_move_nothing_to_the_bit() -> None:
    rng = np.random.default_rng(1)
    detector = Detector.from_baseline([counts(rng, 250) for _ in range(8)])
    cohort = counts(rng, 300)

    one, other = detector.observe(cohort, 1), detector.observe(cohort, 1, arrival=COMPLETE)
    all_in_time = detector.observe(cohort, 1, arrival=Arrival(unlabelled_negative=True))

    for found in (other, all_in_time):
        assert np.array_equal(one.log_r, found.log_r)
        assert np.array_equal(one.posterior.mean, found.posterior.mean)
    assert measure_shift(detector, [cohort]) == measure_shift(detector, [cohort], COMPLETE)


def by_horizon(found: Rows) -> BinCounts:
    return found.by(HORIZON_S)


def implicit(found: Rows) -> BinCounts:
    return BinCounts.from_rows(found.score, found.outcome & (found.delay_s <= HORIZON_S))


@pytest.mark.parametrize(
    ("counted", "unlabelled_negative"), [(by_horizon, False), (implicit, True)]
)
def test_a_baseline_of_complete_labels_is_quiet_with_the_arrival_and_loud_without(
    counted: Callable[[Rows], BinCounts], unlabelled_negative: bool
) -> None:
    rng = np.random.default_rng(7)
    resting = Detector.from_baseline([rows(rng, 500).by(np.inf) for _ in range(20)])
    offset = null_offset(rows(rng, 20_000).delays(), HORIZON_S)
    assert offset.on_time_negative == pytest.approx(0.63, abs=0.01)
    arrival = Arrival(
        offset.on_time_positive, offset.on_time_negative, unlabelled_negative, offset.se
    )
    stream = [counted(rows(rng, 800)) for _ in range(40)]

    with_it = without = resting
    highest = -np.inf
    for day, cohort in enumerate(stream):
        with_it = with_it.observe(cohort, day, arrival=arrival)
        without = without.observe(cohort, day, learn_below=-np.inf)
        highest = max(highest, with_it.log_m)

    assert highest < LOG_A
    shift = measure_shift(resting, stream, arrival)
    assert shift is not None
    assert shift.size < 0.01
    assert abs(shift.gap) < 0.01
    if not unlabelled_negative:  # F1(H) = .97 alone is a small move
        assert without.log_m > LOG_A
        wrong = measure_shift(resting, stream)
        assert wrong is not None
        assert wrong.gap > 0.05


def test_a_taught_cohort_keeps_the_map_of_complete_labels() -> None:
    rng = np.random.default_rng(3)
    detector = Detector.from_baseline([rows(rng, 500).by(np.inf) for _ in range(20)])
    offset = null_offset(rows(rng, 20_000).delays(), HORIZON_S)
    arrival = Arrival(offset.on_time_positive, offset.on_time_negative, se=offset.se)
    z = np.linspace(-3, 2, 7)
    before = detector.expected(z)
    for _ in range(40):
        detector = detector.taught(rows(rng, 800).by(HORIZON_S), arrival=arrival)

    assert detector.expected(z) == pytest.approx(before, abs=0.03)
