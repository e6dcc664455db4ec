"""Numbers through the whole fold: extreme, constant, tied and one-sided streams, and few labels."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import Baseline, SeriesState, moment
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.policies import DetectorName, FirstLabels, Policy
from monitor.core.verdicts import Status, Verdict
from tests.core.streams import DAY_S, counts, days

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.core.judging.series_state import Cohort

    Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]

SERIES = Series("m", "1")
ASKED = (DetectorName.E_PROCESS, DetectorName.ADWIN, DetectorName.PAGE_HINKLEY)
POLICY = Policy(baseline=FirstLabels(1000), detectors=ASKED)
A_DAY = 250


def of(scores: list[float], rate: Callable[[np.ndarray], np.ndarray]) -> Draw:
    """Rows of equally frequent scores, whose outcomes come at a rate."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        score = rng.choice(scores, A_DAY)
        return score, rng.random(A_DAY) < rate(score)

    return draw


def near(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores within 1e-16 to 1e-4 of 0 and 1, right nine times of ten."""
    tail = 10 ** rng.uniform(-16, -4, A_DAY)
    up = rng.random(A_DAY) < 0.5
    return np.where(up, 1 - tail, tail), up ^ (rng.random(A_DAY) < 0.1)


def spread(rate: Callable[[np.ndarray], np.ndarray]) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        score = rng.random(A_DAY)
        return score, rng.random(A_DAY) < rate(score)

    return draw


VERBALIZED = [0.8, 0.85, 0.9, 0.95, 1.0]
STEADY: dict[str, Draw] = {
    "0 and 1, always right": of([0.0, 1.0], lambda s: s),
    "0 and 1, always wrong": of([0.0, 1.0], lambda s: 1 - s),
    "0 and 1, right nine times of ten": of([0.0, 1.0], lambda s: 0.1 + 0.8 * s),
    "next to 0 and 1": near,
    "constant": of([0.3], lambda s: s),
    "constant 1": of([1.0], lambda s: 0.7 * s),
    "constant 0": of([0.0], lambda s: s + 0.02),
    "no positive at all": spread(lambda s: 0 * s),
    "positives alone": spread(lambda s: 0 * s + 1),
    "verbalized": of(VERBALIZED, lambda s: s - 0.25),
}


def stream(*parts: tuple[int, Draw], seed: int = 1) -> list[Cohort]:
    rng = np.random.default_rng(seed)
    return days([BinCounts.from_rows(*draw(rng)) for n, draw in parts for _ in range(n)])


def verdicts(cohorts: Iterable[Cohort], policy: Policy = POLICY) -> list[Verdict]:
    state, given = begin(SERIES, policy), []
    for cohort in cohorts:
        state = step(state, cohort)
        given.append(judged(state))
    return given


def judged(state: SeriesState) -> Verdict:
    assert state.seen_until_s is not None
    return judge(state, moment(state.seen_until_s + 2 * DAY_S))


def check(verdict: Verdict) -> None:
    """Strict JSON that comes back as it was, and a detector that is finite."""
    text = json.dumps(verdict.as_json(), allow_nan=False)
    assert verdict_from_json(json.loads(text)).as_json() == verdict.as_json()
    evidence = verdict.evidence
    assert evidence.e_value is None or np.isfinite(evidence.e_value)
    assert evidence.sigma is None or np.isfinite(evidence.sigma)


@pytest.mark.parametrize("name", STEADY)
def test_a_steady_stream_is_quiet_whatever_its_scores(name: str) -> None:
    given = verdicts(stream((16, STEADY[name])))
    for verdict in given:
        check(verdict)
    statuses = {verdict.status for verdict in given}
    assert statuses <= {Status.OK, Status.INSUFFICIENT}
    last = given[-1]
    one_class = "positive" in name
    assert last.status is (Status.INSUFFICIENT if one_class else Status.OK)
    assert ("all have the same outcome" in last.reason) is one_class


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(STEADY["verbalized"], of(VERBALIZED, lambda s: s - 0.55), id="verbalized"),
        pytest.param(STEADY["constant"], of([0.3], lambda s: s + 0.3), id="constant"),
        pytest.param(
            STEADY["0 and 1, right nine times of ten"],
            of([0.0, 1.0], lambda s: 0.4 + 0.2 * s),
            id="0 and 1",
        ),
    ],
)
def test_a_change_is_found_on_tied_scores(before: Draw, after: Draw) -> None:
    given = verdicts(stream((14, before), (8, after)))
    for verdict in given:
        check(verdict)
    assert Status.DRIFTED not in {verdict.status for verdict in given[:14]}
    assert given[-1].status is Status.DRIFTED
    assert given[-1].evidence.estimates is not None


def test_few_distinct_scores_need_no_empty_knots_or_bins() -> None:
    [*_, verdict] = verdicts(stream((10, STEADY["verbalized"])))
    assert [b.n > 0 for b in verdict.evidence.bins].count(True) <= 5
    assert verdict.evidence.ranking is not None
    assert verdict.evidence.ranking.use in {"useful", "unproven"}


def test_a_baseline_of_fifty_labels_is_insufficient_and_says_what_is_missing() -> None:
    policy = replace(POLICY, baseline=FirstLabels(50), min_labels=50)
    rng = np.random.default_rng(2)
    fifty = counts(rng, 50)
    rest = [counts(rng, 250, lambda z: z - 3) for _ in range(8)]
    given = verdicts(days([fifty, *rest]), policy)
    assert {verdict.status for verdict in given} == {Status.INSUFFICIENT}
    assert given[-1].reason.startswith(
        "The baseline holds 50 of the 100 labels that a comparison needs: pin a longer one."
    )
    for verdict in given:
        check(verdict)
    stored = begin(SERIES, policy, Baseline(SERIES, "imported", tuple(days([fifty]))))
    assert "holds 50 of the 100" in judged(step(stored, days([rest[0]], first=1)[0])).reason


def test_days_without_any_label_or_prediction_do_no_harm() -> None:
    rng = np.random.default_rng(3)
    empty = BinCounts.empty()
    bare = counts(rng, 250, labelled=0.0)
    given = verdicts(days([empty, bare, *[counts(rng, 250) for _ in range(6)], empty, bare, empty]))
    for verdict in given:
        check(verdict)
    assert Status.DRIFTED not in {verdict.status for verdict in given}
