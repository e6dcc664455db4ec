"""The batch law of judging: what is judged beside a series changes no bit of its verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.decisions import DecisionPolicy
from monitor.core.judging.evaluation import judge, judge_all
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import moment
from monitor.core.measures.logistic import sigmoid
from monitor.core.policies import DetectorName, FirstLabels, Policy, WobbleRule
from monitor.core.verdicts import Status
from tests.core.delayed import Stream
from tests.core.streams import counts, days, lifted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.judging.series_state import Baseline, Cohort, SeriesState
    from monitor.core.verdicts import Verdict

    Asked = tuple[SeriesState, datetime]

POLICY = Policy(baseline=FirstLabels(500), min_labels=100)
DELAYED = replace(
    POLICY, label_horizon=timedelta(days=7), correction_horizon=timedelta(days=45), alarm_at=1e9
)


def folded(
    cohorts: Iterable[Cohort],
    policy: Policy = POLICY,
    *,
    baseline: Baseline | None = None,
    claim: str = "positive",
) -> SeriesState:
    state = begin(Series("m", "1", claim), policy, baseline)
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def row_counts(rng: np.random.Generator, score: np.ndarray, covered: float = 1.0) -> BinCounts:
    """One cohort of these scores, each outcome as likely as its score says."""
    n = len(score)
    return BinCounts.from_rows(score, rng.random(n) < score, rng.random(n) < covered)


def ordinary(rng: np.random.Generator, n: int, labelled: float = 1.0) -> list[BinCounts]:
    return [counts(rng, int(rng.integers(60, 200)), labelled=labelled) for _ in range(n)]


@cache
def pool() -> tuple[Asked, ...]:
    """States of every kind that a batch may hold, each at the time of its newest cohort."""
    rng = np.random.default_rng(5)
    moved = [counts(rng, 200, lifted(-1.5), centre=1.0) for _ in range(8)]
    tied = [row_counts(rng, rng.choice([0.0, 0.2, 0.9, 1.0], 100)) for _ in range(12)]
    level = [row_counts(rng, np.full(120, 0.9), 0.95) for _ in range(9)]
    one_class = [BinCounts.from_rows(np.full(90, 0.01), np.zeros(90, dtype=bool))] * 9
    chosen = []
    for _ in range(9):
        score = sigmoid(rng.normal(0, 1.8, 200))
        labelled = rng.random(200) < 0.3 + 0.6 * score
        chosen.append(BinCounts.from_rows(score, rng.random(200) < score, labelled))
    late = Stream(per_day=120)
    states = [
        begin(Series("m", "1"), POLICY),
        folded(days(ordinary(rng, 2))),
        folded(days(ordinary(rng, 14))),
        folded(days(ordinary(rng, 9, 0.9)), replace(POLICY, detectors=tuple(DetectorName)[:2])),
        folded(days(ordinary(rng, 12) + moved)),
        folded(days(ordinary(rng, 12) + moved), replace(POLICY, wobble=WobbleRule.HIDDEN_LEVEL)),
        folded(days(ordinary(rng, 10) + ordinary(rng, 8, 0.05))),
        folded(days(ordinary(rng, 10) + ordinary(rng, 8, 0.0))),
        folded(days(ordinary(rng, 10, 0.0))),
        folded(days(ordinary(rng, 10) + [BinCounts.empty()] * 8)),
        folded(days(tied)),
        folded(days(one_class)),
        folded(days(chosen)),
        folded(days(level), claim="interval:0.9"),
        folded(days(ordinary(rng, 12)), replace(POLICY, decision=DecisionPolicy(0.7, 1.0, 4.0))),
        folded(late.cohorts(rng, 8), DELAYED),
        folded(late.cohorts(rng, 8), DELAYED, baseline=late.baseline(rng, 6)),
        folded(late.cohorts(rng, 45), DELAYED, baseline=late.baseline(rng, 6)),
    ]
    asked = [(each, moment(each.seen_until_s or 0) + each.policy.label_horizon) for each in states]
    return (*asked, (states[2], datetime(1970, 3, 1, tzinfo=UTC)))


@cache
def alone() -> tuple[Verdict, ...]:
    return tuple(judge(*asked) for asked in pool())


def test_the_pool_holds_every_status_and_all_that_is_asked_of_some_alone() -> None:
    verdicts = alone()
    found = [verdict.evidence for verdict in verdicts]
    assert {verdict.status for verdict in verdicts} == set(Status)
    for part in ("shift", "cause", "repair", "selection", "decision", "ranking", "delays"):
        assert {getattr(each, part) is None for each in found} == {True, False}, part
    assert {each.wobble.form for each in found if each.wobble} == set(WobbleRule) - {"auto"}
    assert any(each.score_shift.shifted for each in found if each.score_shift)
    assert any("once predictions are" in verdict.reason for verdict in verdicts)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 18), min_size=1, max_size=10))
def test_a_verdict_does_not_depend_on_what_is_judged_beside_it(chosen: list[int]) -> None:
    found = judge_all([pool()[k] for k in chosen])
    assert [each.as_json() for each in found] == [alone()[k].as_json() for k in chosen]


@pytest.mark.parametrize("turn", [1, -1])
def test_all_kinds_at_once_are_judged_as_one_by_one(turn: int) -> None:
    found = judge_all(pool()[::turn])
    assert [each.as_json() for each in found] == [each.as_json() for each in alone()[::turn]]


def test_of_nothing_there_is_no_verdict() -> None:
    assert judge_all([]) == []
