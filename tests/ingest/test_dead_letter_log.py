"""A flood of bad messages is sampled in the log and counted in full."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest.dead_letter_log import (
    EVERY,
    FULL,
    DeadLetterLog,
    DeadLetterSampler,
    Detail,
    Summary,
)
from monitor.store.ingest import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def letters(n: int, topic: str = "labels", reason: str = "not_json") -> list[DeadLetter]:
    return [
        DeadLetter(topic, 0, offset, reason, "the detail", b"key", b"payload", None)
        for offset in range(n)
    ]


def details(lines: Sequence[Detail | Summary]) -> list[int]:
    return [line.letter.offset for line in lines if isinstance(line, Detail)]


def summaries(lines: Sequence[Detail | Summary]) -> list[Summary]:
    return [line for line in lines if isinstance(line, Summary)]


def test_the_first_few_of_a_minute_are_told_in_full_and_the_rest_are_counted() -> None:
    sampler = DeadLetterSampler()
    told = sampler.note(letters(1000), START)
    assert (details(told), summaries(told)) == (list(range(FULL)), [])
    assert sampler.note(letters(500), START + timedelta(seconds=59)) == []
    [summary] = sampler.note([], START + EVERY)
    assert summary == Summary("labels", "not_json", 1500, 1500 - FULL, 1500)
    assert sampler.note([], START + 10 * EVERY) == []


def test_the_next_minute_begins_again_and_the_total_goes_on() -> None:
    sampler = DeadLetterSampler()
    sampler.note(letters(10), START)
    told = sampler.note(letters(7), START + EVERY)
    assert summaries(told) == [Summary("labels", "not_json", 10, 10 - FULL, 10)]
    assert details(told) == list(range(FULL))
    assert sampler.flush() == [Summary("labels", "not_json", 7, 7 - FULL, 17)]
    assert sampler.flush() == []


def test_topics_and_reasons_are_sampled_apart() -> None:
    sampler = DeadLetterSampler()
    mixed = letters(9) + letters(1, reason="empty") + letters(2, topic="predictions")
    assert len(details(sampler.note(mixed, START))) == FULL + 1 + 2
    found = {(s.topic, s.reason): (s.letters, s.suppressed) for s in sampler.flush()}
    assert found == {
        ("labels", "not_json"): (9, 9 - FULL),
        ("labels", "empty"): (1, 0),
        ("predictions", "not_json"): (2, 0),
    }


def test_a_clock_that_was_set_back_ends_the_minute() -> None:
    sampler = DeadLetterSampler()
    sampler.note(letters(10), START)
    told = sampler.note(letters(1), START - timedelta(hours=1))
    assert [s.letters for s in summaries(told)] == [10]
    assert len(details(told)) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(-30, 90),
            st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=12),
        ),
        max_size=30,
    )
)
def test_every_letter_is_in_the_summaries_whatever_the_clock_does(
    batches: list[tuple[int, list[tuple[str, str]]]],
) -> None:
    sampler = DeadLetterSampler()
    lines: list[Detail | Summary] = []
    now = START
    sent: Counter[tuple[str, str]] = Counter()
    for step_s, kinds in batches:
        now += timedelta(seconds=step_s)
        lines += sampler.note([one for kind in kinds for one in letters(1, *kind)], now)
        sent.update(kinds)
    lines += sampler.flush()
    told: Counter[tuple[str, str]] = Counter()
    in_full = Counter((d.letter.topic, d.letter.reason) for d in lines if isinstance(d, Detail))
    suppressed: Counter[tuple[str, str]] = Counter()
    for summary in summaries(lines):
        key = (summary.topic, summary.reason)
        told[key] += summary.letters
        suppressed[key] += summary.suppressed
        assert summary.total == told[key]
    assert told == sent
    assert in_full + suppressed == sent


@pytest.fixture
def output() -> Iterator[StringIO]:
    stream = StringIO()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    yield stream
    structlog.reset_defaults()


def test_the_log_has_places_and_counts_and_never_a_payload(output: StringIO) -> None:
    log = DeadLetterLog()
    log.note(letters(20), START)
    log.flush()
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert len(lines) == FULL + 1
    assert lines[0] == {
        "event": "dead letter", "level": "warning", "topic": "labels", "partition": 0,
        "offset": 0, "reason": "not_json",
    }  # fmt: skip
    assert lines[-1] == {
        "event": "dead letters", "level": "warning", "topic": "labels", "reason": "not_json",
        "letters": 20, "suppressed": 20 - FULL, "total": 20,
    }  # fmt: skip
    assert "payload" not in output.getvalue()


def test_a_detail_is_not_logged_for_it_may_quote_the_payload(output: StringIO) -> None:
    quoting = DeadLetter("labels", 0, 1, "bad_label", "label is 'secret'", None, None, None)
    DeadLetterLog().note([quoting], START)
    assert "bad_label" in output.getvalue()
    assert "secret" not in output.getvalue()
