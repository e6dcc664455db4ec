"""The state table, with and without a budget."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from monitor.core.claims import Series
from monitor.printing.status import print_status, standings_json
from monitor.store.judgements import Standing

AT = datetime(2026, 11, 23, tzinfo=UTC)
BUDGET = {
    "budget": "at most 1 false page a month over the whole fleet",
    "rule": "thresholds",
    "series": 500,
    "labels_per_month": 7600.0,
    "false_alarms_per_month": 0.0018,
    "since_at": "2026-11-01T00:00:00Z",
}


def standing(model: str, status: str, e_value: float | None, budget: object = None) -> Standing:
    evidence = {"e_value": e_value, "alarm_at": 4e6, "budget": budget, "window": {"n": 900}}
    return Standing(Series(model, "1"), status, "Why.", AT, evidence, None)


def shown(standings: list[Standing]) -> str:
    page = StringIO()
    found = {"series": standings_json(standings), "tallies": [], "dead_letters": 0}
    print_status(Console(file=page, width=160), found)
    return page.getvalue()


def test_those_nearest_to_an_alarm_come_first() -> None:
    given = [
        standing("quiet", "OK", 4e3),
        standing("collecting", "INSUFFICIENT", None),
        standing("near", "OK", 3e6),
        standing("drifted", "DRIFTED", 1e5),
    ]
    found = standings_json(given)
    assert [one["model"] for one in found] == ["drifted", "near", "quiet", "collecting"]
    assert found[1]["of_alarm_at"] == pytest.approx(0.75)


def test_evidence_threshold_and_part_of_the_budget_stand_in_the_table() -> None:
    page = shown([standing("near", "OK", 3e6, BUDGET), standing("new", "INSUFFICIENT", None)])
    assert "0.75 of 4e+06" in page
    assert "0.0018 a month" in page
    assert "budget" not in shown([standing("near", "OK", 3e6)])
