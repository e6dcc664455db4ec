"""Segments against a loop over them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.segments import Segments

ragged = st.lists(st.lists(st.floats(-1e6, 1e6), max_size=40), max_size=8)


@given(ragged)
def test_sums_and_extremes_are_those_of_each_alone(some: list[list[float]]) -> None:
    of = Segments.of([len(each) for each in some])
    values = np.array([x for each in some for x in each])
    both = np.stack([values, -values])
    alone = [Segments.of([len(each)]).sums(np.array(each))[0] for each in some]
    assert of.sums(values).tolist() == alone
    assert of.sums(both).tolist() == [alone, [-x for x in alone]]
    least = [min(each, default=np.inf) for each in some]
    assert of.reduced(np.minimum, values, np.inf).tolist() == least


@given(ragged)
def test_what_is_spread_stands_at_every_place(some: list[list[float]]) -> None:
    of = Segments.of([len(each) for each in some])
    values = np.array([x for each in some for x in each])
    place = np.arange(float(len(some)))
    assert of.spread(place).tolist() == [float(k) for k, each in enumerate(some) for _ in each]
    assert [each.tolist() for each in of.apart(values)] == some
    assert (values + of.beside(place)).tolist() == (values + of.spread(place)).tolist()


@given(st.lists(st.lists(st.integers(0, 10**12), max_size=20), max_size=8))
def test_what_lies_below_a_place_is_of_its_segment(some: list[list[int]]) -> None:
    of = Segments.of([len(each) for each in some])
    values = np.array([x for each in some for x in each], dtype=np.int64)
    below = [sum(each[:k]) for each in some for k in range(len(each))]
    assert of.below(values).tolist() == below
    assert of.below(values / 2).tolist() == [x / 2 for x in below]


@given(ragged)
def test_sums_up_to_a_place_are_those_of_its_segment_alone(some: list[list[float]]) -> None:
    of = Segments.of([len(each) for each in some])
    values = np.array([x for each in some for x in each])
    alone = [x for each in some for x in np.cumsum(each).tolist()]
    assert of.cumulated(values).tolist() == alone
