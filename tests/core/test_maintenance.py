from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.maintenance import Maintenance, maintained_until

SATURDAY = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "until"),
    [
        ("2026-11-21 to 2026-11-23", SATURDAY, SATURDAY + timedelta(days=2)),
        ("2026-11-21 to 2026-11-23", SATURDAY + timedelta(days=2), None),
        ("2026-11-21T02:00:00+02:00 to 2026-11-23", SATURDAY, SATURDAY + timedelta(days=2)),
        ("sat 00:00 to sat 06:00", SATURDAY, SATURDAY + timedelta(hours=6)),
        ("sat 00:00 to sat 06:00", SATURDAY - timedelta(minutes=1), None),
        ("fri 22:00 to mon 06:00", SATURDAY, SATURDAY + timedelta(days=2, hours=6)),
        ("sun 12:00 to sat 06:00", SATURDAY, SATURDAY + timedelta(hours=6)),
    ],
)
def test_a_window_holds_from_its_start_until_before_its_end(
    text: str, now: datetime, until: datetime | None
) -> None:
    window = Maintenance.parse(text)
    assert Maintenance.parse(str(window)) == window
    assert window.end_of(now) == until


def test_windows_that_follow_each_other_are_one_and_a_week_of_them_has_an_end() -> None:
    week = [
        Maintenance.parse("mon 00:00 to thu 00:00"),
        Maintenance.parse("wed 12:00 to sat 00:00"),
    ]
    assert maintained_until(week, SATURDAY) is None
    monday = SATURDAY + timedelta(days=2)
    assert maintained_until(week, monday) == SATURDAY + timedelta(days=7)
    always = [Maintenance.parse("mon 00:00 to mon 00:00")]
    until = maintained_until(always, SATURDAY)
    assert until is not None
    assert timedelta(days=366) <= until - SATURDAY < timedelta(days=374)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("weekends", 'write "2026-12-24 to 2026-12-27"'),
        ("2026-11-21T02:00:00 to 2026-11-23", "is no maintenance window"),
        ("sat 25:00 to sun 06:00", "is no maintenance window"),
        ("sax 22:00 to sun 06:00", "is no maintenance window"),
        ("2026-11-23 to 2026-11-21", "ends before it starts"),
    ],
)
def test_what_is_no_window_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        Maintenance.parse(text)
