"""The trial of a repair on one set of labels."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.logistic import logit, sigmoid
from monitor.core.repair_trial import repair_trial


def drawn(seed: int, n: int, slope: float, shift: float = 0.0) -> BinCounts:
    rng = np.random.default_rng(seed)
    score = sigmoid(rng.normal(0.0, 2.0, n))
    return BinCounts.from_rows(score, rng.random(n) < sigmoid(shift + slope * logit(score)))


@pytest.mark.parametrize(("slope", "shift"), [(0.3, 0.0), (1.0, -1.5), (0.5, 1.0)])
def test_a_repair_of_dishonest_scores_helps(slope: float, shift: float) -> None:
    found = repair_trial(drawn(1, 600, slope, shift))
    assert found is not None
    assert found.helps is True
    assert found.method == ("platt" if shift else "temperature")
    assert found.slope == pytest.approx(slope, abs=0.25)
    assert found.after.slope == pytest.approx(1.0, abs=0.2)
    assert found.after.log_loss < found.before.log_loss
    assert found.gain == pytest.approx(found.before.brier - found.after.brier, abs=1e-3)
    assert found.before.n == found.after.n == 600


def test_a_repair_of_honest_scores_is_hardly_ever_said_to_help() -> None:
    found = [repair_trial(drawn(seed, 300, 1.0)) for seed in range(40)]
    assert sum(one is not None and one.helps is True for one in found) <= 3


def test_no_label_is_judged_by_a_line_that_was_fitted_to_it() -> None:
    """On labels that are noise a line fitted and judged on the same rows would always gain."""
    gains = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        score = rng.beta(20, 20, 400)
        found = repair_trial(BinCounts.from_rows(score, rng.random(400) < score))
        gains += [] if found is None else [found.gain]
    assert len(gains) > 5
    assert np.mean(gains) < 0


@pytest.mark.parametrize(
    "counts",
    [
        BinCounts.empty(),
        drawn(1, 150, 0.3),
        BinCounts.from_rows(np.full(500, 0.5), np.zeros(500, dtype=bool)),
        drawn(2, 600, -1.0),
    ],
)
def test_nothing_is_offered_without_labels_of_both_kinds_or_a_rising_line(
    counts: BinCounts,
) -> None:
    assert repair_trial(counts) is None
