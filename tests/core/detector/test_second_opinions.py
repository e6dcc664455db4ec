from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.detector.second_opinions import (
    MAX_UPDATES,
    NAMES,
    SecondOpinion,
    begin,
    fold,
    step,
)
from monitor.core.detector.sequential import Detector
from tests.core.streams import DAY_S, counts, honest

if TYPE_CHECKING:
    from tests.core.streams import Truth

LABELS = 250


def days(rng: np.random.Generator, n: int, truth: Truth = honest) -> list[BinCounts]:
    return [counts(rng, LABELS, truth) for _ in range(n)]


def folded(name: str, cohorts: list[BinCounts]) -> SecondOpinion:
    return fold(begin(name), ((day * DAY_S, each) for day, each in enumerate(cohorts)))


def slope_halved(z: np.ndarray) -> np.ndarray:
    return z / 2


def level_raised(z: np.ndarray) -> np.ndarray:
    return z + 1.2


@pytest.mark.parametrize("truth", [slope_halved, level_raised])
@pytest.mark.parametrize("name", NAMES)
def test_an_obvious_change_is_found_soon_after_it_came(name: str, truth: Truth) -> None:
    rng = np.random.default_rng(1)

    found = folded(name, [*days(rng, 8), *days(rng, 6, truth)])

    assert found.findings >= 1
    assert found.drifted_s is not None
    assert found.drifted_s >= 8 * DAY_S


@pytest.mark.parametrize(("name", "streams", "most"), [("adwin", 20, 2), ("page_hinkley", 20, 12)])
def test_calm_streams_are_mostly_quiet(name: str, streams: int, most: int) -> None:
    """At most these findings in 800 calm cohorts; 0 and 5 were measured."""
    found = [folded(name, days(np.random.default_rng(s), 40)) for s in range(streams)]

    assert sum(each.findings for each in found) <= most
    assert all(each.labels_fed == 40 * LABELS for each in found)


def test_a_calm_stream_is_quiet_under_kswin() -> None:
    assert folded("kswin", days(np.random.default_rng(2), 10)).findings == 0


@pytest.mark.parametrize("name", NAMES)
def test_folding_again_gives_the_same_and_a_step_leaves_its_state(name: str) -> None:
    rng = np.random.default_rng(3)
    cohorts = [*days(rng, 6), *days(rng, 2, slope_halved)]
    half = folded(name, cohorts[:6])
    before = (half.findings, half.labels_fed)

    first, again = (
        fold(half, (((6 + i) * DAY_S, each) for i, each in enumerate(cohorts[6:])))
        for _ in range(2)
    )
    whole = folded(name, cohorts)

    assert (half.findings, half.labels_fed) == before
    assert first.findings == again.findings == whole.findings
    assert first.drifted_s == again.drifted_s == whole.drifted_s


@pytest.mark.parametrize("name", NAMES)
def test_a_cohort_costs_no_more_than_its_bound(name: str) -> None:
    huge = counts(np.random.default_rng(4), 20_000)

    assert step(begin(name), huge, 0).labels_fed == MAX_UPDATES[name]


def test_a_model_that_was_never_calibrated_is_judged_by_its_baseline() -> None:
    rng = np.random.default_rng(5)
    baseline = Detector.from_baseline(days(rng, 20, level_raised))
    cohorts = days(rng, 20, level_raised)

    by_map = begin("adwin", baseline.expected)
    for day, each in enumerate(cohorts):
        by_map = step(by_map, each, day * DAY_S)

    assert by_map.findings == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_one_score_and_one_class_are_quiet(name: str, score: float) -> None:
    one = BinCounts.from_rows(np.full(100, score), np.ones(100, dtype=np.bool_))

    assert folded(name, [one, BinCounts.empty(), one]).findings == 0


def test_cohorts_without_labels_change_nothing() -> None:
    state = begin("adwin")

    assert step(state, BinCounts.empty(), 0) is state


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match='"ddm" is no second opinion; choose of adwin'):
        begin("ddm")


def test_river_is_not_imported_unless_asked_for() -> None:
    code = "import sys, monitor.core.detector.second_opinions; sys.exit('river' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
