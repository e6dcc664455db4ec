"""`calmon alert-test`: a marked test by every way, and exit code 1 if anything did not arrive."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from monitor.cli import root
from monitor.notify.slack import SlackSender
from tests.notify.receivers import KEY, SECRET, Alertmanager, PagerDuty, Webhook
from tests.notify.slack_faults import Fault, FaultKind
from tests.notify.slack_state import CHANNEL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.notify.slack_stub import SlackStub

TEXT = """\
routing:
  slack: {{channel: {channel}}}
  receivers:
    pager: {{kind: pagerduty, url: "{pager}"}}
    am: {{kind: alertmanager, url: "{am}"}}
    hook: {{kind: webhook, url: "{hook}"}}
  rules:
    - to: [pager, am, hook, console]
"""
Run: TypeAlias = "Callable[..., tuple[int, str, str]]"
"""Runs the command; returns its exit code, its output and its errors."""


@pytest.fixture
def alert_test(  # noqa: PLR0913, PLR0917  # four receivers, and pytest's own
    slack: SlackStub,
    pagerduty: PagerDuty,
    alertmanager: Alertmanager,
    webhook: Webhook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setattr("monitor.daemon.receivers.SlackSender", partial(SlackSender, apart_s=0))

    def run(*options: str, **more: str) -> tuple[int, str, str]:
        addresses = {"pager": pagerduty.url, "am": alertmanager.url, "hook": webhook.url}
        file = tmp_path / "calmon.yaml"
        file.write_text(TEXT.format(channel=CHANNEL, **addresses))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CALMON_")} | {
            "CALMON_CONFIG": str(file),
            "CALMON_SLACK_TOKEN": TOKEN,
            "CALMON_SLACK_BASE_URL": slack.api_url,
            "CALMON_RECEIVER_SECRETS": f"pager={KEY},hook={SECRET}",
            "CALMON_PICTURES_DIR": str(tmp_path),
            **more,
        }
        monkeypatch.setattr(os, "environ", environment)
        monkeypatch.setattr(sys, "argv", ["calmon", "alert-test", *options])
        with pytest.raises(SystemExit) as ended:
            root.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def test_every_way_is_tried_and_what_came_back_is_said(
    alert_test: Run,
    slack: SlackStub,
    pagerduty: PagerDuty,
    alertmanager: Alertmanager,
    webhook: Webhook,
) -> None:
    code, out, err = alert_test()
    assert (code, err) == (0, "")
    said = [line for line in out.splitlines() if line.startswith(("ok", "FAILED"))]
    assert [line.split(":")[0] for line in said] == [
        f"ok     {where}"
        for where in (f"slack {CHANNEL}", "pagerduty pager", "alertmanager am", "webhook hook")
        for _ in range(2)
    ] + ["ok     console stdout"] * 2
    (post,) = slack.parents()
    assert post["text"].startswith("Resolved: TEST, no model, please ignore")
    assert len(slack.shared()) == 1
    ((_, actions),) = pagerduty.incidents.items()
    assert actions == ["trigger", "resolve"]
    assert "TEST, no model, please ignore" in pagerduty.taken[0]["payload"]["summary"]
    (alert,) = alertmanager.alerts.values()
    assert alert["labels"]["model"] == "TEST, no model, please ignore"
    assert [one["type"] for one in webhook.told] == ["alert.fired", "alert.resolved"]


@pytest.mark.parametrize("way", ["slack", "pagerduty", "webhook", "heartbeat"])
def test_one_way_that_fails_is_named_and_the_exit_code_is_1(
    alert_test: Run,
    slack: SlackStub,
    pagerduty: PagerDuty,
    webhook: Webhook,
    way: str,
) -> None:
    refused = Fault(FaultKind.API_ERROR, error="channel_not_found", status=401)
    more: dict[str, str] = {}
    match way:
        case "slack":
            slack.fail("chat.postMessage", refused)
        case "pagerduty":
            pagerduty.fail(refused)
        case "webhook":
            webhook.fail(refused)
        case _:
            more["CALMON_HEARTBEAT_URL"] = f"{slack.api_url}secret-of-the-heartbeat"
    code, out, err = alert_test("--json", **more)
    assert (code, err) == (1, "")
    rows: list[dict[str, Any]] = json.loads(out)
    assert {row["route"] for row in rows if not row["delivered"]} == {way}
    assert "secret-of-the-heartbeat" not in out
    assert KEY not in out


def test_a_missing_secret_is_said_with_key_and_line(alert_test: Run, slack: SlackStub) -> None:
    code, out, err = alert_test(CALMON_RECEIVER_SECRETS="")
    assert (code, out) == (2, "")
    assert ":4: routing.receivers.pager: has no routing key" in err
    assert slack.state.calls == []
