from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import Cohort, SeriesState, merged
from monitor.core.measures.estimates import estimates, ranking
from monitor.core.measures.metrics import metrics, reliability_bins
from monitor.core.policies import FirstLabels, NamedPeriod, Policy, WobbleRule
from monitor.core.verdicts import Cause, Direction, Status
from tests.core.streams import DAY_S, counts, days, honest, lifted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.verdicts import Verdict
    from tests.core.streams import Truth

SERIES = Series("credit", "3")
POLICY = Policy()
HORIZON_DAYS = 2


def at(day: float) -> datetime:
    return datetime.fromtimestamp(day * DAY_S, UTC)


def fold(state: SeriesState, cohorts: Iterable[Cohort]) -> SeriesState:
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def steady(seed: int, n: int, truth: Truth = honest, **how: float) -> list[BinCounts]:
    rng = np.random.default_rng(seed)
    return [counts(rng, 250, truth, **how) for _ in range(n)]


def judged(state: SeriesState) -> Verdict:
    assert state.seen_until_s is not None
    return judge(state, at(state.seen_until_s / DAY_S + HORIZON_DAYS))


def before(n: int = 30, truth: Truth = honest, policy: Policy = POLICY) -> SeriesState:
    return fold(begin(SERIES, policy), days(steady(1, n, truth)))


def alarmed(truth: Truth, was: Truth = honest, n: int = 60) -> SeriesState:
    """The state at the first alarm after day n, when the map became `truth`."""
    state = before(n, was)
    for cohort in days(steady(2, 40, truth), first=n):
        state = step(state, cohort)
        if state.alarm is not None:
            return state
    pytest.fail("no alarm in 40 days")


def one_class(n: int) -> list[BinCounts]:
    return [BinCounts.from_rows(np.full(250, 0.01), np.zeros(250, dtype=bool)) for _ in range(n)]


def test_a_steady_series_is_ok_with_all_its_evidence() -> None:
    state = before()

    verdict = judged(state)

    assert verdict.status is Status.OK
    assert verdict.reason == "No evidence of a change of calibration since the baseline."
    assert verdict.evaluated_at == at(32)
    assert (verdict.window_start_at, verdict.window_end_at) == (at(23), at(30))
    evidence = verdict.evidence
    assert state.detector is not None
    assert state.baseline is not None
    assert evidence.e_value == pytest.approx(math.exp(state.detector.log_m))
    assert (evidence.alarm_at, evidence.labels_seen) == (1e6, 26 * 250)
    assert evidence.drift_since_at is None
    assert evidence.direction is None
    assert evidence.cause is None
    assert evidence.repair is None
    assert evidence.coverage == 1
    assert evidence.window == metrics(merged(state.window))
    assert evidence.baseline == metrics(state.baseline.counts)
    assert evidence.bins == reliability_bins(merged(state.window))
    assert evidence.baseline_bins == reliability_bins(state.baseline.counts)
    assert evidence.ranking == ranking(merged(state.window))
    assert evidence.estimates is None
    assert evidence.wrong_bins == ()
    assert evidence.worst_bins == ()
    assert evidence.shift is not None
    assert evidence.shift < POLICY.tolerance


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        pytest.param(begin(SERIES, POLICY), Status.NO_DATA, "No predictions yet.", id="new"),
        pytest.param(
            fold(begin(SERIES, POLICY), days(steady(3, 3))),
            Status.INSUFFICIENT,
            "Collecting the baseline: 750 of 1000 labels so far.",
            id="collecting first labels",
        ),
        pytest.param(
            fold(
                begin(SERIES, replace(POLICY, baseline=NamedPeriod(at(1), at(9)))),
                days(steady(3, 3)),
            ),
            Status.INSUFFICIENT,
            "Collecting the baseline of 1970-01-02T00:00:00Z to 1970-01-10T00:00:00Z: "
            "500 labels so far.",
            id="collecting a period",
        ),
        pytest.param(
            fold(
                begin(SERIES, replace(POLICY, baseline=NamedPeriod(at(1), at(2)), min_labels=300)),
                days(steady(3, 3)),
            ),
            Status.INSUFFICIENT,
            "The baseline period 1970-01-02T00:00:00Z to 1970-01-03T00:00:00Z "
            "holds 250 of 300 labels.",
            id="a period that was too thin",
        ),
        pytest.param(
            fold(begin(SERIES, POLICY), days(steady(3, 4))),
            Status.INSUFFICIENT,
            "The window holds 0 of the 200 labels needed.",
            id="baseline just pinned",
        ),
        pytest.param(
            fold(begin(SERIES, replace(POLICY, min_labels=600)), days(steady(3, 6))),
            Status.INSUFFICIENT,
            "The window holds 500 of the 600 labels needed.",
            id="few labels since",
        ),
        pytest.param(
            fold(before(4), days(steady(4, 7, labelled=0.1), first=4)),
            Status.INSUFFICIENT,
            "Only 10.8% of the window's predictions have a label on time; 20.0% are needed.",
            id="labels stopped coming",
        ),
        pytest.param(
            fold(begin(SERIES, POLICY), days(one_class(9))),
            Status.INSUFFICIENT,
            "The baseline's 1000 labels all have the same outcome, "
            "so there is no calibration to compare with.",
            id="one class",
        ),
    ],
)
def test_what_is_missing_is_said(state: SeriesState, status: Status, reason: str) -> None:
    verdict = judge(state, at((state.seen_until_s or 0) / DAY_S + HORIZON_DAYS))

    assert (verdict.status, verdict.reason) == (status, reason)
    assert verdict.evidence.repair is None
    assert verdict.as_json()["status"] == str(status)


@pytest.mark.parametrize(
    ("day", "status"),
    [(30 + 2, Status.OK), (30 + 2 + 7, Status.OK), (30 + 2 + 7.001, Status.NO_DATA)],
)
def test_a_whole_window_of_silence_is_no_data(day: float, status: Status) -> None:
    verdict = judge(before(30), at(day))

    assert verdict.status is status
    if status is Status.NO_DATA:
        assert verdict.reason == "No predictions since 1970-01-31T00:00:00Z."


@pytest.mark.parametrize(
    ("was", "truth", "direction"),
    [
        pytest.param(honest, lambda z: z / 2, Direction.OVERCONFIDENT, id="less sure than said"),
        pytest.param(honest, lambda z: z - 1, Direction.OVERCONFIDENT, id="less often than said"),
        pytest.param(honest, lambda z: z * 2, Direction.UNDERCONFIDENT, id="surer than said"),
        pytest.param(honest, lambda z: z + 1, Direction.UNDERCONFIDENT, id="more often than said"),
        pytest.param(lambda z: z / 3, honest, Direction.IMPROVED, id="mended"),
    ],
)
def test_a_drift_is_told_with_direction_cause_date_and_size(
    was: Truth, truth: Truth, direction: Direction
) -> None:
    state = fold(alarmed(truth, was), ())
    day = (state.seen_until_s or 0) // DAY_S
    state = fold(state, days(steady(5, 7, truth), first=day))

    verdict = judged(state)

    evidence = verdict.evidence
    assert verdict.status is Status.DRIFTED
    assert evidence.direction is direction
    assert evidence.cause is Cause.MAP
    assert evidence.drift_since_at is not None
    assert at(57) <= evidence.drift_since_at <= at(62)
    assert evidence.e_value is not None
    assert evidence.e_value >= evidence.alarm_at
    assert evidence.shift is not None
    assert evidence.shift_low is not None
    assert evidence.shift_high is not None
    assert POLICY.tolerance < evidence.shift
    assert evidence.shift_low <= evidence.shift <= evidence.shift_high
    assert f"by {evidence.shift:.3f} on average" in verdict.reason
    assert evidence.drift_since_at.date().isoformat() in verdict.reason
    assert evidence.estimates == estimates(merged(state.window))
    assert [(b.lower, b.upper) for b in evidence.worst_bins] == [
        (b.lower, b.upper) for b in evidence.wrong_bins[:3]
    ]
    for wrong, worst in zip(evidence.wrong_bins, evidence.worst_bins, strict=False):
        assert wrong.p_value <= 0.05
        assert wrong.misplaced == pytest.approx(worst.n * abs(worst.mean_score - worst.observed))
        over = wrong.direction is Direction.OVERCONFIDENT
        assert over is (worst.mean_score > worst.observed)
    for worst in evidence.worst_bins:
        assert not worst.ci_low <= worst.mean_score <= worst.ci_high
    if direction is not Direction.IMPROVED:
        assert evidence.worst_bins


def test_a_drift_brings_a_repair_that_holds_on_what_it_was_not_fitted_to() -> None:
    state = alarmed(lambda z: z / 2)
    day = (state.seen_until_s or 0) // DAY_S
    state = fold(state, days(steady(6, 10, lambda z: z / 2), first=day))

    repair = judged(state).evidence.repair

    assert repair is not None
    assert repair.slope == pytest.approx(0.5, abs=0.15)
    assert repair.n_fitted + repair.n_held_out == 7 * 250
    assert repair.ece_after < 0.7 * repair.ece_before
    assert repair.auroc_after == pytest.approx(repair.auroc_before, abs=1e-3)


def test_a_repair_is_fitted_to_what_came_after_the_change() -> None:
    state = alarmed(lambda z: z - 2)

    verdict = judged(state)

    repair, since_at = verdict.evidence.repair, verdict.evidence.drift_since_at
    assert since_at is not None
    assert since_at > verdict.window_start_at
    assert repair is not None
    changed = [c for c in state.window if c.start_s >= since_at.timestamp()]
    assert repair.n_fitted + repair.n_held_out == merged(changed).n_labelled
    assert repair.intercept < -1


def test_an_alarm_is_told_as_it_was_raised_for_as_long_as_it_holds() -> None:
    state = alarmed(lambda z: z / 2)
    first = judged(state)
    day = (state.seen_until_s or 0) // DAY_S

    few = fold(state, days(steady(7, 5, labelled=0.05), first=day))
    later = judged(few)

    assert later.status is Status.DRIFTED
    assert later.evidence.e_value == first.evidence.e_value
    assert later.evidence.drift_since_at == first.evidence.drift_since_at


def test_predictions_that_stop_are_no_data_even_while_an_alarm_holds() -> None:
    state = alarmed(lambda z: z / 2)

    verdict = judge(state, at((state.seen_until_s or 0) / DAY_S + HORIZON_DAYS + 8))

    assert verdict.status is Status.NO_DATA
    assert state.alarm is not None


def test_a_change_within_the_tolerance_is_ok_and_says_so() -> None:
    state = before(60, policy=replace(POLICY, tolerance=0.2, baseline=FirstLabels(5000)))
    state = fold(state, days(steady(8, 25, lambda z: z + 0.5), first=60))

    verdict = judged(state)

    assert verdict.status is Status.OK
    assert verdict.reason.startswith("Evidence of change, effect below tolerance: shift 0.")
    assert verdict.reason.endswith("tolerance 0.200.")
    assert verdict.evidence.drift_since_at is not None


def test_traffic_that_moves_along_a_dishonest_map_is_ok_and_called_mix() -> None:
    def sure(z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, 0.4 * z, z)

    policy = replace(POLICY, baseline=FirstLabels(9000))
    state = fold(begin(SERIES, policy), days(steady(9, 40, sure, centre=-1.5)))
    state = fold(state, days(steady(10, 10, sure, centre=1.0), first=40))

    verdict = judged(state)

    assert verdict.status is Status.OK
    assert verdict.evidence.cause is Cause.MIX
    assert verdict.evidence.mix_part is not None
    assert verdict.evidence.mix_part > 0.02


def test_judging_repeats_to_the_bit() -> None:
    assert judged(alarmed(lambda z: z / 2)) == judged(alarmed(lambda z: z / 2))


def test_evidence_of_a_policy_with_another_horizon_has_the_same_window() -> None:
    slow = before(30, policy=replace(POLICY, label_horizon=timedelta(days=20)))

    assert judge(slow, at(50)).window_end_at == at(30)


@pytest.mark.parametrize(
    ("season", "rule", "form", "memory", "words"),
    [
        (0.0, WobbleRule.AUTO, "independent", "none", "independently of one another."),
        (0.3, WobbleRule.AUTO, "hidden_level", "slow", "as with a season or a trend."),
        (0.3, WobbleRule.INDEPENDENT, "independent", "slow", "The policy asks for independent."),
        (0.0, WobbleRule.HIDDEN_LEVEL, "hidden_level", "none", "asks for hidden level."),
    ],
)
def test_the_wobble_is_what_the_baseline_shows_or_the_policy_says(
    season: float, rule: WobbleRule, form: str, memory: str, words: str
) -> None:
    policy = Policy(baseline=FirstLabels(15_000), wobble=rule)
    rng = np.random.default_rng(8)
    level = season * np.sin(2 * np.pi * np.arange(64) / 60)
    cohorts = [counts(rng, 250, lifted(u)) for u in level.tolist()]

    state = fold(begin(SERIES, policy), days(cohorts))

    found = judged(state).evidence.wobble
    assert found is not None
    assert (found.form, found.memory) == (form, memory)
    assert found.reason.endswith(words)


def test_a_short_baseline_cannot_tell_a_memory_and_counts_as_without() -> None:
    found = judged(before(6)).evidence.wobble

    assert found is not None
    assert (found.form, found.memory) == ("independent", "insufficient")
    assert math.isnan(found.p_value)
