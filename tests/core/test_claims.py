"""Outcome rules and segment names."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import (
    WHOLE,
    OutcomeRule,
    Series,
    marginals,
    outcomes,
    pooled,
    segment_name,
    watch_values,
)

NAMES = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("rule", "low", "high", "label", "outcome"),
    [
        (OutcomeRule.EQUALS, 1, nan, 1, True),
        (OutcomeRule.EQUALS, 1, nan, 0, False),
        (OutcomeRule.EQUALS, 1, nan, nan, False),
        (OutcomeRule.EQUALS, 3, 4, 4, False),
        (OutcomeRule.AT_MOST, 2.5, nan, 2.5, True),
        (OutcomeRule.AT_MOST, 2.5, nan, np.nextafter(2.5, 3), False),
        (OutcomeRule.AT_MOST, 2.5, nan, -inf, True),
        (OutcomeRule.AT_MOST, 2.5, nan, nan, False),
        (OutcomeRule.WITHIN, -1, 2, -1, True),
        (OutcomeRule.WITHIN, -1, 2, 2, True),
        (OutcomeRule.WITHIN, -1, 2, np.nextafter(2, 3), False),
        (OutcomeRule.WITHIN, -1, 2, np.nextafter(-1, -2), False),
        (OutcomeRule.WITHIN, -1, inf, 1e300, True),
        (OutcomeRule.WITHIN, -1, 2, nan, False),
        (OutcomeRule.WITHIN, 2, -1, 0, False),
    ],
)
def test_outcome(
    rule: OutcomeRule, low: float, high: float, label: float, *, outcome: bool
) -> None:
    found = outcomes(
        np.array([rule], dtype=np.int8), np.array([low]), np.array([high]), np.array([label])
    )
    assert found.tolist() == [outcome]


def test_one_batch_may_mix_rules() -> None:
    label = np.full(3, 5.0)
    found = outcomes(
        np.array([0, 1, 2], dtype=np.int8), np.array([5.0, 4.0, 4.0]), np.full(3, 6.0), label
    )
    assert found.tolist() == [True, False, True]


def test_stored_rule_numbers_keep_their_meaning() -> None:
    assert [(rule.name, rule.value) for rule in OutcomeRule] == [
        ("EQUALS", 0),
        ("AT_MOST", 1),
        ("WITHIN", 2),
    ]


@given(st.dictionaries(NAMES, st.text(max_size=8), min_size=1, max_size=4))
def test_a_segment_is_taken_apart_into_its_dimensions(values: dict[str, str]) -> None:
    name = segment_name(values)
    parts = [segment_name({key: values[key]}) for key in sorted(values)]
    assert marginals(name) == (WHOLE, *parts)
    assert segment_name(dict(reversed(values.items()))) == name


@given(*[st.dictionaries(NAMES, st.text(max_size=8), max_size=3)] * 2)
def test_different_segments_have_different_names(a: dict[str, str], b: dict[str, str]) -> None:
    assert (segment_name(a) == segment_name(b)) == (a == b)


def test_all_traffic_is_its_own_only_marginal() -> None:
    assert segment_name({}) == WHOLE
    assert marginals(WHOLE) == (WHOLE,)


def test_a_series_is_by_default_all_traffic_of_the_binary_claim() -> None:
    assert Series("fraud", "7") == Series("fraud", "7", "positive", "")
    assert Series("a", "2") < Series("b", "1")


@given(st.lists(st.tuples(NAMES, st.sampled_from("abcdef")), max_size=40), st.integers(1, 4))
def test_the_first_values_of_a_dimension_are_watched_and_the_rest_are_other(
    seen: list[tuple[str, str]], most: int
) -> None:
    watched: dict[str, set[str]] = {}
    first: dict[str, list[str]] = {}
    for dimension, value in seen:
        values = first.setdefault(dimension, [])
        if value not in values and len(values) < most:
            values.append(value)
        expected = {dimension: value if value in values else "other", "z1": "x"}
        found = pooled(segment_name({dimension: value, "z1": "x"}), watched, most)
        assert found == segment_name(expected)
        watch_values(found, watched)
    assert all(len(values) <= most for values in watched.values())


def test_other_takes_no_place_of_a_value_and_all_traffic_is_never_pooled() -> None:
    watched: dict[str, set[str]] = {}
    watch_values("country=other", watched)
    assert pooled("country=DE", watched, 1) == "country=DE"
    assert pooled(WHOLE, watched, 1) == WHOLE
