"""Cells: adding rows is what a dictionary would do, however often keys repeat and rows are cut."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.bins import N_SUMS
from monitor.core.panes import Cells

Rows = list[tuple[int, tuple[int, ...]]]


def rows_of(keys: int) -> st.SearchStrategy[Rows]:
    """Rows of this many keys: of few most repeat, of many hardly any; some add up to nothing."""
    amounts = st.tuples(*[st.integers(-2, 2)] * N_SUMS)
    return st.lists(st.tuples(st.integers(0, keys - 1), amounts), max_size=60)


def cells(rows: Rows) -> Cells:
    key = np.array([k for k, _ in rows], dtype=np.int64)
    return Cells.of(key, np.array([n for _, n in rows], dtype=np.int64).reshape(-1, N_SUMS))


def added(rows: Rows) -> dict[int, list[int]]:
    total: dict[int, list[int]] = defaultdict(lambda: [0] * N_SUMS)
    for key, amounts in rows:
        total[key] = [have + more for have, more in zip(total[key], amounts, strict=True)]
    return {key: amounts for key, amounts in sorted(total.items()) if any(amounts)}


@pytest.mark.parametrize("keys", [1, 3, 40, 10_000])
def test_rows_of_a_key_are_added_and_zero_cells_dropped(keys: int) -> None:
    @given(rows=rows_of(keys))
    def holds(rows: Rows) -> None:
        found = cells(rows)

        assert list(zip(found.key.tolist(), found.sums.tolist(), strict=True)) == list(
            added(rows).items()
        )

    holds()


@pytest.mark.parametrize("keys", [1, 3, 40, 10_000])
def test_parts_merge_to_the_whole_in_any_order(keys: int) -> None:
    @given(rows=rows_of(keys), cut=st.integers(0, 60))
    def holds(rows: Rows, cut: int) -> None:
        one, other = cells(rows[:cut]), cells(rows[cut:])

        assert Cells.merge([one, other]) == cells(rows)
        assert Cells.merge([other, one]) == cells(rows)

    holds()


def test_what_is_taken_out_again_leaves_the_rest() -> None:
    rng = np.random.default_rng(5)
    key, sums = rng.integers(0, 3000, 2000), rng.integers(0, 10**12, (2000, N_SUMS))
    whole, gone = Cells.of(key, sums), Cells.of(key[:700], sums[:700])

    rest = Cells.merge([whole, Cells(gone.key, -gone.sums)])

    assert rest == Cells.of(key[700:], sums[700:])
