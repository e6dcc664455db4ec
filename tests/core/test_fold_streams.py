"""Seeded streams through the whole fold: quiet ones stay quiet, changes are called soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import Baseline, Cohort, SeriesState, moment
from monitor.core.policies import Policy
from tests.core.streams import DAY_S, counts, days, honest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.core.streams import Truth

SERIES = Series("m", "1")
POLICY = Policy()
PER_DAY = 250
QUIET_DAYS = 24


def stream(
    seed: int, n_days: int, truth: Truth = honest, *, first: int = 0, wobble: float = 0.0
) -> list[Cohort]:
    rng = np.random.default_rng([seed, first])
    return days([counts(rng, PER_DAY, truth, wobble=wobble) for _ in range(n_days)], first)


def folded(cohorts: Sequence[Cohort], baseline: Baseline | None = None) -> SeriesState:
    state = begin(SERIES, POLICY, baseline)
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def said(state: SeriesState) -> dict[str, object]:
    """All that a state says, as plain values that compare by ==."""
    assert state.seen_until_s is not None
    return judge(state, moment(state.seen_until_s) + POLICY.label_horizon).as_json()


def test_the_order_of_rows_within_a_cohort_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    forward, backward = [], []
    for _ in range(12):
        score = rng.random(PER_DAY)
        outcome, labelled = rng.random(PER_DAY) < score, rng.random(PER_DAY) < 0.8
        forward.append(BinCounts.from_rows(score, outcome, labelled))
        backward.append(BinCounts.from_rows(score[::-1], outcome[::-1], labelled[::-1]))

    assert said(folded(days(forward))) == said(folded(days(backward)))


def test_a_stored_baseline_passes_over_its_own_cohorts() -> None:
    cohorts = stream(6, 20)
    once = folded(cohorts)

    assert said(folded(cohorts, once.baseline)) == said(once)
    assert said(folded(cohorts[4:], once.baseline)) == said(once)


@pytest.mark.parametrize("wobble", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(8))
def test_no_alarm_in_20k_labels_without_a_change(seed: int, wobble: float) -> None:
    state = begin(SERIES, POLICY)
    for cohort in stream(1000 + seed, 84, wobble=wobble):
        state = step(state, cohort)
        assert state.alarm is None

    assert state.labels_seen == 80 * PER_DAY


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        pytest.param(lambda z: z / 1.5, "overconfident", id="temperature 1.5"),
        pytest.param(lambda z: z - 0.5, "overconfident", id="level - .5"),
        pytest.param(lambda z: z + 0.5, "underconfident", id="level + .5"),
        pytest.param(lambda z: 1.6 * z, "underconfident", id="steeper"),
    ],
)
def test_a_change_is_called_soon_dated_well_and_named_rightly(truth: Truth, words: str) -> None:
    """After 6000 quiet labels; named by a window that lies wholly after the change.

    At the alarm itself part of the window is from before, and a gap by chance may name the change.
    """
    took, since, named = [], [], []
    for seed in range(2000, 2003):
        state = folded(stream(seed, QUIET_DAYS))
        for day, cohort in enumerate(stream(seed, 14, truth, first=QUIET_DAYS), start=1):
            before, state = state, step(state, cohort)
            if before.alarm is None and state.alarm is not None:
                took.append(day * PER_DAY)
                since.append(state.alarm.since_s // DAY_S - QUIET_DAYS)
        named.append(said(state)["evidence"])

    assert len(took) == 3
    assert np.median(took) <= 1500
    assert max(abs(day) for day in since) <= 4
    assert [one["direction"] for one in named if isinstance(one, dict)] == [words] * 3
