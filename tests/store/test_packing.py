from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.store.packing import pack, unpack

integers = st.lists(st.integers(-(2**63), 2**63 - 1))
floats = st.lists(st.floats(width=64))


@given(integers, floats, st.lists(st.integers(0, 2**64 - 1)))
def test_what_is_unpacked_equals_what_was_packed(
    one: list[int], two: list[float], three: list[int]
) -> None:
    columns = {
        "sums": np.array(one, dtype=np.int64).reshape(-1, 1),
        "score": np.array(two, dtype=np.float64),
        "key": np.array(three, dtype=np.uint64),
    }
    found = unpack(pack(columns))
    assert list(found) == list(columns)
    for name, column in columns.items():
        assert found[name].dtype == column.dtype
        assert found[name].shape == column.shape
        assert found[name].tobytes() == column.tobytes()


@given(st.data())
def test_a_damaged_payload_is_refused(data: st.DataObject) -> None:
    payload = bytearray(pack({"key": np.arange(50, dtype=np.uint64)}))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="damaged or of an unknown layout"):
        unpack(bytes(payload))


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(b"")
