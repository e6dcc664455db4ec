"""Delays as cells: merging is addition, and the key takes them apart again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.counting.delay_cells import DelayCells, delay_key, delay_pane_s
from monitor.core.delays import BUCKETS, DAY_S, N_BUCKETS

labels = st.tuples(
    st.integers(0, 3),
    st.integers(0, 40).map(lambda day: 1_700_000_000 // DAY_S * DAY_S + day * DAY_S),
    st.booleans(),
    st.booleans(),
    st.integers(-10, 800 * DAY_S * 1000),
)


def cells(found: list[tuple[int, int, bool, bool, int]]) -> DelayCells:
    columns = list(zip(*found, strict=True)) or [()] * 5
    return DelayCells.of(
        delay_key(
            np.array(columns[0], dtype=np.int32),
            np.array(columns[1], dtype=np.int64),
            np.array(columns[2], dtype=np.bool_),
            np.array(columns[3], dtype=np.bool_),
            np.array(columns[4], dtype=np.int64),
        )
    )


@given(found=st.lists(labels, max_size=60), cut=st.integers(0, 60))
def test_parts_merge_to_the_whole_in_any_order(
    found: list[tuple[int, int, bool, bool, int]], cut: int
) -> None:
    whole, one, other = cells(found), cells(found[:cut]), cells(found[cut:])

    assert DelayCells.merge([one, other]) == whole
    assert DelayCells.merge([other, one]) == whole
    taken = DelayCells.of(np.concatenate([whole.key, one.key]), np.concatenate([whole.n, -one.n]))
    assert taken == other


@given(found=st.lists(labels, min_size=1, max_size=60))
def test_the_key_holds_what_it_was_made_of(
    found: list[tuple[int, int, bool, bool, int]],
) -> None:
    counted = cells(found)
    apart = zip(
        counted.series.tolist(),
        counted.pane_start.tolist(),
        counted.late.tolist(),
        counted.outcome.tolist(),
        strict=True,
    )

    assert set(apart) == {(s, pane, late, int(y)) for s, pane, late, y, _ in found}
    assert counted.n.sum() == len(found)
    within = sum(delay <= BUCKETS[-1] * 1000 for *_, delay in found)
    assert counted.counts(int(BUCKETS[-1])).counts.sum() == within
    assert counted.bucket.max() <= N_BUCKETS


@pytest.mark.parametrize(
    ("pane_s", "expected"), [(60, DAY_S), (3600, DAY_S), (DAY_S, DAY_S), (2 * DAY_S, 2 * DAY_S)]
)
def test_delays_are_counted_by_the_day_or_by_longer_panes(pane_s: int, expected: int) -> None:
    assert delay_pane_s(pane_s) == expected
