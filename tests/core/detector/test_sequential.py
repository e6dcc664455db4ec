from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.bets import Bets
from monitor.core.detector.calibration_map import Cells, features
from monitor.core.detector.sequential import Detector, Observation, observe_all
from monitor.core.measures.logistic import logit
from tests.core.streams import counts, honest

if TYPE_CHECKING:
    from tests.core.streams import Truth

LOG_A = float(np.log(1e6))


def resting(seed: int = 0, cohorts: int = 40, wobble: float = 0.0) -> Detector:
    rng = np.random.default_rng(seed)
    return Detector.from_baseline([counts(rng, 250, wobble=wobble) for _ in range(cohorts)])


@cache
def at_rest() -> Detector:
    return resting(cohorts=8)


def tied(n: int, positive: int, score: float) -> BinCounts:
    return BinCounts.from_rows(np.full(n, score), np.arange(n) < positive)


def test_statistic_is_the_sum_over_all_starts_and_since_is_its_largest_term() -> None:
    rng = np.random.default_rng(21)
    detector = resting(cohorts=8)
    log_lr, log_n, since = [], [], []
    for day, n in enumerate((40, 300, 120, 260, 7, 250)):
        before = detector
        detector = detector.observe(counts(rng, n, lambda z: z + 0.25), day)
        log_n.append(np.log(n))
        log_lr.append(detector.log_r - np.logaddexp(before.log_r, log_n[-1]))
        since.append(detector.since_s)

    terms = np.array([log_n[tau] + sum(log_lr[tau:]) for tau in range(len(log_n))])

    assert detector.log_r == pytest.approx(np.logaddexp.reduce(terms, axis=0))
    assert detector.log_best == pytest.approx(terms.max(axis=0))
    assert since[-1].tolist() == terms.argmax(axis=0).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_a_bet_that_gains_nothing_keeps_its_start(seed: int) -> None:
    """A cohort about one score says nothing of the hats elsewhere: a tie, but for rounding."""
    rng = np.random.default_rng(seed)
    first = at_rest().observe(counts(rng, 40, centre=1.0, spread=0.2), 0)
    second = first.observe(counts(rng, 40, centre=1.0, spread=0.2), 1)

    gained_nothing = np.abs(first.log_best - np.log(40)) < 1e-10
    assert gained_nothing.any()
    assert not second.since_s[gained_nothing].any()


def test_most_of_the_weight_is_for_changes_everywhere() -> None:
    weights = np.exp(Bets(8).log_weights)

    assert len(weights) == 18 + 32
    assert weights[:18].sum() == pytest.approx(0.85)
    assert weights[18:].sum() == pytest.approx(0.15)
    assert np.exp(Bets(0).log_weights).sum() == pytest.approx(1)


def test_every_bet_is_a_move_that_the_map_can_follow() -> None:
    rng = np.random.default_rng(22)
    cells = Cells.of([counts(rng, 2000)])
    detector = resting()
    x = features(cells.logit, detector.knots)
    theta = detector.posterior.mean + rng.normal(0, 0.3, len(detector.posterior.mean))
    bets = detector.bets

    moved = bets.moved(np.tile(x @ theta, (len(bets.log_weights), 1)), x)

    found, *_ = np.linalg.lstsq(x, moved.T, rcond=None)
    assert x @ found == pytest.approx(moved.T, abs=1e-8)
    assert len({tuple(np.round(row, 6)) for row in moved}) == len(moved)


def test_observing_leaves_the_detector_as_it_was_and_repeats_to_the_bit() -> None:
    rng = np.random.default_rng(23)
    cohort = counts(rng, 250)
    detector = resting().observe(counts(rng, 250), 1)
    before = (detector.log_r.copy(), detector.means.copy(), detector.posterior.mean.copy())

    one, other = detector.observe(cohort, 2), detector.observe(cohort, 2)

    assert np.array_equal(one.log_r, other.log_r)
    assert np.array_equal(one.posterior.precision, other.posterior.precision)
    for old, now in zip(
        before, (detector.log_r, detector.means, detector.posterior.mean), strict=True
    ):
        assert np.array_equal(old, now)


def test_a_cohort_is_learned_only_while_the_evidence_is_small() -> None:
    rng = np.random.default_rng(24)
    detector = resting()
    cohort = counts(rng, 250)

    assert np.array_equal(
        detector.observe(cohort, 1, learn_below=-np.inf).posterior.mean, detector.posterior.mean
    )
    assert not np.array_equal(detector.observe(cohort, 1).posterior.mean, detector.posterior.mean)


def test_a_cohort_without_labels_changes_nothing() -> None:
    detector = resting()

    assert detector.observe(BinCounts.empty(), 5) is detector
    assert detector.log_m == -np.inf


def test_capping_scales_all_evidence_to_the_top() -> None:
    rng = np.random.default_rng(25)
    detector = resting()
    for day in range(8):
        detector = detector.observe(counts(rng, 250, lambda z: z + 1), day, learn_below=LOG_A)

    capped = detector.capped(LOG_A)

    assert detector.log_m > LOG_A
    assert capped.log_m == pytest.approx(LOG_A)
    assert detector.log_r - capped.log_r == pytest.approx(detector.log_m - LOG_A)
    assert capped.changed_since_s == detector.changed_since_s
    assert capped.capped(LOG_A + 1).log_m == pytest.approx(LOG_A)


@pytest.mark.parametrize(
    ("baseline", "later"),
    [
        pytest.param([], tied(100, 50, 0.5), id="no baseline at all"),
        pytest.param([tied(1, 1, 0.4)], tied(10_000, 10, 0.9), id="a baseline of one label"),
        pytest.param([tied(1000, 900, 0.9)], tied(500, 10, 0.9), id="constant scores"),
        pytest.param([tied(1000, 1000, 1.0)], tied(900, 0, 1.0), id="certainty always wrong"),
        pytest.param(
            [tied(500, 500, 1.0) + tied(500, 0, 0.0)],
            tied(500, 0, 1.0) + tied(500, 500, 0.0),
            id="certainty turned round",
        ),
        pytest.param(
            [tied(1000, 0, 0.01)],
            BinCounts(tied(1000, 0, 0.01).sums * 50_000),
            id="one class, many labels",
        ),
    ],
)
def test_evidence_is_a_number_for_any_counts(baseline: list[BinCounts], later: BinCounts) -> None:
    detector = Detector.from_baseline(baseline)

    for day in range(5):
        detector = detector.observe(later, day)

    assert np.isfinite(detector.log_m)
    assert np.isfinite(detector.log_r).all()
    assert np.isfinite(detector.means).all()
    assert 0 <= detector.sigma <= 1


def test_tied_scores_make_fewer_bets_and_are_still_watched() -> None:
    rng = np.random.default_rng(26)
    said = np.array([0.8, 0.85, 0.9, 0.95, 1.0])

    def day(rate: float) -> BinCounts:
        score = said[rng.choice(5, 250, p=[0.3, 0.2, 0.3, 0.15, 0.05])]
        return BinCounts.from_rows(score, rng.random(250) < rate * score)

    detector = Detector.from_baseline([day(0.9) for _ in range(8)])
    assert detector.knots == pytest.approx(logit(said[:4]))
    for i in range(20):
        detector = detector.observe(day(0.9), i)
    assert detector.log_m < LOG_A
    for i in range(20, 32):
        detector = detector.observe(day(0.7), i, learn_below=LOG_A)
    assert detector.log_m >= LOG_A
    assert 19 <= detector.changed_since_s <= 22


def wavy(z: np.ndarray) -> np.ndarray:
    return np.asarray(z + 0.5 * np.sin(2 * z))


@pytest.mark.parametrize(
    ("truth", "centre", "wobble"),
    [
        pytest.param(honest, 0.0, 0.0, id="calibrated"),
        pytest.param(honest, 1.0, 0.2, id="scores move, days wobble"),
        pytest.param(lambda z: 0.3 + 0.7 * z, 0.0, 0.2, id="wrong from the start, days wobble"),
        pytest.param(lambda z: 0.3 + 0.7 * z, 1.0, 0.0, id="wrong from the start, scores move"),
        pytest.param(wavy, 1.0, 0.0, id="a map that the basis cannot follow, scores move"),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_nothing_changes_and_nothing_is_called(
    truth: Truth, centre: float, wobble: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    detector = Detector.from_baseline([counts(rng, 250, truth, wobble=wobble) for _ in range(8)])
    highest = -np.inf
    for day in range(60):
        cohort = counts(rng, 250, truth, centre=centre, wobble=wobble)
        detector = detector.observe(cohort, day)
        highest = max(highest, detector.log_m)

    assert highest < LOG_A


@pytest.mark.parametrize(
    ("truth", "labels"),
    [
        pytest.param(lambda z: z / 1.5, 1750, id="temperature 1.5"),
        pytest.param(lambda z: z / 2, 750, id="temperature 2"),
        pytest.param(lambda z: z + 0.5, 2000, id="level + .5"),
        pytest.param(lambda z: z + 1.0, 750, id="level + 1"),
        pytest.param(lambda z: z - 1.0 * ((z > 1) & (z < 2)), 3500, id="one place - 1"),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_a_change_is_called_soon_and_dated_well(truth: Truth, labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    detector = resting(seed + 100)
    for day in range(10):
        detector = detector.observe(counts(rng, 250), day)
    day = 10
    while detector.log_m < LOG_A and day < 100:
        detector = detector.observe(counts(rng, 250, truth), day, learn_below=LOG_A)
        day += 1

    assert 250 * (day - 10) <= labels
    assert 7 <= detector.changed_since_s <= 13


def test_a_short_baseline_grows_with_the_stream() -> None:
    """After 1000 labels +.5 is lost in what four days may wobble; after 40 quiet days it is not."""
    rng = np.random.default_rng(31)
    detector = resting(31, cohorts=4)
    start = detector.sigma
    for day in range(40):
        detector = detector.observe(counts(rng, 250), day)
    grown = detector.sigma
    for day in range(40, 50):
        detector = detector.observe(counts(rng, 250, lambda z: z + 0.5), day, learn_below=LOG_A)

    assert start > 0.1
    assert grown < 0.1
    assert detector.log_m >= LOG_A


def test_what_a_bet_remembers_is_the_map_before_its_change() -> None:
    """Without it, a map that learns the change pulls the bets along and evidence is lost."""
    gained = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        remembering = forgetting = resting(seed + 200, cohorts=4)
        most = [-np.inf, -np.inf]
        for day in range(16):
            cohort = counts(rng, 250, lambda z: z / 1.5)
            remembering = remembering.observe(cohort, day)
            forgetting = forgetting.observe(cohort, day)
            forgetting = replace(
                forgetting, means=np.tile(forgetting.posterior.mean, (len(forgetting.means), 1))
            )
            most = [max(most[0], remembering.log_m), max(most[1], forgetting.log_m)]
        gained.append(most[0] - most[1])

    assert np.mean(gained) > 0.5


def test_a_cohort_is_observed_in_milliseconds() -> None:
    rng = np.random.default_rng(33)
    detector = resting()
    cohorts = [counts(rng, 1000) for _ in range(30)]
    took = []
    for day, cohort in enumerate(cohorts):
        begun = time.perf_counter()
        detector = detector.observe(cohort, day)
        took.append(time.perf_counter() - begun)

    assert np.median(took) < 0.02


KINDS = ("ordinary", "few labels", "no labels", "one class", "scores of 0 and 1", "narrow")


def cohort_of(kind: str, rng: np.random.Generator) -> BinCounts:
    match kind:
        case "few labels":
            return counts(rng, int(rng.integers(1, 6)))
        case "no labels":
            return BinCounts.empty()
        case "one class":
            return tied(90, 90, 0.9) + tied(20, 20, 0.4)
        case "scores of 0 and 1":
            return tied(30, 0, 1.0) + tied(300, 299, 0.0)
        case "narrow":
            return counts(rng, 60, spread=0.05)
        case _:
            return counts(rng, int(rng.integers(50, 300)), lambda z: z + 0.5, wobble=0.3)


@cache
def on_the_way(kind: str, *, hidden_level: bool) -> Detector:
    """A detector after two cohorts, on a baseline of this kind."""
    rng = np.random.default_rng(KINDS.index(kind))
    baseline = [cohort_of(kind, rng) for _ in range(3)]
    detector = Detector.from_baseline(baseline, hidden_level=hidden_level)
    for day in range(2):
        detector = detector.observe(counts(rng, 80), day)
    return detector


# Drawn by name, and made in the test: the arrays would be a long story where it fails.
ASKED = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from([False, False, False, True]),
    st.sampled_from(KINDS),
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.inf, 5.0, -np.inf]),
    st.sampled_from([COMPLETE, Arrival(0.8, 0.6, se=0.05), Arrival(0.7, unlabelled_negative=True)]),
)


def observation(drawn: tuple[str, bool, str, int, float, Arrival]) -> Observation:
    baseline, hidden_level, kind, seed, learn_below, arrival = drawn
    detector = on_the_way(baseline, hidden_level=hidden_level)
    cohort = cohort_of(kind, np.random.default_rng(seed))
    return Observation(detector, cohort, seed % 9, learn_below, arrival)


@settings(max_examples=40, deadline=None)
@given(st.lists(ASKED, max_size=20), st.integers(0, 2**32 - 1))
@example(
    [
        ("one class", False, "ordinary", 0, np.inf, COMPLETE),
        ("scores of 0 and 1", False, "one class", 0, np.inf, Arrival(0.8, 0.6, se=0.05)),
    ],
    0,
)
def test_a_detector_does_not_hang_on_what_is_observed_beside_it(
    drawn: list[tuple[str, bool, str, int, float, Arrival]], seed: int
) -> None:
    asked = [observation(each) for each in drawn]
    alone = [observe_all([each])[0] for each in asked]
    order = np.random.default_rng(seed).permutation(len(asked)).tolist()
    for i, found in zip(order, observe_all([asked[i] for i in order]), strict=True):
        for name in ("log_r", "log_best", "since_s", "means", "shares", "known"):
            assert np.array_equal(getattr(found, name), getattr(alone[i], name)), name
        assert np.array_equal(found.posterior.mean, alone[i].posterior.mean)
        assert np.array_equal(found.posterior.precision, alone[i].posterior.precision)
        waited = zip(found.waiting, alone[i].waiting, strict=True)
        assert all(np.array_equal(one, other) for one, other in waited)
