from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.times import LONGEST, parse_moment, parse_span, span_text


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        ("2w", timedelta(days=14)),
        (" 2d ", timedelta(days=2)),
        ("0s", timedelta(0)),
        ("P2D", timedelta(days=2)),
        ("PT36H", timedelta(hours=36)),
        ("P1W", timedelta(days=7)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("36500d", LONGEST),
    ],
)
def test_spans_people_write(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("value", "mend"),
    [
        (30, "30 has no unit; write 30s, 30m, 30h or 30d"),
        (1.5, "1.5 has no unit"),
        (True, "true is no span; write 90s"),
        (None, "nothing is no span"),
        ("1.5h", '"1.5h" is no span'),
        ("1h30m", '"1h30m" is no span'),
        ("-1d", '"-1d" is no span'),
        ("2 d", '"2 d" is no span'),
        ("P", '"P" is no span'),
        ("PT", '"PT" is no span'),
        ("P1DT", '"P1DT" is no span'),
        ("P1M", '"P1M" is no span'),
        ("P1Y", '"P1Y" is no span'),
        ("٣d", "is no span"),
        ("", '"" is no span'),
        ([1], "a list is no span"),
        ("36501d", "longer than 100 years; use at most 36500d"),
        ("999999999999w", "longer than 100 years"),
        ("P999999999999WT999999999999S", "longer than 100 years"),
    ],
)
def test_what_is_no_span_names_the_mend(value: object, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mend)):
        parse_span(value)


@given(st.integers(0, int(LONGEST.total_seconds())))
def test_a_span_reads_back_as_it_prints(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_span(span_text(span)) == span


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T06:00:00Z", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31 06:00z", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31T06:00:00.5+02:00", datetime(2026, 1, 31, 4, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_moments_are_aware_and_in_utc(text: str, moment: datetime) -> None:
    parsed = parse_moment(text)
    assert parsed == moment
    assert parsed.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("value", "mend"),
    [
        ("2026-01-31T06:00:00", "has no time zone; write 2026-01-31T06:00:00Z if it is UTC"),
        ("2026-02-30", '"2026-02-30" is no time; write 2026-01-31'),
        ("20260131", "is no time"),
        ("2026-W01-1", "is no time"),
        ("2026-01-31T25:00Z", "is no time"),
        ("0001-01-01T00:00:00+10:00", "is no time"),
        (20260131, "20260131 is no time"),
        (None, "nothing is no time"),
    ],
)
def test_what_is_no_moment_names_the_mend(value: object, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mend)):
        parse_moment(value)
