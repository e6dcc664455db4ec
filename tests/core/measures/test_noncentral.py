"""The noncentrality's interval against the distribution it inverts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, ncx2

from monitor.core.measures.noncentral import noncentrality_interval, noncentrality_intervals


@pytest.mark.parametrize("freedom", [0.7, 1.0, 14.0, 40.0])
@pytest.mark.parametrize("statistic", [60.0, 300.0, 1e4, 1e6])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_ends_are_where_the_statistic_is_a_quantile(
    freedom: float, statistic: float, level: float
) -> None:
    low, high = noncentrality_interval(statistic, freedom, level)
    assert low < statistic - freedom < high or low == 0
    if low:
        assert ncx2.cdf(statistic, freedom, low) == pytest.approx((1 + level) / 2, abs=1e-5)
    assert ncx2.cdf(statistic, freedom, high) == pytest.approx((1 - level) / 2, abs=1e-5)


@pytest.mark.parametrize("freedom", [1.0, 14.0])
def test_zero_is_excluded_by_a_significant_statistic_alone(freedom: float) -> None:
    critical = float(chi2.ppf(0.975, freedom))
    assert noncentrality_interval(critical * 0.999, freedom, 0.95)[0] == 0
    assert noncentrality_interval(critical * 1.01, freedom, 0.95)[0] > 0
    assert noncentrality_interval(0.0, freedom, 0.95) == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0.05, 40)), max_size=8))
def test_ends_do_not_depend_on_what_else_is_asked(asked: list[tuple[float, float]]) -> None:
    statistic, freedom = np.array(asked).reshape(-1, 2).T
    low, high = noncentrality_intervals(statistic, freedom, 0.95)
    found = list(zip(low.tolist(), high.tolist(), strict=True))
    assert found == [noncentrality_interval(x, f, 0.95) for x, f in asked]
