from __future__ import annotations

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.measures.halves import halves
from monitor.core.measures.metrics import metrics
from tests.core.streams import counts


def test_cohorts_take_turns() -> None:
    rng = np.random.default_rng(1)
    a, b, c = (counts(rng, 50) for _ in range(3))

    assert halves([a, b, c], 0) == (a + c, b)
    assert halves([a, b], 0) == (a, b)
    assert halves([], 0) == (BinCounts.empty(), BinCounts.empty())


def test_one_cohort_is_split_row_by_row() -> None:
    whole = counts(np.random.default_rng(2), 4000, lambda z: z / 2 - 0.3, labelled=0.8)

    one, other = halves([whole], 7)

    assert one + other == whole
    assert halves([whole], 7) == (one, other)
    assert one.n_labelled == pytest.approx(whole.n_labelled / 2, rel=0.1)
    for half in (one, other):
        assert (half.sums >= 0).all()
        assert (half.positive <= half.labelled).all()
        held = half.labelled > 0
        assert half.mean_scores()[held] == pytest.approx(whole.mean_scores()[held], abs=0.02)
        assert metrics(half).slope == pytest.approx(metrics(whole).slope, abs=0.1)
        assert metrics(half).base_rate == pytest.approx(metrics(whole).base_rate, abs=0.03)


def test_halves_of_one_cohort_do_not_mirror_each_other() -> None:
    """A stratified split would make the two base rates agree far too well."""
    whole = BinCounts.from_rows(np.full(400, 0.5), np.arange(400) < 200)

    gaps = [
        metrics(one).base_rate - metrics(other).base_rate
        for one, other in (halves([whole], seed) for seed in range(200))
    ]

    assert np.std(gaps) == pytest.approx(0.05, rel=0.2)
