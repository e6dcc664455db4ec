from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.detector.band import STANDARD_ERRORS, TOLERANCE, Band, log_ratios
from monitor.core.detector.calibration_map import Cells, features
from monitor.core.detector.sequential import Detector
from monitor.core.judging.folding import begin, step
from monitor.core.measures.logistic import sigmoid
from monitor.core.policies import DetectorName, Policy
from tests.core.streams import counts, days, honest, lifted

if TYPE_CHECKING:
    from tests.core.streams import Truth

A = 1e6


def resting(seed: int = 0, cohorts: int = 20) -> Detector:
    rng = np.random.default_rng(seed)
    return Detector.from_baseline([counts(rng, 250) for _ in range(cohorts)])


@pytest.mark.parametrize("edge", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_no_map_within_the_band_makes_any_bet_win(edge: float) -> None:
    """Exact: for one label at each score the mean ratio is at most 1, at the edges and inside."""
    detector = resting()
    score = np.array([0.02, 0.2, 0.45, 0.7, 0.95])
    for s in score:
        mean = np.zeros(len(detector.means))
        cells = Cells.of([BinCounts.from_rows(np.array([s]), np.array([True]))])
        x = features(cells.logit, detector.knots)
        covariance = np.linalg.inv(detector.posterior.precision)
        error = float(np.sqrt(np.einsum("ij,jk,ik->i", x, covariance, x))[0])
        z = float((x @ detector.posterior.mean)[0])
        p = float(sigmoid(np.array(z + edge * (STANDARD_ERRORS * error + TOLERANCE))))
        for outcome, chance in ((True, p), (False, 1 - p)):
            one = Cells.of([BinCounts.from_rows(np.array([s]), np.array([outcome]))])
            mean += chance * np.exp(log_ratios(detector, one))
        assert (mean <= 1 + 1e-12).all()
        assert edge not in {-1.0, 1.0} or mean.max() == pytest.approx(1.0)


@pytest.mark.parametrize("truth", [honest, lifted(0.15), lifted(-0.15)])
def test_moves_within_the_band_are_no_finding(truth: Truth) -> None:
    band = Band.begin(resting(), A)
    rng = np.random.default_rng(1)
    for day in range(200):
        band = band.fed(counts(rng, 250, truth), day)

    assert band.findings == 0
    assert band.labels_fed == 50_000


@pytest.mark.parametrize("truth", [lambda z: z / 2, lifted(1.0), lifted(-1.0)])
def test_moves_beyond_it_are_found_and_found_again(truth: Truth) -> None:
    band = Band.begin(resting(), A)
    rng = np.random.default_rng(2)
    for day in range(60):
        band = band.fed(counts(rng, 250, honest if day < 20 else truth), day)

    assert band.findings >= 2
    assert band.drifted_s is not None
    assert band.drifted_s >= 20


def test_feeding_leaves_the_band_as_it_was() -> None:
    band = Band.begin(resting(), A)
    rng = np.random.default_rng(3)
    cohort = counts(rng, 250)

    one, other = band.fed(cohort, 1), band.fed(cohort, 1)

    assert np.array_equal(one.log_r, other.log_r)
    assert band.log_m == -np.inf
    assert band.fed(BinCounts.empty(), 2) is band


def test_a_policy_may_go_by_the_band_alone() -> None:
    rng = np.random.default_rng(4)
    state = begin(Series("credit", "3"), Policy(detectors=(DetectorName.BAND,)))
    calm = [counts(rng, 250) for _ in range(20)]
    cohorts = [*calm, *(counts(rng, 250, lifted(1)) for _ in range(20))]
    for cohort in days(cohorts):
        state = step(state, cohort)

    assert state.alarm is not None
    assert state.alarm.raised_by is DetectorName.BAND
