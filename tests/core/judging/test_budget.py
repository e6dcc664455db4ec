from __future__ import annotations

from math import inf, isfinite, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.detector.sequential import Detector
from monitor.core.judging.budget import (
    LOWEST_ALARM_AT,
    NEWCOMER_LABELS,
    SILENT,
    Budget,
    e_d_bh,
    thresholds,
)
from tests.core.streams import counts

NAMES = "abcdefghijkl"
traffic = st.lists(st.floats(0, 1e9), min_size=1, max_size=len(NAMES)).map(
    lambda labels: dict(zip(NAMES, labels, strict=False))
)
budgets = st.floats(1e-3, 1e3).map(Budget)
weighting = st.lists(st.floats(0.01, 100), max_size=len(NAMES)).map(
    lambda weights: dict(zip(NAMES, weights, strict=False))
)


@pytest.mark.parametrize(
    ("text", "per_month"),
    [
        ("at most 1 false page a month", 1),
        ("at most one false page a month over the whole fleet", 1),
        ("2 per quarter", 2 / 3),
        ("0.5 pages per week", 0.5 * 365.25 / 84),
        ("Three alarms each year", 0.25),
        ("1/day", 365.25 / 12),
    ],
)
def test_a_budget_is_read_from_words(text: str, per_month: float) -> None:
    assert Budget.parse(text).per_month == pytest.approx(per_month)


@pytest.mark.parametrize("text", ["", "few", "1 page", "many a month", "1 a fortnight", "0 a year"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="budget"):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("per_month", "words"), [(1, "1 false page a month"), (3, "3 false pages a month"),
                             (0.25, "3 false pages a year"), (1 / 12, "1 false page a year")],
)  # fmt: skip
def test_a_budget_is_said_in_words_it_can_be_read_from(per_month: float, words: str) -> None:
    said = Budget(per_month).words

    assert words in said
    assert Budget.parse(said).per_month == pytest.approx(per_month)


@given(budgets, traffic, weighting)
def test_the_budget_is_kept_whatever_the_traffic(
    budget: Budget, labels: dict[str, float], weights: dict[str, float]
) -> None:
    found = thresholds(budget, labels, weights)
    spent = sum(n / found.alarm_at[name] for name, n in labels.items() if n > SILENT)

    assert spent <= budget.per_month * (1 + 1e-14)
    assert spent == pytest.approx(found.expected_per_month)
    assert min(found.alarm_at.values()) >= LOWEST_ALARM_AT
    at_floor = [found.alarm_at[name] <= LOWEST_ALARM_AT * (1 + 1e-9) for name in labels]
    sending = [at for at, n in zip(at_floor, labels.values(), strict=True) if n > SILENT]
    if not all(sending):
        assert spent == pytest.approx(budget.per_month)


@given(budgets, traffic, weighting)
def test_a_silent_series_changes_nothing(
    budget: Budget, labels: dict[str, float], weights: dict[str, float]
) -> None:
    before = thresholds(budget, labels, weights)
    after = thresholds(budget, labels | {"silent": 0.0}, weights)

    assert after.alarm_at["silent"] == inf
    assert after.expected_per_month == before.expected_per_month
    assert {name: after.alarm_at[name] for name in labels} == dict(before.alarm_at)


@given(budgets, traffic, st.floats(0, 1e9), st.floats(1, 100))
def test_thresholds_rise_with_the_fleet_and_fall_with_the_budget(
    budget: Budget, labels: dict[str, float], more: float, factor: float
) -> None:
    now = thresholds(budget, labels).alarm_at
    larger_fleet = thresholds(budget, labels | {"new": more}).alarm_at
    larger_budget = thresholds(Budget(budget.per_month * factor), labels).alarm_at

    for name in labels:
        assert larger_fleet[name] >= now[name] * (1 - 1e-9)
        assert larger_budget[name] <= now[name] * (1 + 1e-9)


def test_equal_split_gives_each_series_the_same_false_alarms() -> None:
    found = thresholds(Budget(1), {"a": 1e6, "b": 1e4, "c": 1e5, "d": 1e6})

    assert found.alarm_at["a"] == pytest.approx(4e6)
    assert found.alarm_at["b"] == pytest.approx(4e4)
    assert found.expected_per_month == pytest.approx(1)


def test_weights_split_the_budget() -> None:
    found = thresholds(Budget(1), {"a": 1e6, "b": 1e6}, {"a": 3.0})

    assert found.alarm_at["a"] == pytest.approx(4e6 / 3)
    assert found.alarm_at["b"] == pytest.approx(4e6)


def test_what_the_floor_leaves_over_goes_to_the_others() -> None:
    found = thresholds(Budget(1), {"small": 100.0, "large": 1e6})

    assert found.alarm_at["small"] == pytest.approx(1e3)
    assert found.alarm_at["large"] == pytest.approx(1e6 / 0.9)


def test_a_fleet_that_cannot_spend_its_budget_stands_at_the_floor() -> None:
    found = thresholds(Budget(5), {"a": 100.0, "b": 300.0})

    assert found.alarm_at == pytest.approx({"a": 1e3, "b": 1e3})
    assert found.expected_per_month == pytest.approx(0.4)


def test_a_new_series_is_given_the_median_traffic() -> None:
    known = {"a": 1e5, "b": 2e5, "c": 9e5, "silent": 0.0}

    assert thresholds(Budget(1), known | {"new": None}) == thresholds(
        Budget(1), known | {"new": 2e5}
    )
    alone = thresholds(Budget(1), {"new": None})
    assert alone.alarm_at["new"] == pytest.approx(NEWCOMER_LABELS)


def test_no_series_no_thresholds() -> None:
    assert thresholds(Budget(1), {}).expected_per_month == 0
    assert thresholds(Budget(1), {"a": 0.0}).alarm_at == {"a": inf}


@pytest.mark.parametrize(("labels", "weight"), [(-1.0, 1.0), (1.0, 0.0), (1.0, -2.0)])
def test_nonsense_is_refused(labels: float, weight: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        thresholds(Budget(1), {"a": labels}, {"a": weight})


@given(
    st.lists(st.floats(-50, 50), max_size=len(NAMES)).map(
        lambda values: dict(zip(NAMES, values, strict=False))
    ),
    budgets,
)
def test_e_d_bh_names_all_at_their_own_threshold_and_none_far_below(
    log_m: dict[str, float], budget: Budget
) -> None:
    at = thresholds(budget, dict.fromkeys(log_m, 1e5) | {"silent": 0.0})
    named = e_d_bh(log_m | {"silent": 99.0}, at)

    own = {name for name in log_m if log_m[name] >= log(at.alarm_at[name])}
    assert own <= named
    assert "silent" not in named
    for name in named:
        assert log_m[name] >= log(at.alarm_at[name] / len(named)) - 1e-9
    raised = {name: value + 1 for name, value in log_m.items()}
    assert named <= e_d_bh(raised, at)


def test_e_d_bh_names_many_at_a_part_of_their_thresholds() -> None:
    at = thresholds(Budget(1), dict.fromkeys("abcd", 1e5))
    above = log(at.alarm_at["a"] / 2) + 1e-9

    assert e_d_bh({"a": above, "b": -inf, "c": 0.0, "d": 0.0}, at) == frozenset()
    assert e_d_bh({"a": above, "b": above, "c": 0.0, "d": -inf}, at) == {"a", "b"}
    assert e_d_bh({}, at) == frozenset()


def test_false_alarms_of_a_fleet_keep_to_the_budget() -> None:
    """Coins with a Shiryaev-Roberts detector each, which a false alarm sets back to rest.

    Traffic differs a hundredfold. The promise is an upper bound on the mean; what is found may
    exceed it by chance, by three standard errors of a Poisson count.
    """
    rng = np.random.default_rng(21)
    months, fleets, size, budget = 6, 60, 20, 2.0
    labels = np.round(np.geomspace(40, 4000, size))
    at = thresholds(Budget(budget), {f"{i:02}": n for i, n in enumerate(labels)}, lowest=10)
    alarm_at = np.array([at.alarm_at[f"{i:02}"] for i in range(size)])
    ratio = np.array([0.65, 0.35]) / 0.5
    false = 0
    for i in range(size):
        r = np.zeros(fleets)
        for toss in rng.integers(0, 2, (int(months * labels[i]), fleets)):
            r = (r + 1) * ratio[toss]
            alarmed = r >= alarm_at[i]
            false += int(alarmed.sum())
            r[alarmed] = 0

    promised = budget * months * fleets
    assert isfinite(at.expected_per_month)
    assert false <= promised + 3 * np.sqrt(promised)
    assert false >= 0.2 * promised


def test_false_alarms_of_the_product_s_detectors_keep_to_the_budget() -> None:
    """Twelve series of 14 days of 250 labels after their baseline, at one false page in 14 days."""
    rng = np.random.default_rng(22)
    at = thresholds(Budget(1), {f"{i}": 14 * 250.0 for i in range(12)})
    found = []
    for _ in range(12):
        detector = Detector.from_baseline([counts(rng, 250, wobble=0.1) for _ in range(8)])
        highest = -inf
        for day in range(14):
            detector = detector.observe(counts(rng, 250, wobble=0.1), day)
            highest = max(highest, detector.log_m)
        found.append(highest)

    assert at.alarm_at["0"] == pytest.approx(12 * 14 * 250)
    assert sum(m >= log(at.alarm_at["0"]) for m in found) <= 1 + 3
    assert max(found) > log(250)
