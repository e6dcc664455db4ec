from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.measures.equal_mass import equal_mass_bins, merged_bins

counts = st.lists(st.integers(0, 1000), min_size=1, max_size=60).map(
    lambda some: np.array(some, dtype=np.int64)
)


@given(counts, st.integers(1, 12))
def test_bins_are_in_order_held_and_lose_nothing(some: np.ndarray, bins: int) -> None:
    owner = equal_mass_bins(some, bins)
    merged = merged_bins(some, owner)

    assert (np.diff(owner) >= 0).all()
    assert owner[0] == 0
    assert len(merged) == owner.max() + 1 <= bins
    assert merged.sum() == some.sum()
    assert (merged > 0).all() or not some.any()


@given(counts, st.integers(1, 12), st.integers(2, 1000))
def test_twice_the_rows_give_the_same_bins(some: np.ndarray, bins: int, times: int) -> None:
    assert (equal_mass_bins(some * times, bins) == equal_mass_bins(some, bins)).all()


def test_bins_are_of_equal_mass_where_ties_allow() -> None:
    owner = equal_mass_bins(np.full(100, 7), 10)
    assert merged_bins(np.full(100, 7), owner).tolist() == [70] * 10
    assert equal_mass_bins(np.array([0, 50, 0, 0]), 10).tolist() == [0, 0, 0, 0]
    assert merged_bins(np.eye(2, dtype=np.int64), np.array([0, 1])).shape == (2, 2)


@pytest.mark.parametrize("bins", [1, 10])
def test_nothing_is_one_bin(bins: int) -> None:
    assert equal_mass_bins(np.zeros(5, dtype=np.int64), bins).tolist() == [0] * 5
