from __future__ import annotations

import numpy as np
import pytest

from monitor.core.delay.delay_watch import Delays, watch_delays
from monitor.core.delays import DAY_S, NEGATIVE, DelayCounts
from tests.core.delayed import rows


def cohorts(
    rng: np.random.Generator, days: int, *, slower: float = 1.0, wobble: float = 0.0, n: int = 200
) -> list[DelayCounts]:
    return [
        rows(rng, n, slower * float(np.exp(wobble * rng.normal()))).delays(45 * DAY_S)
        for _ in range(days)
    ]


@pytest.mark.parametrize(
    ("slower", "status", "sign"), [(1.8, Delays.SLOWER, -1), (0.5, Delays.FASTER, 1)]
)
def test_a_change_of_delays_is_found_and_named(slower: float, status: Delays, sign: int) -> None:
    rng = np.random.default_rng(1)

    found = watch_delays(cohorts(rng, 28), cohorts(rng, 7, slower=slower), 7 * DAY_S)

    assert found.status is status
    assert found.p_value <= 0.001
    assert np.sign(found.move) == sign
    assert found.moved is not None
    assert found.moved.outcome == NEGATIVE
    assert np.sign(found.moved.before_s - found.moved.now_s) == sign
    # Slower negatives leave more positives among the labels at the horizon.
    assert np.sign(found.offset_change) == -sign
    assert abs(found.offset_change) > 0.2
    assert "looks like an intercept drift" in found.reason


def test_wobble_of_delays_from_day_to_day_is_no_change() -> None:
    rng = np.random.default_rng(2)
    p = []
    for _ in range(40):
        found = watch_delays(cohorts(rng, 21, wobble=0.4), cohorts(rng, 7, wobble=0.4), 7 * DAY_S)
        p.append(found.p_value)

    assert np.mean(np.array(p) <= 0.1) <= 0.25
    assert min(p) > 0.001


def test_a_longer_look_on_one_side_is_no_change() -> None:
    rng = np.random.default_rng(3)
    short = [c.until(10 * DAY_S) for c in cohorts(rng, 7)]

    found = watch_delays(cohorts(rng, 28), short, 7 * DAY_S)

    assert found.status is Delays.SAME
    assert abs(found.offset_change) < 0.15


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        pytest.param(0, 7, "baseline holds 0 of the 50 labels", id="no baseline"),
        pytest.param(28, 0, "window holds 0 of the 50 labels", id="no window"),
        pytest.param(3, 2, "too few", id="too few cohorts"),
    ],
)
def test_too_little_is_insufficient(before: int, now: int, words: str) -> None:
    rng = np.random.default_rng(4)

    found = watch_delays(cohorts(rng, before), cohorts(rng, now), 7 * DAY_S)

    assert found.status is Delays.INSUFFICIENT
    assert words in found.reason
    assert np.isnan(found.p_value)


def test_one_class_alone_is_watched() -> None:
    rng = np.random.default_rng(5)

    def positives(days: int, mean_s: float) -> list[DelayCounts]:
        yes = np.ones(100, dtype=np.bool_)
        return [DelayCounts.from_rows(rng.exponential(mean_s, 100), yes) for _ in range(days)]

    found = watch_delays(positives(20, DAY_S), positives(7, 3 * DAY_S), 7 * DAY_S)

    assert found.status is Delays.SLOWER
    assert np.isnan(found.offset_change)
    assert "intercept drift:" in found.reason


def test_a_class_that_no_longer_comes_has_no_delays_to_compare() -> None:
    """It was said to come slower, within "nan s"."""
    rng = np.random.default_rng(6)

    def labels(days: int, share: float) -> list[DelayCounts]:
        return [
            DelayCounts.from_rows(rng.exponential(DAY_S, 100), rng.random(100) < share)
            for _ in range(days)
        ]

    found = watch_delays(labels(20, 0.2), labels(7, 0.0), 7 * DAY_S)

    assert found.status is Delays.SAME
    assert "nan" not in found.reason


def test_labels_that_all_come_at_once_are_the_same() -> None:
    at_once = [DelayCounts.from_rows(np.full(20, 5.0), np.arange(20) % 2 > 0)] * 20

    found = watch_delays(at_once[:14], at_once[14:], DAY_S)

    assert (found.status, found.p_value) == (Delays.SAME, 1.0)
