from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import Cohort, SeriesState, moment
from monitor.core.policies import FirstLabels, NamedPeriod, Policy
from monitor.core.verdicts import Cause, Direction, Status, Verdict
from tests.core.streams import DAY_S, counts, days, honest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.core.streams import Truth

POLICY = Policy()
HORIZON_DAYS = 2


def folded(cohorts: Sequence[Cohort], policy: Policy = POLICY) -> SeriesState:
    state = begin(Series("m", "1"), policy)
    for cohort in cohorts:
        state = step(state, cohort)
    return state


def judged(cohorts: Sequence[Cohort], policy: Policy = POLICY, *, after_days: int = 0) -> Verdict:
    """The verdict when the last cohort is mature, or some days later."""
    end_s = cohorts[-1].end_s if cohorts else 0
    at = moment(end_s + (HORIZON_DAYS + after_days) * DAY_S)
    return judge(folded(cohorts, policy), at)


def stream(*parts: tuple[int, Truth], labelled: float = 1.0, n: int = 250) -> list[Cohort]:
    """Daily cohorts: (days, map) after (days, map)."""
    rng = np.random.default_rng(41)
    return days([counts(rng, n, t, labelled=labelled) for size, t in parts for _ in range(size)])


def raised(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return z + 1


def mostly_unlabelled() -> list[Cohort]:
    rng = np.random.default_rng(42)
    bare = [counts(rng, 3000, labelled=0.15) for _ in range(7)]
    return [*stream((10, honest)), *days(bare, 10)]


PERIOD = replace(POLICY, baseline=NamedPeriod(moment(0), moment(3 * DAY_S)))


@pytest.mark.parametrize(
    ("cohorts", "policy", "after_days", "status", "reason"),
    [
        pytest.param([], POLICY, 0, Status.NO_DATA, "No predictions yet.", id="nothing"),
        pytest.param(
            stream((20, honest)),
            POLICY,
            8,
            Status.NO_DATA,
            "No predictions since 1970-01-21T00:00:00Z.",
            id="silent for more than a window",
        ),
        pytest.param(
            stream((20, honest), (10, raised)),
            POLICY,
            8,
            Status.NO_DATA,
            "No predictions since 1970-01-31T00:00:00Z.",
            id="silent while an alarm holds",
        ),
        pytest.param(
            stream((3, honest)),
            POLICY,
            0,
            Status.INSUFFICIENT,
            "Collecting the baseline: 750 of 1000 labels so far.",
            id="baseline not full",
        ),
        pytest.param(
            stream((2, honest)),
            PERIOD,
            0,
            Status.INSUFFICIENT,
            "Collecting the baseline of 1970-01-01T00:00:00Z to 1970-01-04T00:00:00Z: "
            "500 labels so far.",
            id="period not over",
        ),
        pytest.param(
            stream((10, honest), n=20),
            PERIOD,
            0,
            Status.INSUFFICIENT,
            "The baseline period 1970-01-01T00:00:00Z to 1970-01-04T00:00:00Z holds 60 of "
            "200 labels.",
            id="period too thin",
        ),
        pytest.param(
            stream((4, honest)),
            POLICY,
            0,
            Status.INSUFFICIENT,
            "The window holds 0 of the 200 labels needed.",
            id="baseline just pinned",
        ),
        pytest.param(
            mostly_unlabelled(),
            POLICY,
            0,
            Status.INSUFFICIENT,
            "% of the window's predictions have a label on time; 20.0% are needed.",
            id="too little coverage",
        ),
        pytest.param(
            stream((20, lambda z: z - 1000)),
            POLICY,
            0,
            Status.INSUFFICIENT,
            "The baseline's 1000 labels all have the same outcome, "
            "so there is no calibration to compare with.",
            id="one class",
        ),
        pytest.param(
            stream((20, honest)),
            POLICY,
            0,
            Status.OK,
            "No evidence of a change of calibration since the baseline.",
            id="fine",
        ),
        pytest.param(
            stream((20, honest), (10, raised)),
            replace(POLICY, tolerance=0.5),
            0,
            Status.OK,
            "Evidence of change, effect below tolerance: shift 0.",
            id="evidence of a small change",
        ),
        pytest.param(
            stream((20, honest), (10, raised)),
            POLICY,
            0,
            Status.DRIFTED,
            "most likely since 1970-01-21T00:00:00Z.",
            id="drifted",
        ),
        pytest.param(
            stream((20, honest), (10, raised), (3, honest)),
            POLICY,
            0,
            Status.DRIFTED,
            "most likely since 1970-01-21T00:00:00Z.",
            id="the alarm holds while the window is mixed",
        ),
        pytest.param(
            stream((20, honest), (10, raised), (20, honest)),
            POLICY,
            0,
            Status.OK,
            "No evidence of a change of calibration since the baseline.",
            id="recovered",
        ),
    ],
)
def test_every_status_has_its_reason(
    cohorts: list[Cohort], policy: Policy, after_days: int, status: Status, reason: str
) -> None:
    verdict = judged(cohorts, policy, after_days=after_days)

    assert verdict.status is status
    assert reason in verdict.reason
    drifted = status is Status.DRIFTED
    # Scores may mislead without a drift, so other verdicts may have a direction too.
    assert verdict.evidence.direction is not None or not drifted
    assert (verdict.evidence.repair is not None) is drifted


def tied(score: NDArray[np.float64] | float, rate: float, n: int = 60) -> BinCounts:
    return BinCounts.from_rows(np.broadcast_to(score, n), np.arange(n) < round(rate * n))


EPSILON = np.finfo(float).eps
EDGE = np.tile([0.0, EPSILON, 1 - EPSILON, 1.0], 15)


@pytest.mark.parametrize(
    ("before", "after", "first_labels", "status"),
    [
        pytest.param(tied(0.0, 0.5), tied(0.0, 0.5), 1000, Status.OK, id="always 0"),
        pytest.param(tied(1.0, 0.9), tied(1.0, 0.9), 1000, Status.OK, id="always 1"),
        pytest.param(tied(EDGE, 0.5), tied(EDGE, 0.5), 1000, Status.OK, id="at and next to 0, 1"),
        pytest.param(tied(0.7, 0.6), tied(0.7, 0.6), 1000, Status.OK, id="constant"),
        pytest.param(tied(0.7, 0.7), tied(0.7, 0.2), 1000, Status.DRIFTED, id="constant, worse"),
        pytest.param(tied(1.0, 0.9), tied(1.0, 0.2), 1000, Status.DRIFTED, id="certain, worse"),
        pytest.param(tied(0.9, 1.0), tied(0.9, 1.0), 1000, Status.INSUFFICIENT, id="all right"),
        pytest.param(tied(0.9, 0.0), tied(0.9, 0.0), 1000, Status.INSUFFICIENT, id="all wrong"),
        pytest.param(
            tied(0.7, 0.6, 50), tied(0.7, 0.6), 50, Status.INSUFFICIENT, id="fifty labels"
        ),
        pytest.param(
            BinCounts.empty(), BinCounts.empty(), 1000, Status.NO_DATA, id="empty cohorts"
        ),
        pytest.param(
            BinCounts.from_rows(
                np.full(60, 0.5), np.ones(60, dtype=np.bool_), np.zeros(60, dtype=np.bool_)
            ),
            tied(0.5, 0.5),
            1000,
            Status.INSUFFICIENT,
            id="a baseline that no label ever fills",
        ),
    ],
)
def test_any_counts_give_a_finite_verdict_without_a_warning(
    before: BinCounts, after: BinCounts, first_labels: int, status: Status
) -> None:
    policy = replace(POLICY, baseline=FirstLabels(first_labels))
    cohorts = days([*[before] * 17, *[after] * 15])

    verdict = judged(cohorts, policy)

    assert verdict.status is status
    evidence = verdict.evidence
    known = [evidence.e_value, evidence.sigma, evidence.shift, evidence.shift_low]
    known += [evidence.shift_high, evidence.gap_shift, evidence.map_part, evidence.mix_part]
    assert all(value is None or np.isfinite(value) for value in known)
    assert verdict.as_json()["reason"] == verdict.reason


def test_judging_leaves_the_state_as_it_was() -> None:
    cohorts = stream((20, honest), (10, raised))
    state, at = folded(cohorts), moment(32 * DAY_S)
    assert state.detector is not None
    log_r = state.detector.log_r.copy()

    assert judge(state, at).as_json() == judge(state, at).as_json()
    assert np.array_equal(state.detector.log_r, log_r)


def bent(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Honest below 0, promising too much above."""
    return np.minimum(z, 0.3 * z)


def test_traffic_that_moves_along_the_same_map_is_called_mix() -> None:
    rng = np.random.default_rng(43)
    before = [counts(rng, 500, bent, centre=-1.0) for _ in range(10)]
    after = [counts(rng, 500, bent, centre=1.5) for _ in range(10)]

    verdict = judged(days([*before, *after]))
    evidence = verdict.evidence

    assert verdict.status is Status.OK
    assert evidence.cause is Cause.MIX
    assert evidence.map_part is not None
    assert evidence.mix_part is not None
    assert evidence.mix_part > 0.05
    assert abs(evidence.map_part) < 0.03


def test_a_changed_map_under_the_same_traffic_is_called_map() -> None:
    evidence = judged(stream((20, honest), (10, raised))).evidence

    assert evidence.cause is Cause.MAP
    assert evidence.map_part is not None
    assert evidence.mix_part is not None
    assert evidence.map_part > 0.08
    assert abs(evidence.mix_part) < 0.03


def test_a_model_that_grows_honest_is_improved_and_its_repair_is_told() -> None:
    verdict = judged(stream((20, raised), (14, honest)))

    assert verdict.status is Status.DRIFTED
    assert verdict.evidence.direction is Direction.IMPROVED


def test_a_repair_undoes_the_change_on_cohorts_it_was_not_fitted_on() -> None:
    repair = judged(stream((20, honest), (14, lambda z: z / 2 - 1))).evidence.repair

    assert repair is not None
    assert repair.slope == pytest.approx(0.5, abs=0.15)
    assert repair.intercept == pytest.approx(-1, abs=0.25)
    assert repair.ece_after < 0.5 * repair.ece_before
    assert repair.auroc_after == pytest.approx(repair.auroc_before)
