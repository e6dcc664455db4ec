"""Costs of cutoffs against brute force on raw rows, and how often their intervals hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.core.bins import EDGES, BinCounts
from monitor.core.decision.decision_evidence import decision_evidence
from monitor.core.decision.thresholds import CUTOFFS, CostCurve
from monitor.core.decisions import DecisionPolicy
from monitor.core.measures.weighted_rates import weighted_rates
from monitor.core.report.threshold_advice import Observed, repaired_cutoffs, threshold_advice
from monitor.core.report.threshold_words import threshold_json, threshold_words
from tests.core.recalibration.test_repairs import drawn


def brute(score: np.ndarray, outcome: np.ndarray, cutoff: float, decision: DecisionPolicy) -> float:
    acted = score > cutoff if cutoff > 0 else np.ones(len(score), dtype=bool)
    wrongly = decision.cost_false_positive * (acted & ~outcome)
    return float((wrongly + decision.cost_false_negative * (~acted & outcome)).mean())


def least(score: np.ndarray, outcome: np.ndarray, decision: DecisionPolicy) -> float:
    """Least cost of any cutoff whatever; a hair above 0 spares the scores of exactly 0."""
    tried = [0.0, np.nextafter(0.0, 1.0), *np.unique(score), 1.0]
    return min(brute(score, outcome, float(c), decision) for c in tried)


SCORES = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1, allow_subnormal=False))
COSTS = st.floats(0.1, 50)


@settings(max_examples=150, deadline=None)
@given(SCORES, st.integers(0, 2**32), st.floats(0.001, 0.999), COSTS, COSTS)
def test_costs_of_any_rows_are_those_of_brute_force_within_the_stated_resolution(
    score: np.ndarray, seed: int, cutoff: float, c_fp: float, c_fn: float
) -> None:
    outcome = np.random.default_rng(seed).random(len(score)) < 0.5
    decision = DecisionPolicy(cutoff, c_fp, c_fn)
    curve = CostCurve.of(BinCounts.from_rows(score, outcome), decision)
    for k in (1, 40, 150, len(EDGES)):
        assert curve.cost[k] == pytest.approx(brute(score, outcome, CUTOFFS[k], decision))
    present = curve.at(cutoff)
    assert abs(present.cost - brute(score, outcome, cutoff, decision)) <= present.resolution + 1e-9
    best, raw = curve.best(), least(score, outcome, decision)
    assert best.cost == pytest.approx(brute(score, outcome, best.cutoff, decision))
    assert raw - 1e-9 <= best.cost <= raw + best.resolution + 1e-9


@pytest.mark.parametrize("law", [(0.0, 1.5), (-4.0, 1.0)], ids=["middle", "rare"])
def test_the_best_cutoff_costs_what_brute_force_finds(law: tuple[float, float]) -> None:
    score, outcome = drawn(20_000, 4, slope=0.7, shift=0.3, law=law)
    decision = DecisionPolicy(0.5, 1.0, 20.0)
    best = CostCurve.of(BinCounts.from_rows(score, outcome), decision).best()
    raw = least(score[:3000], outcome[:3000], decision)
    of_part = CostCurve.of(BinCounts.from_rows(score[:3000], outcome[:3000]), decision).best()
    assert raw <= of_part.cost <= raw + of_part.resolution
    assert of_part.resolution < 0.2 * raw
    assert best.resolution < 0.2 * best.cost
    for cutoff in (0.05, 0.5, 0.85, 0.9, 0.95):
        at = CostCurve.of(BinCounts.from_rows(score, outcome), decision).at(cutoff)
        assert at.resolution == 0
        assert at.cost == pytest.approx(brute(score, outcome, cutoff, decision))


def test_honest_scores_are_best_cut_where_theory_says() -> None:
    score, outcome = drawn(300_000, 5)
    decision = DecisionPolicy(0.5, 1.0, 4.0)
    curve = CostCurve.of(BinCounts.from_rows(score, outcome), decision)
    low, high = curve.about_as_good()
    assert decision.calibrated_cutoff == pytest.approx(0.2)
    assert low <= 0.2 <= high
    assert curve.best().cutoff == pytest.approx(0.2, abs=0.04)


def test_a_cutoff_of_0_acts_on_all_and_of_1_on_none() -> None:
    score, outcome = np.array([0.0, 0.0, 0.4, 1.0]), np.array([True, False, False, True])
    curve = CostCurve.of(BinCounts.from_rows(score, outcome), DecisionPolicy(0.5, 1.0, 5.0))
    assert (curve.at(0.0).cost, curve.at(1.0).cost) == (2 / 4, 10 / 4)


def test_without_labels_there_is_no_curve() -> None:
    with pytest.raises(ValueError, match="no labels"):
        CostCurve.of(BinCounts.empty(), DecisionPolicy(0.5, 1.0, 1.0))


LAWS = [
    pytest.param({}, 1 / 6, (1.0, 5.0), id="honest, cut well"),
    pytest.param({"law": (-3.0, 1.0)}, 1 / 21, (1.0, 20.0), id="rare, cut well"),
    pytest.param({"shift": 0.7}, 0.5, (1.0, 1.0), id="13 % too costly"),
    pytest.param({"law": (-2.0, 1.2), "slope": 0.6}, 0.5, (1.0, 4.0), id="49 % too costly"),
]


@pytest.mark.parametrize(("scene", "cutoff", "costs"), LAWS)
@pytest.mark.parametrize("n", [300, 3000])
def test_intervals_hold_the_true_cost_and_the_true_saving(
    scene: dict[str, float], cutoff: float, costs: tuple[float, float], n: int
) -> None:
    decision = DecisionPolicy(cutoff, *costs)
    whole = CostCurve.of(BinCounts.from_rows(*drawn(1_000_000, 1, **scene)), decision)  # type: ignore[arg-type]  # a scene
    cost = whole.at(cutoff).cost
    saving = cost - float(whole.cost.min())
    excess = saving / float(whole.cost.min())
    held = saved = called = 0
    for seed in range(200):
        curve = CostCurve.of(BinCounts.from_rows(*drawn(n, 100 + seed, **scene)), decision)  # type: ignore[arg-type]  # a scene
        present, found = curve.at(cutoff), curve.saving()
        held += present.low <= cost <= present.high
        saved += found.low <= saving <= found.high
        called += found.too_costly
    assert held / 200 >= 0.91
    assert saved / 200 >= 0.95
    if excess < decision.tolerance:
        assert called / 200 <= 0.02
    elif excess > 0.4:
        assert called / 200 >= (0.5 if n == 300 else 0.99)


def test_what_is_too_costly_is_told_apart_from_what_is_fine_and_what_is_not_known() -> None:
    decision = DecisionPolicy(0.2, 1.0, 4.0)
    told = {}
    for name, n, scene in (
        ("fine", 50_000, {}),
        ("unknown", 150, {}),
        ("costly", 50_000, {"slope": 0.5, "shift": 1.5}),
    ):
        found = decision_evidence(BinCounts.from_rows(*drawn(n, 7, **scene)), decision)  # type: ignore[arg-type]  # a scene
        assert found is not None
        told[name] = (found.too_costly, found.is_fine)
        assert (found.labels_needed == n) == (found.too_costly or found.is_fine)
    assert told == {"fine": (False, True), "unknown": (False, False), "costly": (True, False)}


def test_few_labels_say_nothing() -> None:
    assert decision_evidence(BinCounts.from_rows(*drawn(99, 1)), DecisionPolicy(0.5, 1, 1)) is None
    with pytest.raises(ValueError, match="99 labels"):
        threshold_advice(Observed([BinCounts.from_rows(*drawn(99, 1))]), DecisionPolicy(0.5, 1, 1))


def days(n_days: int, a_day: int, **scene: float) -> list[BinCounts]:
    return [BinCounts.from_rows(*drawn(a_day, seed, **scene)) for seed in range(n_days)]  # type: ignore[arg-type]  # a scene


def test_a_repair_brings_the_honest_cutoff_near_the_best_on_labels_it_has_not_seen() -> None:
    advice = threshold_advice(
        Observed(days(20, 1000, slope=0.4, shift=0.8)), DecisionPolicy(0.2, 1.0, 4.0)
    )
    repaired = advice.repaired
    assert repaired is not None
    assert repaired.repair.n_held_out == 10_000
    least_cost = advice.best.cost
    assert repaired.before.cost > 1.15 * least_cost
    assert repaired.after.cost < 1.05 * least_cost
    # A repair keeps the order: the same rows lie above the cutoff and above what it came from.
    moved = repaired_cutoffs(repaired)
    assert (np.diff(moved) >= 0).all()
    assert np.interp(repaired.raw_cutoff, CUTOFFS, moved) == pytest.approx(0.2, abs=0.01)


def test_volumes_precision_and_the_band_are_those_of_the_rows() -> None:
    score, outcome = drawn(7000, 3)
    decision = DecisionPolicy(
        0.5, 1.0, 3.0, cost_review=0.1, review_from=0.3, review_to=0.7, reviews_per_day=100
    )
    observed = Observed([BinCounts.from_rows(score, outcome)], 7.0, sample_rate=0.5)
    advice = threshold_advice(observed, decision)
    assert advice.per_day == 2000
    for volume, cutoff in zip(advice.volumes, (0.85, 0.9, 0.95), strict=True):
        above = score > cutoff
        assert volume.per_day == pytest.approx(2000 * above.mean())
        assert volume.precision == pytest.approx(outcome[above].mean())
        assert volume.recall == pytest.approx((above & outcome).sum() / outcome.sum())
    band = advice.band
    assert band is not None
    within = (score > 0.3) & (score <= 0.7)
    assert band.within_per_day == pytest.approx(2000 * within.mean())
    assert band.share_above + band.share_within + band.share_below == pytest.approx(1.0)
    assert band.load == pytest.approx(20 * within.mean())
    assert band.load is not None
    reviewed = 1 / band.load
    outside = (score > 0.7) & ~outcome, (score <= 0.3) & outcome
    with_all = outside[0].mean() + 3 * outside[1].mean() + 0.1 * within.mean()
    without = brute(score, outcome, 0.5, decision)
    assert band.cost == pytest.approx(reviewed * with_all + (1 - reviewed) * without)
    assert band.calibrated_from == pytest.approx(0.1 / 3)
    assert band.calibrated_to == pytest.approx(0.9)


AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_date_to_look_again_waits_for_the_labels_that_would_tell() -> None:
    decision = DecisionPolicy(0.2, 1.0, 4.0, look_again_every=timedelta(days=10))
    sure = threshold_advice(Observed(days(10, 3000), 10.0, AT), decision)
    unsure = threshold_advice(Observed(days(10, 40), 10.0, AT), decision)
    assert sure.standing.is_fine
    assert sure.look_again_at == AT + timedelta(days=10)
    needed = timedelta(days=(unsure.standing.labels_needed - 400) / 40)
    assert timedelta(days=10) < needed < timedelta(days=365)
    assert unsure.look_again_at == AT + needed


def test_words_and_json_say_what_the_advice_holds() -> None:
    decision = DecisionPolicy(0.5, 1.0, 20.0, review_from=0.4, review_to=0.6, reviews_per_day=1)
    advice = threshold_advice(Observed(days(4, 500), 4.0, AT), decision)
    words = threshold_words(advice)
    assert "too costly" in words[0]
    assert any("too few" in sentence for sentence in words)
    told = threshold_json(advice)
    assert told["words"] == words
    assert told["look_again_at"] == "2026-03-31T00:00:00Z"
    curve = told["curve"]
    assert isinstance(curve, list)
    assert min(point["cost"] for point in curve) == pytest.approx(advice.best.cost)


def test_advice_is_the_same_every_time() -> None:
    decision = DecisionPolicy(0.5, 1.0, 3.0)
    first, second = (
        threshold_json(threshold_advice(Observed(days(1, 800), 1.0, AT), decision))
        for _ in range(2)
    )
    assert first == second


def test_a_kind_of_row_that_was_not_seen_still_has_an_upper_end() -> None:
    value, low, high = weighted_rates([(0.0, 1.0), (10.0, 2.0)], 1000)
    assert float(value) == pytest.approx(0.02)
    assert float(high) > 0.02 + 2 * 0.006
    assert float(low) < 0.02
