from __future__ import annotations

from math import comb

import numpy as np
import pytest

from monitor.core.measures.permutations import DRAWS, orders, p_values, signs, splits


@pytest.mark.parametrize(("n", "chosen"), [(6, 2), (5, 5), (3, 0), (14, 5)])
def test_few_splits_are_all_tried_once_the_last_cohorts_first(n: int, chosen: int) -> None:
    taken = splits(n, chosen)

    assert len(np.unique(taken, axis=0)) == len(taken) == comb(n, chosen)
    assert (taken.sum(axis=1) == chosen).all()
    assert taken[0, n - chosen :].all()


def test_many_splits_are_drawn_alike_every_time() -> None:
    taken = splits(60, 7)

    assert taken.shape == (DRAWS + 1, 60)
    assert (taken.sum(axis=1) == 7).all()
    assert taken[0, -7:].all()
    assert (taken == splits(60, 7)).all()
    assert np.abs(taken[1:].mean(axis=0) - 7 / 60).max() < 0.02


def test_orders_are_permutations_the_given_one_first() -> None:
    found = orders(9)

    assert found[0].tolist() == list(range(9))
    assert (np.sort(found, axis=1) == np.arange(9)).all()
    assert (found == orders(9)).all()


def test_signs_are_even_all_positive_first() -> None:
    found = signs(12)

    assert found.shape == (DRAWS + 1, 12)
    assert (found[0] == 1).all()
    assert np.unique(found).tolist() == [-1, 1]
    assert np.abs(found[1:].mean(axis=0)).max() < 0.05
    assert (found == signs(12)).all()


def test_p_value_counts_the_observed_row_and_its_ties() -> None:
    statistic = np.array([[3.0, 0.0], [3.0 + 1e-13, 1.0], [1.0, 2.0], [9.0, 3.0]])

    assert p_values(statistic)[0].tolist() == [0.75, 1.0]
    assert p_values(statistic)[3].tolist() == [0.25, 0.25]
