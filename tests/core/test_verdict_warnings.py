"""What stands beside a verdict: shifted scores and chosen labels, neither of them an alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.evaluation import has_shifted, judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import SeriesState, moment
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.measures.logistic import sigmoid
from monitor.core.policies import Cadence, FirstLabels, Policy
from monitor.core.verdicts import Status, Verdict
from monitor.watch.following import follow, start
from monitor.watch.lockstep import alone
from tests.core.streams import DAY_S, counts, days

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.judging.series_state import Cohort

SERIES = Series("credit", "3")
POLICY = Policy(baseline=FirstLabels(2000))


def moved(n: int, m: int, *, labelled: float = 1.0) -> list[Cohort]:
    """n days of ordinary traffic, then m with higher scores under the same honest map."""
    rng = np.random.default_rng(3)
    ordinary = [counts(rng, 250, labelled=labelled) for _ in range(n)]
    return days(ordinary + [counts(rng, 250, centre=1.5, labelled=labelled) for _ in range(m)])


def chosen(n: int) -> list[Cohort]:
    """Days whose labels come for high scores more often than for low ones."""
    rng = np.random.default_rng(4)
    made = []
    for _ in range(n):
        score = sigmoid(rng.normal(0, 1.8, 400))
        outcome = rng.random(400) < score
        made.append(BinCounts.from_rows(score, outcome, rng.random(400) < 0.3 + 0.6 * score))
    return days(made)


def folded(cohorts: Iterable[Cohort], policy: Policy = POLICY) -> SeriesState:
    state = begin(SERIES, policy)
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def judged(state: SeriesState) -> Verdict:
    assert state.seen_until_s is not None
    return judge(state, moment(state.seen_until_s + 2 * DAY_S))


@pytest.mark.parametrize(
    ("cohorts", "status", "shifted", "selective"),
    [
        pytest.param(moved(30, 0), Status.OK, False, False, id="neither"),
        pytest.param(moved(30, 8), Status.OK, True, False, id="scores higher, map as before"),
        pytest.param(
            moved(30, 8, labelled=0.1), Status.INSUFFICIENT, None, False, id="no baseline yet"
        ),
        pytest.param(chosen(30), Status.OK, False, True, id="labels chosen by score"),
    ],
)
def test_what_is_said_beside_a_verdict(
    cohorts: list[Cohort], status: Status, shifted: bool | None, selective: bool
) -> None:
    state = folded(cohorts)
    verdict = judged(state)
    evidence = verdict.evidence
    assert verdict.status is status
    assert state.alarm is None
    assert has_shifted(state) is bool(shifted)
    assert (evidence.score_shift is None) is (shifted is None)
    if evidence.score_shift is not None:
        assert evidence.score_shift.shifted is shifted
    assert ("Scores have shifted: they are higher by" in verdict.reason) is bool(shifted)
    assert (
        "Labels are selective: labelled predictions score higher" in verdict.reason
    ) is selective
    assert (evidence.selection is not None and evidence.selection.warning is not None) is selective
    back = verdict_from_json(verdict.as_json())
    assert back.as_json() == verdict.as_json()


def test_where_all_predictions_have_labels_there_is_no_selection() -> None:
    assert judged(folded(moved(20, 0))).evidence.selection is None


def test_a_shift_asks_for_one_judgement_before_the_cadence_does() -> None:
    policy = replace(POLICY, cadence=Cadence.MONTHLY)
    followed = start(SERIES, policy)
    when = []
    for cohort in moved(12, 14):
        followed, given = alone(follow(followed, cohort))
        if given is not None:
            when.append((cohort.start_s // DAY_S, given.verdict.evidence.score_shift))
    first, asked = when
    assert first[0] == 0
    assert 12 <= asked[0] < 19
    assert asked[1] is not None
    assert asked[1].shifted


def test_without_a_shift_the_cadence_alone_decides() -> None:
    policy = replace(POLICY, cadence=Cadence.MONTHLY)
    followed, given = start(SERIES, policy), []
    for cohort in moved(26, 0):
        followed, one = alone(follow(followed, cohort))
        given += [one] if one is not None else []
    assert len(given) == 1
