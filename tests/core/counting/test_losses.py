"""Pinball and interval score: known values, and sums that have no order."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from monitor.core.claims import OutcomeRule
from monitor.core.counting.losses import LossCells, loss_sums

numbers = st.floats(-1e6, 1e6)
rows = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=30)


def total(rule: OutcomeRule, level: float, refs: list[list[float]], labels: list[float]) -> object:
    n = len(labels)
    sums = loss_sums(
        np.full(n, rule, dtype=np.int8), np.full(n, level), np.array(refs), np.array(labels)
    )
    return LossCells.of(np.zeros(n, dtype=np.int64), sums).total()


@given(rows, st.sampled_from([0.05, 0.5, 0.9]))
def test_pinball_loss_is_that_of_scikit_learn(
    values: list[tuple[float, float, float]], level: float
) -> None:
    labels, quantiles = [v[0] for v in values], [v[1] for v in values]
    found = total(OutcomeRule.AT_MOST, level, [[q, nan] for q in quantiles], labels)
    expected = mean_pinball_loss(labels, quantiles, alpha=level)
    assert found.loss / len(values) == pytest.approx(expected, abs=1e-8)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("label", "loss", "below"),
    [
        (15.0, 10.0, 0),
        (10.0, 10.0, 0),
        (20.0, 10.0, 0),
        (9.0, 30.0, 1),
        (21.5, 40.0, 0),
        (nan, 0, 0),
    ],
)
def test_the_interval_score_is_width_and_what_misses_cost(
    label: float, loss: float, below: int
) -> None:
    """Of [10, 20] at 90 %: 10, and 2 / 0.1 times the distance outside (Gneiting and Raftery)."""
    found = total(OutcomeRule.WITHIN, 0.9, [[10.0, 20.0]], [label])
    assert found.loss == pytest.approx(loss)  # type: ignore[attr-defined]
    assert found.below == below  # type: ignore[attr-defined]
    assert found.width == (0 if np.isnan(label) else 10)  # type: ignore[attr-defined]


@given(rows, st.randoms(use_true_random=False))
def test_a_sum_of_losses_has_no_order(
    values: list[tuple[float, float, float]], random: object
) -> None:
    n = len(values)
    labels, low, high = map(np.array, zip(*values, strict=True))
    sums = loss_sums(
        np.full(n, OutcomeRule.WITHIN, dtype=np.int8),
        np.full(n, 0.9),
        np.column_stack([low, high]),
        labels,
    )
    key = np.arange(n) % 3
    order = np.array(sorted(range(n), key=lambda _: random.random()))  # type: ignore[attr-defined]
    whole = LossCells.of(key, sums)
    cut = n // 2
    parts = [LossCells.of(key[o], sums[o]) for o in (order[:cut], order[cut:])]
    assert LossCells.merge(parts) == whole == LossCells.merge(parts[::-1])
