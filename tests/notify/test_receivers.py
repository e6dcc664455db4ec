"""Every receiver under every fault: told once, or dead-lettered with a reason one can act on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.episode.episodes import AlertKind, EpisodeState, Severity
from monitor.core.episode.notices import AttemptOutcome, Delivered, Rejected, Retry
from monitor.notify.alertmanager import LAPSE, AlertmanagerSender, Standing, alerts_of
from monitor.notify.dispatch import deliver
from monitor.notify.pagerduty import PagerDutySender, event_of
from monitor.notify.slack import SlackSender
from monitor.notify.web import LONGEST_RETRY_AFTER, UNKNOWN_RETRY_AFTER, retry_after
from monitor.notify.webhook import WebhookSender, body_of, secret_key, signature
from tests.notify import verdict_samples as samples
from tests.notify.memory_outbox import POSTED_AT, MemoryOutbox, notification
from tests.notify.receivers import KEY, SECRET, Alertmanager, PagerDuty, Webhook
from tests.notify.slack_faults import Fault, FaultKind
from tests.notify.slack_state import CHANNEL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.notify.dispatch import Sender
    from tests.notify.slack_stub import SlackStub

ROOT = Path(__file__).parents[2]
NOW = POSTED_AT
LIMITED = Fault(FaultKind.RATE_LIMITED, retry_after_s=60)
BROKEN = Fault(FaultKind.SERVER_ERROR, status=503)
SILENT = Fault(FaultKind.SILENT_AFTER_EFFECT)
CLOSED = Fault(FaultKind.CLOSED_AFTER_EFFECT)
STORY = [samples.fired(), samples.changed(), samples.reminded(), samples.resolved()]


@dataclass(frozen=True)
class Case:
    """One kind of receiver: its sender, its script of faults, and what it was told in the end."""

    sender: Sender
    target: str
    fail: Callable[[Fault], None]
    told: Callable[[], object]
    right: object
    """What it holds when each notice was told once."""


@pytest.fixture(params=["slack", "pagerduty", "alertmanager", "webhook"])
def case(
    request: pytest.FixtureRequest,
    slack: SlackStub,
    pagerduty: PagerDuty,
    alertmanager: Alertmanager,
    webhook: Webhook,
) -> Case:
    group = samples.fired().group_id
    cases: dict[str, Case] = {
        "slack": Case(
            SlackSender(TOKEN, slack.api_url, timeout_s=1, apart_s=0),
            CHANNEL,
            lambda fault: slack.fail("chat.postMessage", fault),
            lambda: (len(slack.parents()), len(slack.replies()), slack.doubled()),
            (1, 4, []),
        ),
        "pagerduty": Case(
            PagerDutySender({"pager": (pagerduty.url, KEY)}, 0.3),
            "pager",
            pagerduty.fail,
            lambda: pagerduty.incidents,
            {group: ["trigger", "acknowledge", "trigger", "resolve"]},
        ),
        "alertmanager": Case(
            AlertmanagerSender({"am": (alertmanager.url, None)}, 0.3),
            "am",
            alertmanager.fail,
            lambda: (len(alertmanager.alerts), alertmanager.firing(datetime.now(UTC))),
            (1, []),
        ),
        "webhook": Case(
            WebhookSender({"hook": (webhook.url, SECRET)}, 0.3),
            "hook",
            webhook.fail,
            lambda: [one["type"] for one in webhook.told],
            ["alert.fired", "alert.changed", "alert.reminded", "alert.resolved"],
        ),
    }
    return cases[request.param]


def through(outbox: MemoryOutbox, sender: Sender) -> None:
    """Pass after pass, each when the next is due, until nothing is left."""
    now = NOW
    while now < NOW + timedelta(days=1):
        deliver(outbox, {row.route: sender for row in outbox.rows}, now, lambda _: b"\x89PNG")
        waiting = [tried[-1][1].next_attempt_at for tried in outbox.attempts.values()]
        later = [at for at in waiting if at is not None]
        if not later:
            return
        now = min(later)


@pytest.mark.parametrize("at", range(len(STORY)))
@pytest.mark.parametrize("fault", [LIMITED, BROKEN, SILENT, CLOSED], ids=lambda f: str(f.kind))
def test_every_notice_is_told_once_whatever_fails(case: Case, fault: Fault, at: int) -> None:
    rows = [notification(notice, "route", case.target) for notice in STORY]
    outbox = MemoryOutbox(rows[:at])
    through(outbox, case.sender)
    case.fail(fault)
    outbox.rows.append(rows[at])
    through(outbox, case.sender)
    outbox.rows += rows[at + 1 :]
    through(outbox, case.sender)
    assert case.told() == case.right
    for row in rows:
        assert outbox.outcomes(row.notification_id)[-1][0] is AttemptOutcome.DELIVERED
    (failed, *_), *_ = outbox.outcomes(rows[at].notification_id)
    assert failed is AttemptOutcome.RETRY


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, 'refused: HTTP 400; it says: "no"'),
        (401, "its key or token is not accepted; set a new one"),
        (403, "not accepted for this"),
        (404, "nothing takes posts at this address"),
        (410, "the address is gone"),
        (302, "it redirects"),
    ],
)
@pytest.mark.parametrize("case", ["pagerduty", "alertmanager", "webhook"], indirect=True)
def test_a_refusal_is_a_dead_letter_that_says_what_to_mend(
    case: Case, status: int, reason: str
) -> None:
    outbox = MemoryOutbox([notification(samples.fired(), "route", case.target)])
    case.fail(Fault(FaultKind.API_ERROR, error="no", status=status))
    through(outbox, case.sender)
    ((outcome, detail),) = outbox.outcomes(outbox.rows[0].notification_id)
    assert outcome is AttemptOutcome.REJECTED
    assert reason in detail


def test_a_revoked_key_is_named_and_never_shown(pagerduty: PagerDuty) -> None:
    key = "f" * 32
    sender = PagerDutySender({"pager": (pagerduty.url, key)}, 1)
    outcome = sender.send(notification(samples.fired(), "p", "pager"), samples.fired(), None)
    assert isinstance(outcome, Rejected)
    assert "Invalid routing key" in outcome.why
    assert key not in repr(outcome)


@pytest.mark.parametrize("kind", [PagerDutySender, AlertmanagerSender, WebhookSender])
def test_a_receiver_that_is_no_longer_configured_is_waited_for(
    kind: Callable[[dict[str, Any]], Sender],
) -> None:
    outcome = kind({}).send(notification(samples.fired(), "r", "gone"), samples.fired(), None)
    assert isinstance(outcome, Retry)
    assert "'gone'" in outcome.why


def test_alerts_of_a_group_are_its_series_and_each_ends_by_itself() -> None:
    notice = samples.grouped(3)
    over = replace(notice.members[2], state=EpisodeState.RESOLVED)
    notice = replace(notice, members=(*notice.members[:2], over))
    now = samples.NOW + timedelta(hours=1)
    alerts = alerts_of(notice, now)
    ends = [one["endsAt"] for one in alerts]
    assert ends == [(now + LAPSE).isoformat()] * 2 + [now.isoformat()]
    assert len({json.dumps(one["labels"]) for one in alerts}) == 3
    again = alerts_of(notice, now + timedelta(minutes=1))
    assert [one["labels"] for one in again] == [one["labels"] for one in alerts]
    assert alerts[0]["labels"] == {
        "alertname": "CalibrationDrift",
        "model": "fraud",
        "version": "7",
        "claim": "positive",
        "segment": "country=C0",
        "team": "payments",
        "severity": "critical",
    }


def test_a_series_that_turns_critical_ends_the_alert_that_warned_in_the_same_request(
    alertmanager: Alertmanager,
) -> None:
    now = samples.NOW + timedelta(hours=1)
    sender = AlertmanagerSender({"am": (alertmanager.url, None)}, 5, now=lambda: now)
    warns = samples.grouped(2, Severity.WARNING)
    worse = replace(samples.grouped(2), kind=AlertKind.CHANGED)
    for notice in (warns, worse, replace(worse, kind=AlertKind.REMINDED)):
        sent = sender.send(notification(notice, "alertmanager", "am"), notice, None)
        assert isinstance(sent, Delivered)
        firing = [json.loads(labels) for labels in alertmanager.firing(now)]
        assert sorted((one["segment"], one["severity"]) for one in firing) == [
            ("country=C0", "warning" if notice is warns else "critical"),
            ("country=C1", "warning"),
        ]
    assert len(alertmanager.taken) == 3


def test_what_stands_is_sent_again_every_minute_until_it_is_over(
    alertmanager: Alertmanager,
) -> None:
    clock = [samples.NOW + timedelta(hours=1)]
    sender = AlertmanagerSender({"am": (alertmanager.url, None)}, 0.3, now=lambda: clock[0])
    stands = [notification(samples.fired(), "alertmanager", "am")]
    again = Standing(sender, lambda: stands)
    sent = []
    for _ in range(20):
        again.send_again(clock[0])
        sent.append(len(alertmanager.taken))
        assert len(alertmanager.firing(clock[0])) == 1, "it never lapses while it stands"
        clock[0] += timedelta(seconds=30)
    assert sent == [1 + n // 2 for n in range(20)]
    stands.clear()
    again.send_again(clock[0] + timedelta(minutes=5))
    assert alertmanager.firing(clock[0] + LAPSE) == [], "nor outlives a monitor that is dead"


def test_a_sending_again_that_fails_is_told_once_a_receiver(alertmanager: Alertmanager) -> None:
    sender = AlertmanagerSender({"am": (alertmanager.url, None)}, 0.3)
    row = notification(samples.fired(), "alertmanager", "am")
    bad = replace(row, payload={}, target="bad")
    again = Standing(sender, lambda: [row, row, bad])
    alertmanager.fail(BROKEN)
    assert again.send_again(NOW) == [
        "am: Alertmanager is unwell: HTTP 503",
        "bad: the stored payload cannot be read: a notice must have 'members'",
    ]
    assert len(alertmanager.requests) == 1
    assert again.send_again(NOW + timedelta(seconds=59)) == []
    assert len(again.send_again(NOW + timedelta(seconds=60))) == 1


def test_an_event_says_everything_and_keeps_pagerdutys_limits() -> None:
    notice = samples.grouped(40)
    event: dict[str, Any] = event_of(notice)
    assert event["payload"]["severity"] == "critical"
    assert "fraud v7 in 40 segments" in event["payload"]["summary"]
    assert "How sure: e-value" in event["payload"]["custom_details"]["message"]
    assert [link["text"] for link in event["links"]] == ["Runbook", "Dashboard"]
    assert len(json.dumps(event)) < 512_000


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, its secret and id."""
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", "whsec_not base64 at all!"])
def test_a_secret_that_guards_nothing_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"base64|at least 16 bytes"):
        secret_key(secret)


@pytest.mark.parametrize("notice", [*STORY, samples.grouped(3)], ids=lambda n: str(n.kind))
def test_the_documented_schema_holds_for_every_body(notice: Any) -> None:  # noqa: ANN401  # a notice
    schema = json.loads((ROOT / "docs/webhook.schema.json").read_text())
    body = json.loads(json.dumps(body_of(notification(notice), notice)))
    assert faults(schema, schema, body, "") == []
    assert faults(schema, schema, {**body, "version": 2}, "") == ["/version: not 1"]
    assert faults(schema, schema, {**body, "more": 1}, "") == ["/more: not in the schema"]


def faults(root: Any, schema: Any, value: Any, at: str) -> list[str]:  # noqa: ANN401  # JSON
    """What a value breaks of the part of JSON Schema that the document uses."""
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "null": type(None),
    }
    kinds |= {"number": (int, float), "boolean": bool}
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{at}: not {schema['const']}"]
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if allowed and not any(isinstance(value, kinds[kind]) for kind in allowed):
        return [f"{at}: {type(value).__name__} is none of {allowed}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{at}/{k}: missing" for k in schema.get("required", []) if k not in value]
        if schema.get("additionalProperties") is False:
            found += [f"{at}/{k}: not in the schema" for k in value if k not in properties]
        for name, one in value.items():
            found += faults(root, properties.get(name, {}), one, f"{at}/{name}")
    if isinstance(value, list):
        for k, one in enumerate(value):
            found += faults(root, schema.get("items", {}), one, f"{at}/{k}")
    return found


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta(0)),
        ("Tue, 14 Nov 2023 22:14:20 GMT", timedelta(minutes=1)),
        ("Tue, 14 Nov 2023 22:12:20 GMT", timedelta(0)),
        ("99999999999999999999", LONGEST_RETRY_AFTER),
        ("soon", UNKNOWN_RETRY_AFTER),
        ("", UNKNOWN_RETRY_AFTER),
        ("-5", UNKNOWN_RETRY_AFTER),
    ],
)
def test_a_wait_is_read_as_the_standard_writes_it(said: str, wait: timedelta) -> None:
    assert retry_after(said, NOW) == wait


@given(st.text(max_size=40))
def test_no_header_makes_a_wait_of_more_than_an_hour(said: str) -> None:
    assert timedelta(0) <= retry_after(said, NOW) <= LONGEST_RETRY_AFTER


def test_a_proxy_with_a_password_is_in_no_outcome() -> None:
    address = "http://user:hunter2@127.0.0.1:1/hook/T0PSECRET"
    sender = WebhookSender({"hook": (address, SECRET)}, 1)
    outcome = sender.send(notification(samples.fired(), "r", "hook"), samples.fired(), None)
    assert outcome == Retry("no usable answer from the webhook: ConnectError")


def test_the_client_follows_no_redirect(webhook: Webhook) -> None:
    webhook.fail(Fault(FaultKind.API_ERROR, status=307))
    sender = WebhookSender({"hook": (webhook.url, SECRET)}, 0.3)
    row = notification(samples.fired(), "r", "hook")
    assert isinstance(sender.send(row, samples.fired(), None), Rejected)
    assert len(webhook.requests) == 1
    assert isinstance(sender.send(row, samples.fired(), None), Delivered)
