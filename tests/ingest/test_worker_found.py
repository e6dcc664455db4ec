"""Runs in which the stateful test once found a fault, at their shortest."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.ingest.messages import Answer, AnswerTo, Predict
from tests.ingest.test_worker_stateful import Workers


@pytest.fixture
def state(postgres_url: str) -> Workers:
    run: type[Workers] = type("Run", (Workers,), {"url": postgres_url, "seen": Counter()})
    return run()


def test_waiting_labels_stay_forgotten_though_only_the_first_ones_block_is_dropped(
    state: Workers,
) -> None:
    late = Predict(3, "m0", "1", -1_500_000, 0.9)
    again = Predict(3, "m0", "1", -1_000_000, 1.0, "DE")
    state.time_passes(["m0"], 300_000, 1, evict=True)
    state.serve([late, AnswerTo(0, -5_000, 1)], None)
    state.overtaken([Answer(3, "m0", 1_400_000, 1)], 1, evict=False)
    state.time_passes(["m1"], 1_300_000, 1, evict=True)
    state.time_passes(["m0"], 300_000, 2, evict=False)
    state.overtaken([], 1, evict=True)
    state.overtaken([again], 1, evict=True)
    state.teardown()


def test_a_label_that_waits_since_the_last_forgetting_is_not_lost_by_a_reload(
    state: Workers,
) -> None:
    state.drain_and_compare()
    state.time_passes(["m0", "m1"], 1_300_000, 2, evict=True)
    state.serve([Answer(0, "m1", -1_500_000, 0)], [0, 0, 50, 1, 1, 3, 1])
    state.overtaken([Predict(0, "m1", "1", 59_999, 0.25)], 1, evict=True)
    state.teardown()
