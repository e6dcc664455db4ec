from __future__ import annotations

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.delay.provisional import FreshPane, arrived_share, provisional
from monitor.core.delays import DAY_S, NEGATIVE, POSITIVE, DelayCounts
from tests.core.delayed import rows


def week(rng: np.random.Generator, n: int) -> list[FreshPane]:
    """Seven panes of a day each, whose predictions are 0 to 7 days old."""
    return [
        FreshPane(rows(rng, n).by(rng.uniform(d, d + 1, n) * DAY_S), d * DAY_S, (d + 1) * DAY_S)
        for d in range(7)
    ]


def test_weights_take_away_the_gap_that_does_not_exist() -> None:
    history = rows(np.random.default_rng(1), 200_000).delays()
    panes = week(np.random.default_rng(2), 40_000)

    found = provisional(panes, history)
    raw = sum((pane.counts for pane in panes[1:]), panes[0].counts)
    raw_gap = raw.score_sum.sum() / 1e9 / raw.n_labelled - raw.n_positive / raw.n_labelled

    assert raw_gap < -0.1
    assert found.gap == pytest.approx(0, abs=0.01)
    assert found.n_labelled == raw.n_labelled
    assert 0.3 * raw.n_labelled < found.n_effective < raw.n_labelled
    assert found.n.sum() == pytest.approx(7 * 40_000, rel=0.02)


def test_share_arrived_is_the_mean_over_the_pane() -> None:
    history = rows(np.random.default_rng(3), 50_000).delays()
    ages = np.linspace(0.5 * DAY_S, 1.5 * DAY_S, 20_001)
    for outcome in (POSITIVE, NEGATIVE):
        mean = np.mean([history.share_by(age, outcome) for age in ages[::50]])
        found = arrived_share(history, outcome, ages[0], ages[-1])
        assert found == pytest.approx(mean, abs=1e-3)
        point = arrived_share(history, outcome, DAY_S, DAY_S)
        assert point == pytest.approx(history.share_by(DAY_S, outcome))
    assert arrived_share(history, POSITIVE, 99 * DAY_S, 200 * DAY_S) == 1


def test_mature_panes_keep_their_counts() -> None:
    history = rows(np.random.default_rng(4), 5_000).delays(30 * DAY_S)
    counts = BinCounts.from_rows(np.array([0.0, 0.3, 0.3, 1.0]), np.array([0, 1, 0, 1]) > 0)

    found = provisional([FreshPane(counts, 40 * DAY_S, 41 * DAY_S)], history)

    assert found.n.tolist() == counts.labelled.tolist()
    assert found.positive.tolist() == counts.positive.tolist()
    assert found.mean_score == pytest.approx(0.4)
    assert found.base_rate == 0.5
    assert found.n_effective == 4


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(DelayCounts.empty(), id="no delays known"),
        pytest.param(
            DelayCounts.from_rows(np.full(9, 5.0), np.ones(9, dtype=np.bool_)), id="one class"
        ),
        pytest.param(
            DelayCounts.from_rows(np.full(9, 9e5), np.arange(9) % 2 > 0), id="too young to weight"
        ),
    ],
)
def test_panes_without_weights_are_left_out(history: DelayCounts) -> None:
    counts = BinCounts.from_rows(np.array([0.4, 0.5]), np.array([True, False]))

    found = provisional([FreshPane(counts, -5, DAY_S)], history)

    assert found.panes_left_out == 1
    assert (found.n_labelled, found.n_effective) == (0, 0)
    assert np.isnan(found.gap)


def test_nothing_gives_nothing() -> None:
    assert np.isnan(provisional([], DelayCounts.empty()).gap)
