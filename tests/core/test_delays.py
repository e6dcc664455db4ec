from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.delays import (
    BUCKETS,
    DAY_S,
    HOUR_S,
    LONGEST_S,
    N_BUCKETS,
    NEGATIVE,
    POSITIVE,
    DelayCounts,
    bucket,
    implicit_null,
    null_offset,
)
from monitor.core.measures.logistic import logit, sigmoid
from tests.core.delayed import rows

labels = st.lists(
    st.tuples(
        st.one_of(st.floats(-10, 1e9), st.sampled_from([0.0, *BUCKETS.tolist()])), st.booleans()
    ),
    max_size=40,
)
ages = st.integers(1, 2 * LONGEST_S)


def counted(some: list[tuple[float, bool]], until_s: int = LONGEST_S) -> DelayCounts:
    delay_s, outcome = zip(*some, strict=True) if some else ((), ())
    return DelayCounts.from_rows(
        np.array(delay_s, dtype=np.float64), np.array(outcome, dtype=np.bool_), until_s
    )


delays = st.tuples(labels, ages).map(lambda drawn: counted(*drawn))


def test_buckets_rise_and_close_on_the_usual_horizons() -> None:
    assert (np.diff(BUCKETS) > 0).all()
    assert (BUCKETS[1:] / BUCKETS[:-1])[BUCKETS[1:] > 16].max() < 1.25
    for horizon_s in (60, HOUR_S, 12 * HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S, 90 * DAY_S):
        at = int(bucket(np.array([float(horizon_s)]))[0])
        assert BUCKETS[at] == horizon_s
    assert bucket(np.array([-5.0, 0.0, 1.0, LONGEST_S, LONGEST_S + 1])).tolist() == [
        0,
        0,
        0,
        N_BUCKETS - 1,
        N_BUCKETS,
    ]


@given(delays, delays, delays)
def test_merging_is_a_commutative_monoid(a: DelayCounts, b: DelayCounts, c: DelayCounts) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + DelayCounts.empty() == a
    assert a.__eq__(0) is False


@given(labels, st.integers(0, 40), ages)
def test_splitting_changes_nothing(some: list[tuple[float, bool]], at: int, until_s: int) -> None:
    assert counted(some[:at], until_s) + counted(some[at:], until_s) == counted(some, until_s)


@given(labels, ages, ages)
def test_a_shorter_age_is_what_would_have_been_seen(
    some: list[tuple[float, bool]], long_s: int, short_s: int
) -> None:
    shorter = min(long_s, short_s)
    assert counted(some, long_s).until(short_s) == counted(some, shorter)
    assert counted(some, long_s) + DelayCounts.empty(short_s) == counted(some, shorter)


@given(delays, st.sampled_from([POSITIVE, NEGATIVE, None]), st.floats(0.01, 0.99))
def test_share_rises_and_undoes_the_quantile(
    some: DelayCounts, outcome: int | None, share: float
) -> None:
    n = some.labels(outcome).sum()
    age_s = some.quantile(share, outcome)
    if not n:
        assert np.isnan(age_s)
        assert np.isnan(some.share_by(1, outcome))
        return
    assert some.share_by(age_s, outcome) == pytest.approx(share, abs=1e-9)
    edges = [e for e in BUCKETS.tolist() if e <= some.until_s]
    shares = [some.share_by(e, outcome) for e in edges]
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1
    assert np.isnan(some.share_by(some.until_s + 1, outcome))


def test_an_age_under_the_first_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="1 s or longer"):
        DelayCounts.empty(0)


def test_shares_and_quantiles_are_those_of_the_delays() -> None:
    found = rows(np.random.default_rng(1), 200_000).delays(LONGEST_S)

    assert found.share_by(7 * DAY_S, POSITIVE) == pytest.approx(1 - np.exp(-3.5), abs=0.003)
    assert found.share_by(7 * DAY_S, NEGATIVE) == pytest.approx(1 - np.exp(-1), abs=0.003)
    median_s = 7 * DAY_S * np.log(2)
    assert found.quantile(0.5, NEGATIVE) == pytest.approx(median_s, rel=0.02)


def test_with_the_offset_a_calibrated_model_is_calibrated_at_a_week() -> None:
    history = rows(np.random.default_rng(2), 100_000).delays()
    found = null_offset(history, 7 * DAY_S)
    fresh = rows(np.random.default_rng(3), 100_000).by(7 * DAY_S)
    held = fresh.labelled > 0
    n, z = fresh.labelled[held], logit(fresh.mean_scores()[held])
    sd = np.sqrt(fresh.n_labelled * 0.2)

    assert found.value == pytest.approx(np.log((1 - np.exp(-3.5)) / (1 - np.exp(-1))), abs=0.02)
    assert 0.001 < found.se < 0.01
    assert n @ sigmoid(z + found.value) == pytest.approx(fresh.n_positive, abs=4 * sd)
    assert fresh.n_positive - n @ sigmoid(z) > 30 * sd


def test_implicit_negatives_are_expected_at_q_times_the_share_of_positives() -> None:
    history = rows(np.random.default_rng(4), 100_000).delays()
    fresh = rows(np.random.default_rng(5), 100_000)
    come = int((fresh.outcome & (fresh.delay_s <= 3 * DAY_S)).sum())

    expected = implicit_null(fresh.score, history, 3 * DAY_S).sum()

    assert expected == pytest.approx(come, abs=4 * np.sqrt(100_000 * 0.2))


@pytest.mark.parametrize(
    ("some", "horizon_s"),
    [
        pytest.param([], DAY_S, id="no labels"),
        pytest.param([(5.0, True)] * 9, DAY_S, id="one class"),
        pytest.param([(5.0, True), (9e5, False)], DAY_S, id="no negative by then"),
        pytest.param([(5.0, True), (9.0, False)], 2 * LONGEST_S, id="beyond what was seen"),
    ],
)
def test_what_the_counts_do_not_decide_is_nan(
    some: list[tuple[float, bool]], horizon_s: int
) -> None:
    found = null_offset(counted(some), horizon_s)

    assert np.isnan(found.value)
    assert np.isnan(found.se)


def test_no_offset_where_all_labels_are_on_time() -> None:
    found = null_offset(counted([(5.0, True), (9.0, False), (60.0, False)]), DAY_S)

    assert (found.value, found.se) == (0.0, 0.0)


def test_implicit_null_without_positives_is_nan() -> None:
    assert np.isnan(implicit_null(np.array([0.2]), counted([(5.0, False)]), DAY_S)).all()
