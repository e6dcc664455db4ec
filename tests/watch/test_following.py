from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.episode.episodes import AlertKind
from monitor.core.judging.series_state import Cohort
from monitor.core.policies import AlertPolicy, Cadence, FirstLabels, Policy
from monitor.core.verdicts import Status
from monitor.watch.following import A_MOMENT, follow, is_due, start, wake, wake_at
from monitor.watch.lockstep import alone

AT = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cadence", "judged_ago", "changed_ago", "due"),
    [
        (Cadence.CONTINUOUS, None, None, True),
        (Cadence.MONTHLY, None, None, True),
        (Cadence.CONTINUOUS, timedelta(minutes=1), None, True),
        (Cadence.HOURLY, timedelta(minutes=29), None, False),
        (Cadence.HOURLY, timedelta(minutes=31), None, True),
        (Cadence.DAILY, timedelta(hours=2), None, False),
        (Cadence.DAILY, timedelta(hours=3), None, True),
        (Cadence.MONTHLY, timedelta(days=22), None, False),
        (Cadence.MONTHLY, timedelta(days=24), None, True),
        (Cadence.MONTHLY, timedelta(days=2), timedelta(days=1), True),
        (Cadence.MONTHLY, timedelta(days=2), timedelta(0), True),
        (Cadence.MONTHLY, timedelta(days=2), timedelta(days=2), False),
        (Cadence.MONTHLY, timedelta(days=2), timedelta(days=3), False),
        (Cadence.MONTHLY, timedelta(days=2), timedelta(days=-1), False),
    ],
)
def test_what_is_due(
    cadence: Cadence, judged_ago: timedelta | None, changed_ago: timedelta | None, due: bool
) -> None:
    judged_at = None if judged_ago is None else AT - judged_ago
    changed_at = [] if changed_ago is None else [AT - changed_ago]
    assert is_due(cadence, judged_at, AT, changed_at) is due


def cohort(day: int, n: int = 300) -> Cohort:
    rng = np.random.default_rng(day)
    score = rng.uniform(0.1, 0.9, n)
    counts = BinCounts.from_rows(score, rng.uniform(size=n) < score)
    return Cohort(day * 86_400, (day + 1) * 86_400, counts)


def test_a_monthly_model_is_judged_once_a_month_and_learns_every_day() -> None:
    policy = Policy(cadence=Cadence.MONTHLY, baseline=FirstLabels(500))
    followed = start(Series("m", "1"), policy)
    judged_at = []
    for day in range(70):
        followed, judged = alone(follow(followed, cohort(day)))
        judged_at += [judged.verdict.evaluated_at] if judged is not None else []
    assert [at.date().isoformat() for at in judged_at] == [
        "1970-01-04",
        "1970-02-01",
        "1970-03-01",
    ]
    assert followed.state.labels_seen == 68 * 300


def test_silence_is_said_once_at_its_own_time_whenever_it_is_looked_at() -> None:
    policy = Policy(baseline=FirstLabels(500))
    followed = start(Series("m", "1"), policy)
    for day in range(5):
        followed, _ = alone(follow(followed, cohort(day)))
    began, soon, late = (datetime(1970, 1, day, tzinfo=UTC) for day in (8, 14, 30))
    quiet, judged = alone(wake(followed, began, soon))
    assert judged == []
    at_once, (said,) = alone(wake(quiet, began, late))
    assert said.verdict.status is Status.NO_DATA
    assert said.verdict.evaluated_at == datetime(1970, 1, 15, tzinfo=UTC) + A_MOMENT
    assert alone(wake(at_once, began, late + timedelta(days=9)))[1] == []
    back, judged_again = alone(follow(at_once, cohort(30)))
    assert judged_again is not None
    assert judged_again.verdict.status is not Status.NO_DATA
    assert wake_at(back) is not None


def test_a_lasting_silence_is_told_after_its_delay_and_ends_with_data() -> None:
    alerts = AlertPolicy(no_data_after=timedelta(days=3))
    policy = Policy(baseline=FirstLabels(500), alerts=alerts)
    followed = start(Series("m", "1"), policy)
    for day in range(5):
        followed, _ = alone(follow(followed, cohort(day)))
    began, late = (datetime(1970, 1, day, tzinfo=UTC) for day in (8, 30))
    followed, given = alone(wake(followed, began, late))
    silent_at = datetime(1970, 1, 15, tzinfo=UTC) + A_MOMENT
    assert [(one.verdict.evaluated_at, one.decision.alert) for one in given] == [
        (silent_at, None),
        (silent_at + timedelta(days=3), AlertKind.FIRED),
    ]
    told = []
    for day in range(30, 41):
        followed, judged = alone(follow(followed, cohort(day)))
        told += [judged.decision.alert] if judged is not None and judged.decision.alert else []
    assert told == [AlertKind.RESOLVED]
    assert followed.episode is not None
    assert not followed.episode.is_drift
