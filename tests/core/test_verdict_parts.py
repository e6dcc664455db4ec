"""What every verdict says of a change: map or mix, direction, and since when."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import moment
from monitor.core.policies import FirstLabels, Policy
from monitor.core.verdicts import Cause, Direction, Status
from tests.core.streams import DAY_S, counts, days, honest

if TYPE_CHECKING:
    from tests.core.streams import Truth

POLICY = Policy(baseline=FirstLabels(2500))
OVER, UNDER, IMPROVED = Direction


def half(z: np.ndarray) -> np.ndarray:
    return z / 2


def lower(z: np.ndarray) -> np.ndarray:
    return z - 1


def higher(z: np.ndarray) -> np.ndarray:
    return z + 1


def sharper(z: np.ndarray) -> np.ndarray:
    return z * 2


def lopsided(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, 0.3 * z, z)


@pytest.mark.parametrize(
    ("was", "now", "days_after", "status", "cause", "direction"),
    [
        pytest.param(honest, honest, 8, Status.OK, None, None, id="honest"),
        pytest.param(half, half, 8, Status.OK, None, OVER, id="always too sure"),
        pytest.param(higher, higher, 8, Status.OK, None, UNDER, id="always too low"),
        pytest.param(honest, half, 12, Status.DRIFTED, Cause.MAP, OVER, id="too sure now"),
        pytest.param(honest, lower, 12, Status.DRIFTED, Cause.MAP, OVER, id="too high now"),
        pytest.param(honest, higher, 12, Status.DRIFTED, Cause.MAP, UNDER, id="too low now"),
        pytest.param(honest, sharper, 12, Status.DRIFTED, Cause.MAP, UNDER, id="too timid now"),
        pytest.param(lower, honest, 12, Status.DRIFTED, Cause.MAP, IMPROVED, id="mended"),
    ],
)
def test_every_verdict_is_split_and_has_its_direction_and_date(  # noqa: PLR0913, PLR0917  # one table
    was: Truth,
    now: Truth,
    days_after: int,
    status: Status,
    cause: Cause | None,
    direction: Direction | None,
) -> None:
    rng = np.random.default_rng(13)
    before = [counts(rng, 250, was) for _ in range(20)]
    after = [counts(rng, 250, now) for _ in range(days_after)]
    state = begin(Series("m", "1"), POLICY)
    for cohort in days(before + after):
        state = step(state, cohort)
    verdict = judge(state, moment((20 + days_after + 2) * DAY_S))
    evidence = verdict.evidence
    assert (verdict.status, evidence.cause, evidence.direction) == (status, cause, direction)
    assert evidence.map_part is not None
    assert evidence.mix_part is not None
    assert evidence.window is not None
    assert evidence.baseline is not None
    whole = evidence.window.ece_debiased - evidence.baseline.ece_debiased
    assert evidence.map_part + evidence.mix_part == pytest.approx(whole, abs=0.03)
    since = evidence.drift_since_at
    assert (since is not None) is (status is Status.DRIFTED)
    if since is not None:
        assert moment(19 * DAY_S) <= since <= moment(22 * DAY_S)


def test_moved_traffic_is_a_mix_in_an_ok_verdict() -> None:
    rng = np.random.default_rng(14)
    before = [counts(rng, 250, lopsided, centre=-1.5) for _ in range(30)]
    after = [counts(rng, 250, lopsided, centre=1.0) for _ in range(8)]
    state = begin(Series("m", "1"), replace(POLICY, baseline=FirstLabels(7000)))
    for cohort in days(before + after):
        state = step(state, cohort)
    verdict = judge(state, moment(40 * DAY_S))
    assert (verdict.status, verdict.evidence.cause) == (Status.OK, Cause.MIX)
    assert verdict.evidence.direction is OVER
    assert verdict.evidence.score_shift is not None
    assert verdict.evidence.score_shift.shifted


@pytest.mark.parametrize(
    ("n", "labelled", "known"),
    [
        pytest.param(5, 1.0, False, id="collecting"),
        pytest.param(12, 1.0, True, id="judged"),
        pytest.param(12, 0.1, False, id="never a baseline"),
    ],
)
def test_the_split_is_there_as_soon_as_both_sides_have_labels(
    n: int, labelled: float, known: bool
) -> None:
    rng = np.random.default_rng(15)
    state = begin(Series("m", "1"), POLICY)
    for cohort in days([counts(rng, 250, labelled=labelled) for _ in range(n)]):
        state = step(state, cohort)
    evidence = judge(state, moment((n + 2) * DAY_S)).evidence
    parts = (evidence.map_part, evidence.mix_part)
    assert all(part is not None for part in parts) is known
    assert any(part is not None for part in parts) is known
