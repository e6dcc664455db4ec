from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.detector.score_shift import Compared, measure_score_shift, score_shifts_of
from tests.core.streams import counts


def cohorts(
    rng: np.random.Generator, days: int, n: int = 200, *, centre: float = 0.0, wobble: float = 0.0
) -> list[BinCounts]:
    """Days of traffic whose mean logit wobbles; none has a label."""
    return [
        counts(rng, n, centre=centre + wobble * rng.normal(), labelled=0.0) for _ in range(days)
    ]


@pytest.mark.parametrize(("centre", "word"), [(1.2, "higher"), (-1.2, "lower")])
def test_shifted_scores_are_told_with_their_size(centre: float, word: str) -> None:
    rng = np.random.default_rng(1)

    found = measure_score_shift(cohorts(rng, 21), cohorts(rng, 7, centre=centre))

    assert found is not None
    assert found.shifted
    assert found.psi > 0.25 > found.psi_by_chance_99
    assert found.p_value <= 0.001
    assert np.sign(found.mean_change) == np.sign(centre)
    assert f"they are {word} by" in found.reason


def test_psi_by_chance_is_what_chance_gives() -> None:
    rng = np.random.default_rng(2)
    found = [measure_score_shift(cohorts(rng, 10), cohorts(rng, 5)) for _ in range(60)]
    psi = np.array([each.psi for each in found if each])
    first = found[0]

    assert first is not None
    assert len(psi) == 60
    assert psi.mean() == pytest.approx(first.psi_by_chance, rel=0.2)
    assert (psi <= first.psi_by_chance_99).mean() > 0.95


def test_traffic_that_wobbles_has_not_shifted() -> None:
    rng = np.random.default_rng(3)
    p, psi = [], []
    for _ in range(60):
        found = measure_score_shift(cohorts(rng, 14, wobble=0.8), cohorts(rng, 7, wobble=0.8))
        assert found is not None
        p.append(found.p_value)
        psi.append(found.psi / found.psi_by_chance_99)

    assert np.mean(np.array(psi) > 1) > 0.5
    assert np.mean(np.array(p) <= 0.05) <= 0.15


def test_a_small_shift_of_much_traffic_is_not_called_one() -> None:
    rng = np.random.default_rng(4)

    found = measure_score_shift(cohorts(rng, 21, 5000), cohorts(rng, 7, 5000, centre=0.1))

    assert found is not None
    assert found.p_value <= 0.01
    assert not found.shifted
    assert "No shift of scores beyond" in found.reason


def test_too_few_cohorts_are_said_to_be() -> None:
    rng = np.random.default_rng(5)

    found = measure_score_shift(cohorts(rng, 1, 1000), cohorts(rng, 2, 1000, centre=1.5))

    assert found is not None
    assert np.isnan(found.p_value)
    assert not found.shifted
    assert found.psi > 0.25
    assert "Too few cohorts" in found.reason


@pytest.mark.parametrize(("before", "now"), [(0, 0), (5, 0), (0, 5)])
def test_no_predictions_no_measure(before: int, now: int) -> None:
    rng = np.random.default_rng(6)

    assert measure_score_shift(cohorts(rng, before), cohorts(rng, now)) is None


@pytest.mark.parametrize("score", [0.0, 0.85, 1.0])
def test_one_score_alone_has_not_shifted(score: float) -> None:
    one = BinCounts.from_rows(np.full(100, score), np.ones(100, dtype=np.bool_))

    found = measure_score_shift([one] * 8, [one] * 4)

    assert found is not None
    assert (found.psi, found.psi_by_chance, found.total_variation) == (0, 0, 0)
    assert found.p_value == 1


def sides_of_every_kind() -> list[tuple[list[BinCounts], list[BinCounts]]]:
    """Baselines and windows: alike, moved, tied, constant, of few cohorts, and too small."""
    rng = np.random.default_rng(7)
    tied = [BinCounts.from_rows(rng.choice([0.0, 0.4, 1.0], 90), np.ones(90, bool))] * 4
    constant = [BinCounts.from_rows(np.full(300, 0.3), np.ones(300, bool))] * 3
    return [
        (cohorts(rng, 8), cohorts(rng, 5)),
        (cohorts(rng, 8), cohorts(rng, 5, centre=1.5)),
        (cohorts(rng, 1), cohorts(rng, 2, centre=1.0)),
        (tied, [*tied, BinCounts.empty()]),
        (constant, constant),
        (constant, tied),
        (cohorts(rng, 8), cohorts(rng, 1, 20)),
        ([], []),
    ]


SIDES = sides_of_every_kind()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(range(len(SIDES))), min_size=1, max_size=8))
def test_what_is_compared_beside_two_sides_changes_no_bit_of_them(chosen: list[int]) -> None:
    asked = [
        Compared(before, now, *(sum(side, start=BinCounts.empty()) for side in (before, now)))
        for before, now in (SIDES[k] for k in chosen)
    ]
    # As text, for NaN is not equal to itself.
    alone = [repr(measure_score_shift(*SIDES[k], test_small=False)) for k in chosen]
    assert [repr(each) for each in score_shifts_of(asked, test_small=False)] == alone
