"""One temperature for several classes: found again, never worse, from a sample without an order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.recalibration.class_temperature import class_temperature, uniform_sample


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_temperature_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=1.5, size=(20_000, 4))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (honest.cumsum(axis=1) > rng.random((len(honest), 1))).argmax(axis=1)
    stated = np.exp(temperature * logits)
    found = class_temperature(stated / stated.sum(axis=1, keepdims=True), label)
    assert found is not None
    assert found.temperature == pytest.approx(temperature, rel=0.03)
    assert found.log_loss_after <= found.log_loss_before


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=20))
def test_it_is_never_worse_on_its_own_rows(rows: list[tuple[float, int]]) -> None:
    p = np.array([row[0] for row in rows])
    found = class_temperature(np.column_stack([p, 1 - p]), np.array([row[1] for row in rows]))
    assert found is not None
    assert found.log_loss_after <= found.log_loss_before + 1e-9


def test_nothing_is_fitted_to_nothing() -> None:
    assert class_temperature(np.empty((0, 3)), np.empty(0, dtype=np.intp)) is None


@given(st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=60), st.integers(1, 30))
def test_a_sample_of_parts_is_that_of_the_whole(keys: set[int], most: int) -> None:
    key = np.array(sorted(keys, key=lambda k: k % 7), dtype=np.uint64)
    whole = set(key[uniform_sample(key, most)].tolist())
    assert len(whole) == min(most, len(key))
    half = len(key) // 2
    parts = [part[uniform_sample(part, most)] for part in (key[:half], key[half:])]
    again = np.concatenate(parts)
    assert set(again[uniform_sample(again, most)].tolist()) == whole
