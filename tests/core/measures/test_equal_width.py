"""Equal-width bins: where edges belong, and that no label is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.bins import EDGES, FIXED_POINT, BinCounts
from monitor.core.measures.equal_width import WidthBins

DIVISORS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
scores = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, 1.0, 0.3, 0.6, 0.7, 1e-6, 1 - 1e-6]),
    st.sampled_from(list(EDGES)),
)
rows = st.lists(st.tuples(scores, st.booleans()), max_size=40)


def counted(some: list[tuple[float, bool]]) -> BinCounts:
    if not some:
        return BinCounts.empty()
    score, outcome = zip(*some, strict=True)
    return BinCounts.from_rows(np.array(score, dtype=np.float64), np.array(outcome))


def owner(score: float, bins: int) -> list[int]:
    """Which bin a label with this score is counted in."""
    found = WidthBins.of([counted([(score, True)])], bins)
    return np.flatnonzero(found.n[0]).tolist()


@pytest.mark.parametrize("bins", DIVISORS)
def test_bins_are_right_closed_with_zero_in_the_first(bins: int) -> None:
    assert owner(0.0, bins) == owner(float(np.nextafter(0, 1)), bins) == [0]
    for k in range(bins):
        edge = (k + 1) / bins
        assert owner(edge, bins) == [k]
        if edge < 1:
            assert owner(float(np.nextafter(edge, 1)), bins) == [k + 1]


@pytest.mark.parametrize(
    ("score", "tenth"), [(0.1, 0), (0.2, 1), (0.3, 2), (0.6, 5), (0.7, 6), (0.9, 8), (1.0, 9)]
)
def test_decimals_that_floating_division_puts_in_the_wrong_tenth(score: float, tenth: int) -> None:
    assert owner(score, 10) == [tenth]


@pytest.mark.parametrize("bins", [-1, 0, 7, 8, 16, 25, 61, 120])
def test_other_numbers_of_bins_are_refused(bins: int) -> None:
    with pytest.raises(ValueError, match="divisor of 60"):
        WidthBins.of([BinCounts.empty()], bins)


@given(st.lists(rows.map(counted), max_size=4), st.sampled_from(DIVISORS))
def test_no_label_is_lost(some: list[BinCounts], bins: int) -> None:
    found = WidthBins.of(some, bins)
    assert found.n.shape == (len(some), bins)
    assert found.n.sum(axis=1).tolist() == [each.n_labelled for each in some]
    assert found.positive.sum(axis=1).tolist() == [each.n_positive for each in some]
    missed = [each.n_positive * FIXED_POINT - each.totals[3] for each in some]
    assert found.missed.sum(axis=1).tolist() == missed
    coarse = WidthBins.of(some).coarser(bins)
    assert (coarse.missed == found.missed).all()
