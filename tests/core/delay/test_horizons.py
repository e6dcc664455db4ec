from __future__ import annotations

import numpy as np
import pytest

from monitor.core.delay.horizons import span_words, suggest_horizon
from monitor.core.delays import DAY_S, DelayCounts
from tests.core.delayed import rows


def test_horizon_is_the_age_by_which_the_share_has_come() -> None:
    delays = rows(np.random.default_rng(1), 20_000).delays()

    found = suggest_horizon(delays, 0.9)

    assert found.horizon_s is not None
    assert found.low_s is not None
    assert found.high_s is not None
    assert found.low_s <= found.horizon_s <= found.high_s
    assert delays.share_by(found.horizon_s) >= 0.9
    assert delays.share_by(found.horizon_s - DAY_S) < 0.9
    assert "90% of" in found.reason


def test_interval_holds_the_true_quantile_as_often_as_it_says() -> None:
    rng, truth_s = np.random.default_rng(2), -np.log(0.1) * 2 * DAY_S
    held = 0
    for _ in range(200):
        delay_s = rng.exponential(2 * DAY_S, 300)
        found = suggest_horizon(DelayCounts.from_rows(delay_s, delay_s > 0, 90 * DAY_S), 0.9)
        assert found.low_s is not None
        assert found.high_s is not None
        held += found.low_s - DAY_S <= truth_s <= found.high_s

    assert held >= 190


@pytest.mark.parametrize(("n", "share"), [(0, 0.95), (99, 0.5), (300, 0.99)])
def test_too_few_labels_are_not_enough(n: int, share: float) -> None:
    found = suggest_horizon(rows(np.random.default_rng(3), n).delays(), share)

    assert found.horizon_s is found.low_s is found.high_s is None
    assert found.reason.startswith(f"Not enough labels to suggest a horizon: {n} of")


@pytest.mark.parametrize("days", [2, 7, 14])
def test_delays_that_are_cut_off_are_not_enough(days: int) -> None:
    found = suggest_horizon(rows(np.random.default_rng(4), 20_000).delays(days * DAY_S))

    assert found.horizon_s is None
    assert f"{days} d that were observed" in found.reason


@pytest.mark.parametrize(
    ("span_s", "words"), [(40, "40 s"), (90, "1.5 min"), (5400, "1.5 h"), (7 * DAY_S, "7 d")]
)
def test_spans_are_said_in_the_largest_unit(span_s: float, words: str) -> None:
    assert span_words(span_s) == words
