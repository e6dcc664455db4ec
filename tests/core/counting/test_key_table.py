"""The map from keys to rows against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.counting.join_rows import NO_TIME, LateLabels, RowLabels
from monitor.core.counting.key_table import ABSENT, KeyTable

# Few distinct upper halves: they decide the slot, so that keys crowd.
keys = st.builds(lambda high, low: high << 32 | low, st.integers(0, 5), st.integers(0, 60))
batches = st.lists(st.lists(keys, max_size=40, unique=True), max_size=30)


@settings(max_examples=200, deadline=None)
@given(batches=batches, room=st.sampled_from([0, 1, 5_000]))
def test_rows_and_find_agree_with_a_dictionary(batches: list[list[int]], room: int) -> None:
    table, known = KeyTable(), dict[int, int]()
    table.reserve(room)
    for batch in batches:
        rows = table.rows(np.array(batch, dtype=np.uint64)).tolist()
        new = [row for key, row in zip(batch, rows, strict=True) if key not in known]
        assert sorted(new) == list(range(len(known), len(known) + len(new)))
        known |= {key: row for key, row in zip(batch, rows, strict=True) if key not in known}
        assert rows == [known[key] for key in batch]
        table.fit()
    assert len(table) == len(known)
    assert {int(key): row for row, key in enumerate(table.keys)} == known
    asked = [*known, *known, 1 << 40]
    expected = [*known.values(), *known.values(), ABSENT]
    assert table.find(np.array(asked, dtype=np.uint64)).tolist() == expected


def test_it_grows_by_many_at_once_and_gives_back_what_was_not_needed() -> None:
    rng = np.random.default_rng(5)
    some = np.unique(rng.integers(0, 2**64, 100_000, dtype=np.uint64))
    table = KeyTable()
    table.reserve(3_000_000)
    rows = table.rows(some)
    large = table.slots
    table.fit()
    assert table.slots < large / 10
    assert np.array_equal(table.rows(some), rows)


@pytest.mark.parametrize("kind", [RowLabels, LateLabels])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_labels_of_rows_agree_with_a_dictionary(
    kind: type[RowLabels | LateLabels], data: st.DataObject
) -> None:
    labels, known, size = kind(), dict[int, tuple[int, float]](), 0
    for step in range(data.draw(st.integers(1, 8))):
        if isinstance(labels, RowLabels):
            labels.grow(size, size + 10)
        size += 10
        rows = data.draw(st.lists(st.integers(0, size - 1), unique=True))
        at = np.array(rows, dtype=np.int64)
        labels.put(at, at * 10 + step, at / 10 + step)
        known |= {row: (row * 10 + step, row / 10 + step) for row in rows}
    ms, label = labels.get(np.arange(size))
    held = [row for row in range(size) if ms[row] != NO_TIME]
    assert {row: (int(ms[row]), float(label[row])) for row in held} == known
    assert np.isnan(np.delete(label, held)).all()
