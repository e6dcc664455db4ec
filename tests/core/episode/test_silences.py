from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.episode.silences import Acknowledgement, Matcher, Silence

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LABELS = {
    "model": "fraud",
    "version": "7",
    "claim": "positive",
    "segment": "country=DE",
    "team": "",
    "severity": "warning",
}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("model=fraud", True),
        ("model=fraud2", False),
        ("model=fra", False),
        ("model=~fra", False),
        ("model=~fra.*", True),
        ("segment=country=DE", True),
        ("segment=~country=(DE|FR)", True),
        ("segment=", False),
        ("team=", True),
        ("severity=critical", False),
    ],
)
def test_a_matcher_reads_as_it_prints_and_meets_whole_values(text: str, *, met: bool) -> None:
    matcher = Matcher.parse(text)
    assert str(matcher) == text
    assert matcher.matches(LABELS) is met


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("fraud", "is no matcher; write model=fraud"),
        ("colour=red", "'colour' is no label of an alert; use one of model, version"),
        ("model=~(", "is no regular expression that can be used here: a `\\(` without its"),
        ("model=~(?=a)", "of which only `\\(\\?:` is known"),
    ],
)
def test_what_is_no_matcher_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        Matcher.parse(text)


def silence(*texts: str, author: str = "ann", reason: str = "known", hours: int = 1) -> Silence:
    matchers = tuple(Matcher.parse(text) for text in texts)
    return Silence(matchers, author, reason, NOW, NOW + timedelta(hours=hours))


def test_a_silence_covers_what_all_its_matchers_meet_and_holds_until_before_its_end() -> None:
    one = silence("model=fraud", "segment=~country=.*")
    assert one.covers(LABELS)
    assert not one.covers(LABELS | {"segment": ""})
    moments = [NOW - timedelta(seconds=1), NOW, one.ends_at - timedelta(seconds=1), one.ends_at]
    assert [one.is_active(moment) for moment in moments] == [False, True, True, False]


def test_what_nobody_could_answer_for_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a matcher"):
        silence()
    with pytest.raises(ValueError, match="author is empty; say who"):
        silence("model=fraud", author=" ")
    with pytest.raises(ValueError, match="reason is empty; say why"):
        Acknowledgement("group", "ann", "", NOW)
    with pytest.raises(ValueError, match="must end after its start"):
        silence("model=fraud", hours=0)


def test_what_only_an_older_version_took_silences_nothing() -> None:
    assert not Matcher("model", "(?i)FRAUD", is_regex=True).matches(LABELS)
