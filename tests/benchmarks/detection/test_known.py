"""Days in random order, the informed observer, and who counts as a rival."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.measures.logistic import sigmoid
from tests.benchmarks.detection import informed, known_table
from tests.benchmarks.detection.informed import Known
from tests.benchmarks.detection.recorded import Recorded
from tests.benchmarks.detection.shuffled_table import shuffled

CHANGE = Known("made up", "2024-01-01", "2024-03-01", "2024-06-01")


def made_up(lower: float) -> Recorded:
    """300 rows a day from January to May; from March on outcomes are `lower` logits rarer."""
    rng = np.random.default_rng(5)
    dates = np.arange("2024-01-01", "2024-06-01", dtype="datetime64[D]")
    day = np.repeat(dates, 300)
    z = rng.normal(0, 1.5, len(day))
    moved = np.where(day < np.datetime64(CHANGE.at), 0.0, lower)
    outcome = rng.uniform(size=len(day)) < sigmoid(z - moved)
    return Recorded("made up", sigmoid(z), outcome, day)


def test_shuffled_days_stay_whole_and_lose_their_order() -> None:
    stream = made_up(0.0)
    found = shuffled(stream, np.random.default_rng(1))
    assert (found.day == stream.day).all()  # all days here are of one size
    before = [tuple(part) for part in stream.score.reshape(-1, 300)]
    after = [tuple(part) for part in found.score.reshape(-1, 300)]
    assert sorted(before) == sorted(after)
    assert before != after
    rows = np.argsort(stream.score), np.argsort(found.score)
    assert (stream.outcome[rows[0]] == found.outcome[rows[1]]).all()


def test_an_informed_observer_speaks_soon_and_the_sooner_the_larger_the_change() -> None:
    small, large = (informed.judge(CHANGE, made_up(lower)) for lower in (0.5, 1.0))
    assert small["sigma"] < 0.1
    assert 0 <= large["days"] < small["days"] <= 7


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("8", "6", "no"),
        ("9", "6", "yes"),
        ("-", "6", "yes"),
        ("8", "-", "no"),
        ("-", "-", "nor this design"),
    ],
)
def test_later_by_more_than_a_third(ours: str, theirs: str, said: str) -> None:
    assert known_table.verdict(ours, "rival", {"rival": theirs}) == said


def test_a_rival_counts_if_it_is_no_more_excitable() -> None:
    excited = {known_table.OURS: {"s": [0, 2]}, "calm": {"s": [1, 1]}, "wild": {"s": [1, 2]}}
    assert known_table.is_as_quiet(excited, "calm", "s")
    assert not known_table.is_as_quiet(excited, "wild", "s")
    assert not known_table.is_as_quiet(excited, "unmeasured", "s")
