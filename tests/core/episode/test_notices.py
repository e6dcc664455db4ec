from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.episode.episodes import EpisodeState, Severity
from monitor.core.episode.notices import (
    LAST_ATTEMPT,
    LONGEST_WAIT,
    Ack,
    AlertNotice,
    Attempt,
    AttemptOutcome,
    Delivered,
    Outcome,
    Rejected,
    Retry,
    backoff,
    notice_from_json,
    settle,
)
from tests.notify import verdict_samples as samples

NOW = datetime(2026, 3, 14, 2, 30, tzinfo=UTC)
RECEIPT = {"channel": "C0STUBCHAN1", "ts": "1700000000.000100"}
DELIVERED, RETRY, REJECTED = list(AttemptOutcome)[:3]
FULL = replace(
    samples.fired(),
    team="risk",
    members=(
        samples.member(severity=Severity.CRITICAL),
        samples.member(samples.OK, EpisodeState.RESOLVED),
    ),
    severity=Severity.CRITICAL,
    recent_change=samples.CHANGE,
    ack=Ack("ann", "on it", NOW),
    url="https://calmon.example.org/alerts/1",
)


def test_waits_grow_to_a_limit_and_end() -> None:
    waits = [backoff(attempt) for attempt in range(1, LAST_ATTEMPT)]
    spans = [wait for wait in waits if wait is not None]
    assert len(spans) == LAST_ATTEMPT - 1, "every attempt but the last is followed by a wait"
    assert spans[:4] == [timedelta(seconds=s) for s in (5, 10, 20, 40)]
    assert spans == sorted(spans)
    assert spans[-1] == LONGEST_WAIT
    assert timedelta(hours=5) < sum(spans, timedelta()) < timedelta(hours=8)
    assert backoff(LAST_ATTEMPT) is None


@pytest.mark.parametrize(
    ("outcome", "attempt", "stored"),
    [
        (Delivered(RECEIPT), 1, Attempt(DELIVERED, "delivered", RECEIPT, None)),
        (Delivered(RECEIPT, "found"), 2, Attempt(DELIVERED, "found", RECEIPT, None)),
        (Rejected("no such channel"), 1, Attempt(REJECTED, "no such channel", None, None)),
        (Retry("HTTP 500"), 1, Attempt(RETRY, "HTTP 500", None, NOW + timedelta(seconds=5))),
        (
            Retry("asked to wait", timedelta(seconds=90)),
            1,
            Attempt(RETRY, "asked to wait", None, NOW + timedelta(seconds=90)),
        ),
        (
            Retry("asked to wait", timedelta(seconds=3)),
            3,
            Attempt(RETRY, "asked to wait", None, NOW + timedelta(seconds=20)),
        ),
        (
            Retry("no picture yet", receipt=RECEIPT),
            1,
            Attempt(RETRY, "no picture yet", RECEIPT, NOW + timedelta(seconds=5)),
        ),
        (
            Retry("HTTP 500"),
            LAST_ATTEMPT,
            Attempt(REJECTED, "given up after 20 attempts; the last one: HTTP 500", None, None),
        ),
        (
            Retry("HTTP 500", receipt=RECEIPT),
            LAST_ATTEMPT,
            Attempt(DELIVERED, "delivered without its picture: HTTP 500", RECEIPT, None),
        ),
    ],
    ids=[
        "delivered",
        "delivered with a remark",
        "rejected",
        "first retry",
        "receiver asks for more patience",
        "receiver asks for less patience",
        "picture missing",
        "last attempt",
        "last attempt, message is out",
    ],
)
def test_every_outcome_is_settled(outcome: Outcome, attempt: int, stored: Attempt) -> None:
    assert settle(outcome, attempt, NOW) == stored


@pytest.mark.parametrize("notice", [samples.fired(), samples.fired(runbook_url=None), FULL])
def test_a_stored_notice_comes_back(notice: AlertNotice) -> None:
    back = notice_from_json(json.loads(json.dumps(notice.as_json())))
    assert back.as_json() == notice.as_json()
    assert back == replace(notice, verdict=back.verdict)


def test_a_stored_end_comes_back_with_its_time() -> None:
    back = notice_from_json(samples.resolved().as_json())
    assert back.resolved_at == samples.NOW + timedelta(days=6)


@pytest.mark.parametrize("name", list(samples.fired().as_json()))
def test_a_notice_with_a_part_missing_is_refused_by_name(name: str) -> None:
    raw = samples.fired().as_json()
    del raw[name]
    with pytest.raises(ValueError, match=name):
        notice_from_json(raw)
