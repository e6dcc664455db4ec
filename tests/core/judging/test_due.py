"""When a series is due: as the watcher decides it, cohort by cohort."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import Series
from monitor.core.judging.due import due, due_words
from monitor.core.judging.restarts import Announcement
from monitor.core.policies import Cadence, Policy
from monitor.watch.following import is_due

SERIES = Series("m", "1")
JUDGED_AT = datetime(2026, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def change(at: datetime, version: str | None = None) -> Announcement:
    return Announcement("deploy", at, at, restarts=False, version=version, reason="new features")


@given(
    st.sampled_from(list(Cadence)),
    st.integers(0, 40 * 24),
    st.sampled_from([timedelta(hours=1), timedelta(hours=6), DAY, 7 * DAY]),
    st.none() | st.integers(1, 60 * 24),
)
def test_it_is_due_at_the_first_cohort_at_which_the_watcher_judges(
    cadence: Cadence, hours: int, cohort: timedelta, changed: int | None
) -> None:
    judged_at = JUDGED_AT + timedelta(hours=hours)
    said = [] if changed is None else [change(judged_at + timedelta(hours=changed))]
    found = due(SERIES, Policy(cadence=cadence, cohort=cohort), judged_at, None, said)
    changed_at = [each.taken_at for each in said]
    at = judged_at + cohort
    while not is_due(cadence, judged_at, at, changed_at):
        at += cohort
    assert found.next_at == at
    assert (found.asked_by is not None) <= bool(said)


@pytest.mark.parametrize(
    ("counted", "overdue"), [(None, None), (1.5, None), (2, None), (2.5, 1.5), (31, 30)]
)
def test_it_is_overdue_when_the_streams_are_a_cohort_beyond(
    counted: float | None, overdue: float | None
) -> None:
    counted_at = None if counted is None else JUDGED_AT + counted * DAY
    found = due(SERIES, Policy(), JUDGED_AT, counted_at, [])
    assert found.overdue_by == (None if overdue is None else overdue * DAY)
    said = due_words(found, "m 1")
    assert (said is not None) == (overdue is not None)
    assert said is None or f"overdue by {overdue:.1f} days" in said


def test_a_change_asks_before_the_cadence_does_and_is_named() -> None:
    monthly = Policy(cadence=Cadence.MONTHLY)
    said = [change(JUDGED_AT - DAY), change(JUDGED_AT + 3.5 * DAY), change(JUDGED_AT, "2")]
    found = due(SERIES, monthly, JUDGED_AT, JUDGED_AT, said)
    assert (found.next_at, found.asked_by) == (JUDGED_AT + 4 * DAY, said[1])
    assert found.triggered_by == said[0]
    assert found.as_json()["triggered_by"] == "deploy of 2026-03-11T00:00:00Z: new features"
    words = due_words(found, "m 1")
    assert words is not None
    assert "asked for by deploy of 2026-03-15T12:00:00Z" in words
    later = due(SERIES, monthly, JUDGED_AT, JUDGED_AT, said[:1])
    assert (later.next_at, later.asked_by) == (datetime(2026, 4, 1, tzinfo=UTC), None)
