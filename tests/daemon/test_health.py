from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.daemon.health import COMMIT_WITHIN, GRACE, STUCK_AFTER, Facts, livez, readyz

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK_EVERY = timedelta(seconds=30)


def ago(span: timedelta) -> datetime:
    return NOW - span


SECOND = timedelta(seconds=1)
SOUND = Facts(
    ingests=True,
    watches=True,
    started_at=ago(timedelta(hours=1)),
    assigned_partitions=4,
    database_reachable=True,
    last_commit_at=ago(SECOND),
    last_tick_at=ago(TICK_EVERY),
    ingest_alive_at=ago(SECOND),
    watch_alive_at=ago(TICK_EVERY),
    tick_every=TICK_EVERY,
)
LONG_AGO = ago(STUCK_AFTER + SECOND)


def test_a_process_at_work_is_alive_and_ready() -> None:
    assert livez(SOUND, NOW).ok
    assert readyz(SOUND, NOW).ok
    assert (livez(SOUND, NOW).reasons, readyz(SOUND, NOW).reasons) == ((), ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"database_reachable": False}, "the database is not reachable"),
        ({"assigned_partitions": 0}, "no partition is assigned"),
        (
            {"last_commit_at": ago(COMMIT_WITHIN + SECOND)},
            "the last commit was 61 s ago, over 60 s",
        ),
        ({"last_commit_at": None}, "nothing was committed yet"),
        ({"last_tick_at": ago(11 * TICK_EVERY)}, "the last tick was 330 s ago, over 300 s"),
        ({"last_tick_at": None}, "no tick has ended yet"),
    ],
)
def test_what_keeps_a_process_from_being_ready_is_said(
    changes: dict[str, object], reason: str
) -> None:
    found = readyz(replace(SOUND, **changes), NOW)  # type: ignore[arg-type]  # by name
    assert not found.ok
    assert found.reasons == (reason,)


def test_all_reasons_are_said_at_once() -> None:
    found = readyz(replace(SOUND, database_reachable=False, last_commit_at=None), NOW)
    assert len(found.reasons) == 2


def test_the_limits_are_inside() -> None:
    edge = replace(SOUND, last_commit_at=ago(COMMIT_WITHIN), last_tick_at=ago(10 * TICK_EVERY))
    assert readyz(edge, NOW).ok
    assert livez(replace(SOUND, ingest_alive_at=ago(STUCK_AFTER)), NOW).ok


def test_long_ticks_are_allowed_for() -> None:
    """A tick a day: ready all day."""
    daily = replace(SOUND, tick_every=timedelta(days=1), last_tick_at=ago(timedelta(days=3)),
                    watch_alive_at=ago(timedelta(days=3)))  # fmt: skip
    assert readyz(daily, NOW).ok
    assert livez(daily, NOW).ok


def test_a_clock_that_was_set_back_is_no_fault() -> None:
    ahead = NOW + timedelta(hours=1)
    assert readyz(replace(SOUND, last_commit_at=ahead, last_tick_at=ahead), NOW).ok


def test_each_role_answers_for_its_own_half() -> None:
    ingest = replace(SOUND, watches=False, last_tick_at=None, watch_alive_at=None)
    watch = replace(
        SOUND, ingests=False, assigned_partitions=0, last_commit_at=None, ingest_alive_at=None
    )
    for facts in (ingest, watch):
        assert readyz(facts, NOW).ok
        assert livez(facts, NOW).ok
    assert not readyz(replace(ingest, assigned_partitions=0), NOW).ok
    assert not readyz(replace(watch, last_tick_at=None), NOW).ok


@pytest.mark.parametrize(
    "changes",
    [
        {"database_reachable": False, "last_commit_at": LONG_AGO, "last_tick_at": LONG_AGO},
        {"assigned_partitions": 0, "last_commit_at": None, "ingest_alive_at": None},
        {"assigned_partitions": 0, "last_commit_at": LONG_AGO, "ingest_alive_at": LONG_AGO},
    ],
)
def test_what_a_restart_would_not_mend_is_alive(changes: dict[str, object]) -> None:
    """A database that is away, or a worker on stand-by: killing it helps nobody."""
    facts = replace(SOUND, **changes)  # type: ignore[arg-type]  # by name
    assert livez(facts, NOW).ok
    assert not readyz(facts, NOW).ok


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("ingest_alive_at", "the worker gave no sign of life for 601 s"),
        ("watch_alive_at", "the watcher gave no sign of life for 601 s"),
    ],
)
def test_a_half_that_hangs_is_not_alive(field: str, reason: str) -> None:
    found = livez(replace(SOUND, **{field: LONG_AGO}), NOW)  # type: ignore[arg-type]  # by name
    assert (found.ok, found.reasons) == (False, (reason,))


def test_a_start_has_time_to_load_and_not_for_ever() -> None:
    """Millions of pending predictions take a while to read back."""
    silent = replace(SOUND, ingest_alive_at=None, watch_alive_at=None, last_commit_at=None)
    assert livez(replace(silent, started_at=ago(GRACE)), NOW).ok
    found = livez(replace(silent, started_at=ago(GRACE + SECOND)), NOW)
    assert found.reasons == (
        "the worker gave no sign of life since the start",
        "the watcher gave no sign of life since the start",
    )
