from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.core.episode.patterns import LinearPattern

TIMES = ["", "", "*", "+", "?", "{2}", "{0}", "{1,}", "{0,2}", "{2,3}"]
atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\W", r"\.", "[a-c1]", "é"])
patterns = st.recursive(
    st.builds(str.__add__, atoms, st.sampled_from(TIMES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join),
        st.builds("({}){}".format, inner, st.sampled_from(TIMES)),
        st.builds("(?:{}){}".format, inner, st.sampled_from(TIMES)),
    ),
    max_leaves=6,
)


@given(patterns.filter(lambda text: len(text) <= 40), st.text("ab1c.é\n", max_size=8))
@example("(a|b)*", "abba")
@example("(a?){2,3}b", "aab")
@example("", "")
def test_it_matches_what_pythons_own_matches(pattern: str, value: str) -> None:
    assert LinearPattern(pattern).matches(value) == (re.fullmatch(pattern, value) is not None)


@pytest.mark.parametrize(
    "pattern", ["(a*)*b", "(a|a)*b", "(a|aa)+b", ".*.*.*.*.*.*.*.*b", "(a+)+b"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """Python's own takes years for these, and then the suite's time is over."""
    assert not LinearPattern(pattern).matches("a" * 2000)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("a" * 201, "longer than 200 characters"),
        ("((a{50}){50}){50}", "more than 2000 steps"),
        ("(" * 21 + ")" * 21, "more than 20 groups within each other"),
        ("a)", r"a `\)` without its `\(` at character 2"),
        ("(a", r"a `\(` without its `\)` at character 3"),
        ("[a", r"a `\[` without its `\]` at character 1"),
        ("[b-a]", "is no set of characters"),
        ("[[a]", "need a .* before them"),
        ("*a", r"a `\*` that means nothing here"),
        ("^a$", "values are matched whole anyway"),
        ("a**", "a repetition of a repetition"),
        ("a{3,2}", "whose end is before its start"),
        ("a{x}", "no number of times"),
        (r"\1", "an unknown escape"),
        ("a\\\\"[:-1], "an unknown escape"),
        ("(?P<n>a)", r"of which only `\(\?:` is known"),
    ],
)
def test_what_it_does_not_know_is_refused_with_the_place(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LinearPattern(pattern)
