"""Outcome rules and segment names."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import WHOLE, OutcomeRule, Series, marginals, outcomes, segment_name

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
