from __future__ import annotations

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.detector.selection import labelled_selectively
from monitor.core.measures.logistic import sigmoid


def cohort(
    rng: np.random.Generator, n: int, pull: float = 0.0, *, centre: float = 0.0, rate: float = 0.0
) -> BinCounts:
    """Predictions labelled with log odds rate + pull * z, z being the standardised logit."""
    z = rng.normal(centre, 1, n)
    score = sigmoid(1.5 * z)
    return BinCounts.from_rows(
        score, rng.random(n) < score, rng.random(n) < sigmoid(rate + pull * z)
    )


@pytest.mark.parametrize("days", [1, 7, 14])
@pytest.mark.parametrize(("pull", "word"), [(0.8, "higher"), (-0.8, "lower")])
def test_labels_that_favour_a_side_are_warned_of(pull: float, word: str, days: int) -> None:
    rng = np.random.default_rng(1)

    found = labelled_selectively([cohort(rng, 400, pull) for _ in range(days)])

    assert found.p_value <= 0.001
    assert found.total_variation > 0.2
    assert found.psi > 0.2
    assert np.sign(found.mean_difference) == np.sign(pull)
    assert found.warning is not None
    assert f"labelled predictions score {word}" in found.warning


@pytest.mark.parametrize("days", [7, 14])
def test_labels_at_random_are_fine_as_often_as_it_says(days: int) -> None:
    rng = np.random.default_rng(2)
    found = [labelled_selectively([cohort(rng, 200) for _ in range(days)]) for _ in range(200)]
    p = np.array([each.p_value for each in found])

    assert 0.005 <= (p <= 0.05).mean() <= 0.09
    assert all(each.warning is None for each in found)


def test_days_with_few_labels_and_other_scores_are_no_selection() -> None:
    rng = np.random.default_rng(3)
    cohorts = [
        *[cohort(rng, 500, centre=-1, rate=-2) for _ in range(5)],
        *[cohort(rng, 500, centre=1, rate=2) for _ in range(5)],
    ]

    found = labelled_selectively(cohorts)

    assert found.warning is None
    assert found.total_variation < 0.08


def test_selection_that_turns_from_day_to_day_is_scatter() -> None:
    rng = np.random.default_rng(4)
    p = []
    for _ in range(40):
        pulls = rng.normal(0, 0.5, 14)
        found = labelled_selectively([cohort(rng, 400, pull) for pull in pulls])
        p.append(found.p_value)
        assert found.dispersion > 1.2

    assert np.mean(np.array(p) <= 0.05) <= 0.15


@pytest.mark.parametrize("labelled", [0.0, 1.0])
def test_all_or_none_labelled_is_insufficient(labelled: float) -> None:
    score = np.random.default_rng(5).random(500)
    counts = BinCounts.from_rows(score, score > 0.5, np.full(500, labelled > 0))

    found = labelled_selectively([counts, BinCounts.empty()])

    assert found.insufficient is not None
    assert "0 of the 100" in found.insufficient
    assert found.warning is None
    assert np.isnan(found.p_value)


def test_no_cohorts_are_insufficient() -> None:
    assert labelled_selectively([]).insufficient is not None


@pytest.mark.parametrize("scores", [(0.8,), (0.0, 1.0)])
def test_tied_scores_and_scores_of_0_and_1(scores: tuple[float, ...]) -> None:
    rng = np.random.default_rng(6)
    score = rng.choice(scores, 2000)
    counts = BinCounts.from_rows(score, score > 0.5, rng.random(2000) < 0.3)

    found = labelled_selectively([counts])

    assert found.p_value > 0.001
    assert found.total_variation < 0.08
    assert found.warning is None
