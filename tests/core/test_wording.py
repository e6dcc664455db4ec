from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import Series
from monitor.core.verdicts import Direction
from monitor.core.wording import (
    amount,
    direction_words,
    interval,
    moment,
    one_line,
    probabilities,
    series_name,
    span,
)


@pytest.mark.parametrize(
    ("series", "name"),
    [
        (Series("fraud", "7"), "fraud v7"),
        (Series("fraud", "2.1"), "fraud v2.1"),
        (Series("fraud", "v7"), "fraud v7"),
        (Series("gpt-4-turbo", "gpt-4-turbo"), "gpt-4-turbo"),
        (Series("fraud", "2024-04-01"), "fraud 2024-04-01"),
        (Series("fraud", "7", "top_label"), "fraud v7, claim top_label"),
        (Series("fraud", "7", segment="country=DE"), "fraud v7, segment country=DE"),
        (Series("fr\naud\x00", "7\r\n"), "fr aud 7"),
    ],
)
def test_a_series_is_named_on_one_line(series: Series, name: str) -> None:
    assert series_name(series) == name


def test_every_direction_has_its_own_words() -> None:
    assert len({direction_words(direction) for direction in [None, *Direction]}) == 4


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.83, 0.71), ("0.83", "0.71")),
        ((0.95, 0.9), ("0.95", "0.90")),
        ((0.0041, 0.0062), ("0.0041", "0.0062")),
        ((0.04, 0.2), ("0.040", "0.200")),
        ((0.9973, 0.9), ("0.9973", "0.9000")),
        ((0.0, 1.0), ("0.00", "1.00")),
        ((1e-9, 0.5), ("0.000000", "0.500000")),
        ((math.nan, 0.5), ("unknown", "0.50")),
    ],
)
def test_compared_probabilities_carry_the_same_decimals(
    values: tuple[float, ...], said: tuple[str, ...]
) -> None:
    assert probabilities(*values) == said


@given(st.floats(1e-5, 1 - 1e-5))
def test_a_probability_keeps_its_distance_from_0_and_1_within_a_tenth(value: float) -> None:
    (said,) = probabilities(value)
    tail = min(value, 1 - value)
    assert abs(float(said) - value) <= max(tail / 10, 0.005 if tail >= 0.05 else 0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.4, "0"),
        (999.0, "999"),
        (8400, "8,400"),
        (999_999, "999,999"),
        (1e6, "1 million"),
        (2_314_000, "2.31 million"),
        (999_999_999, "1,000 million"),
        (4e9, "4 billion"),
        (3.5e12, "3.5 trillion"),
        (2e17, "about 10^17"),
        (math.inf, "more than 10^308"),
    ],
)
def test_amounts_read_without_counting_zeros(value: float, said: str) -> None:
    assert amount(value) == said


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        ((0.0814, 0.0641, 0.0979), "0.081 (0.064 to 0.098)"),
        ((0.0814, math.nan, 0.0979), "0.081"),
        ((math.nan, 0.1, 0.2), "unknown"),
    ],
)
def test_an_estimate_shows_its_interval_where_there_is_one(
    estimate: tuple[float, float, float], said: str
) -> None:
    assert interval(*estimate) == said


def test_a_moment_is_said_in_utc() -> None:
    at = datetime(2013, 3, 12, 2, 5, tzinfo=timezone(timedelta(hours=3)))
    assert moment(at) == "11 Mar 2013, 23:05 UTC"
    assert moment(datetime(2013, 12, 1, tzinfo=UTC)) == "1 Dec 2013, 00:00 UTC"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(days=3, hours=4, minutes=5), "3 days 4 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=1, minutes=1), "1 hour 1 minute"),
        (timedelta(seconds=20), "less than a minute"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(length: timedelta, said: str) -> None:
    assert span(length) == said


@given(st.text())
def test_one_line_is_one_line_and_stays_so(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert one_line(line) == line
