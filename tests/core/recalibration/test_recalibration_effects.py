"""Which event applied which proposal, and whether it helped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.claims import Series
from monitor.core.recalibration.recalibration_effects import (
    APPROVED,
    REJECTED,
    Applied,
    Judged,
    Proposed,
    applications,
    effect,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = Series("fraud", "7")


def day(n: float) -> datetime:
    return START + timedelta(days=n)


def proposed(
    number: int, at: float, decision: str | None = APPROVED, version: str = "7"
) -> Proposed:
    digits = f"{number:x}" * 64
    return Proposed(number, Series("fraud", version), digits[:64], day(at), decision)


@pytest.mark.parametrize(
    ("proposals", "changes", "expected"),
    [
        pytest.param([proposed(1, 5)], [(6, None, "")], {1: 6}, id="approved before it"),
        pytest.param([proposed(1, 5)], [(4, None, "")], {}, id="an event from before"),
        pytest.param([proposed(1, 5, None)], [(6, None, "")], {}, id="not approved"),
        pytest.param([proposed(1, 5, REJECTED)], [(6, None, "")], {}, id="rejected"),
        pytest.param(
            [proposed(1, 5, None)], [(6, None, "map 111111111111 live")], {1: 6}, id="hash is named"
        ),
        pytest.param(
            [proposed(1, 5, None)], [(6, None, "proposal 1")], {1: 6}, id="number is named"
        ),
        pytest.param([proposed(1, 5, None)], [(6, None, "proposal 11")], {}, id="another number"),
        pytest.param([proposed(1, 5)], [(6, None, "deadbeef")], {}, id="another's hash"),
        pytest.param(
            [proposed(1, 5), proposed(2, 5.5)], [(6, None, "")], {2: 6}, id="the newest one"
        ),
        pytest.param(
            [proposed(1, 5), proposed(2, 7)],
            [(6, None, ""), (8, None, "")],
            {1: 6, 2: 8},
            id="one after the other",
        ),
        pytest.param([proposed(1, 5)], [(6, "8", "")], {}, id="another version"),
        pytest.param(
            [proposed(1, 5), proposed(2, 5, version="8")],
            [(6, None, "")],
            {1: 6, 2: 6},
            id="both versions",
        ),
        pytest.param([proposed(1, 5)], [(9, None, ""), (6, None, "")], {1: 6}, id="the first"),
    ],
)
def test_which_event_applied_which_proposal(
    proposals: list[Proposed],
    changes: list[tuple[float, str | None, str]],
    expected: dict[int, float],
) -> None:
    told = [Applied(version, said, day(at)) for at, version, said in changes]
    found = applications(proposals, told)
    assert {number: change.happened_at for number, change in found.items()} == {
        number: day(at) for number, at in expected.items()
    }


def judged(ece: float, low: float, high: float) -> Judged:
    return Judged("OK", day(9), 1000, ece, low, high)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (judged(0.08, 0.06, 0.1), judged(0.01, 0, 0.02), "it helped: ECE 0.080 (0.060 to 0.100)"),
        (judged(0.01, 0, 0.02), judged(0.08, 0.06, 0.1), "it made things worse: ECE 0.010"),
        (judged(0.03, 0.01, 0.05), judged(0.02, 0, 0.05), "not shown to help: ECE 0.030"),
        (None, judged(0.02, 0, 0.05), "ECE 0.020 (0.000 to 0.050) after; no verdict before it"),
        (judged(0.03, 0.01, 0.05), None, "no verdict with labels from after the change yet"),
    ],
)  # fmt: skip
def test_whether_it_helped(before: Judged | None, after: Judged | None, words: str) -> None:
    assert effect(day(6), before, after).words.startswith(words)
