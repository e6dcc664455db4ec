"""Edges that must never move, and counts that add like numbers."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.bins import (
    EDGES,
    EDGES_VERSION,
    FIXED_POINT,
    N_BINS,
    SUMS,
    BinCounts,
    bin_index,
    row_sums,
)

scores = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, 1.0, 0.3, 0.6, 0.7, 1e-6, 1 - 1e-6]),
    st.sampled_from(list(EDGES)),
)
rows = st.lists(st.tuples(scores, st.booleans(), st.booleans()), max_size=40)


def counted(some: list[tuple[float, bool, bool]]) -> BinCounts:
    score, outcome, labelled = zip(*some, strict=True) if some else ((), (), ())
    return BinCounts.from_rows(
        np.array(score, dtype=np.float64),
        np.array(outcome, dtype=np.bool_),
        np.array(labelled, dtype=np.bool_),
    )


counts = st.tuples(rows, st.integers(1, 2**30)).map(
    lambda drawn: BinCounts(counted(drawn[0]).sums * drawn[1])
)


def test_stored_indices_keep_their_meaning() -> None:
    digest = hashlib.sha256(EDGES.astype("<f8").tobytes()).hexdigest()
    assert (EDGES_VERSION, N_BINS) == (1, 316)
    assert digest == "e6dd933e5c2c06f46548514b190aaec159214a58f9bbca9082fea72964efbd42"


def test_every_edge_closes_its_own_bin_and_opens_the_next() -> None:
    assert bin_index(EDGES).tolist() == list(range(N_BINS))
    inner = np.nextafter(EDGES[:-1], 1)
    assert bin_index(inner).tolist() == list(range(1, N_BINS))
    assert bin_index(np.array([0.0, 5e-324, 1.0])).tolist() == [0, 0, N_BINS - 1]


def test_edges_rise_from_the_clip_to_one() -> None:
    assert (np.diff(EDGES) > 0).all()
    assert EDGES[0] == pytest.approx(1e-6)
    assert EDGES[-1] == 1


def test_sums_of_one_row_of_each_kind() -> None:
    found = row_sums(
        np.array([0.25, 0.25, 0.25, 0.0]),
        np.array([True, True, False, True]),
        np.array([True, False, True, True]),
    )
    log_quarter, log_rest, log_clip = (round(-np.log(p) * FIXED_POINT) for p in (0.25, 0.75, 1e-15))
    assert dict(zip(SUMS, found.T.tolist(), strict=True)) == {
        "n_predicted": [1, 1, 1, 1],
        "n_labelled": [1, 1, 0, 1],
        "n_positive": [1, 0, 0, 1],
        "score_sum": [250_000_000, 250_000_000, 0, 0],
        "score_square_sum": [62_500_000, 62_500_000, 0, 0],
        "score_positive_sum": [250_000_000, 0, 0, 0],
        "log_loss_sum": [log_quarter, log_rest, 0, log_clip],
    }


def test_properties_read_the_columns() -> None:
    some = counted([(0.5, True, True), (0.5, False, True), (0.9, True, False), (0.1, False, True)])
    assert (some.n_predicted, some.n_labelled, some.n_positive) == (4, 3, 1)
    assert some.coverage == 0.75
    assert some.predicted.sum() == 4
    assert some.labelled[bin_index(np.array([0.9]))].tolist() == [0]
    assert some.positive[bin_index(np.array([0.5]))].tolist() == [1]
    means = some.mean_scores()
    assert means[bin_index(np.array([0.1, 0.5]))].tolist() == [0.1, 0.5]
    assert np.isnan(means).sum() == N_BINS - 2
    assert np.isnan(BinCounts.empty().coverage)


@given(counts, counts, counts)
def test_merging_is_a_commutative_monoid(a: BinCounts, b: BinCounts, c: BinCounts) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + BinCounts.empty() == a


@given(rows, st.integers(0, 40), st.randoms(use_true_random=False))
def test_splitting_and_shuffling_change_nothing(
    some: list[tuple[float, bool, bool]],
    at: int,
    random: object,
) -> None:
    whole = counted(some)
    assert counted(some[:at]) + counted(some[at:]) == whole
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hides its Random's type
    assert counted(shuffled) == whole


@given(counts, counts)
def test_counts_are_equal_only_when_every_sum_is(a: BinCounts, b: BinCounts) -> None:
    assert (a == b) == bool((a.sums == b.sums).all())
    assert a != a + BinCounts.from_rows(np.array([0.5]), np.array([True]))
    assert a.__eq__(0) is False
