"""Who is told of what, and what a wrong rule is told."""

from __future__ import annotations

import pytest

from monitor.config import ConfigError, parse
from monitor.core.episode.episodes import Severity

SECRETS = {"CALMON_RECEIVER_SECRETS": "pager=0123abcd,hook=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
TOKEN = {"CALMON_SLACK_TOKEN": "xoxb-hush"}
TEXT = """\
routing:
  slack: {channel: C0123ABCDEF}
  receivers:
    pager: {kind: pagerduty}
    am: {kind: alertmanager, url: "http://127.0.0.1:9093"}
    hook: {kind: webhook, url: "https://ops.example.org/calmon"}
  rules:
    - {teams: [payments], severity: critical, to: [pager]}
    - {models: [fraud-*, churn], to: [hook, C0456ABCDEF]}
    - {severity: warning, to: [console]}
models:
  quiet: {slack_channel: C0789ABCDEF}
"""
SLACK, QUIET = ("slack", "C0123ABCDEF"), ("slack", "C0789ABCDEF")
PAGER, HOOK, OTHER = ("pagerduty", "pager"), ("webhook", "hook"), ("slack", "C0456ABCDEF")
CONSOLE = ("console", "stdout")
ALL = TEXT.replace("    - {severity: warning, to: [console]}\n", "    - to: [am, pager]\n")


@pytest.mark.parametrize(
    ("model", "team", "severity", "told"),
    [
        ("any", None, "warning", [SLACK, CONSOLE]),
        ("any", None, "critical", [SLACK]),
        ("any", "payments", "critical", [SLACK, PAGER]),
        ("any", "payments", "warning", [SLACK, CONSOLE]),
        ("any", "growth", "critical", [SLACK]),
        ("quiet", None, "critical", [QUIET]),
        ("fraud-eu", None, "critical", [SLACK, HOOK, OTHER]),
        ("fraud", None, "critical", [SLACK]),
        ("Churn", None, "critical", [SLACK]),
        ("churn", "payments", "critical", [SLACK, PAGER, HOOK, OTHER]),
    ],
)
def test_an_alert_goes_to_its_channel_and_to_whom_the_rules_name(
    model: str, team: str | None, severity: str, told: list[tuple[str, str]]
) -> None:
    text = TEXT.replace('    am: {kind: alertmanager, url: "http://127.0.0.1:9093"}\n', "")
    settings = parse(text, SECRETS | TOKEN)
    assert settings.routes(model, team, Severity(severity)) == told


def test_without_a_token_nothing_goes_to_a_channel_of_a_policy() -> None:
    settings = parse(ALL, SECRETS)
    assert settings.routes("any", "payments", Severity.CRITICAL) == [PAGER, ("alertmanager", "am")]


@pytest.mark.parametrize("text", ["{}", "routing: {rules: [{models: [x], to: [console]}]}"])
def test_what_goes_nowhere_else_goes_to_the_console(text: str) -> None:
    assert parse(text).routes("any", None, Severity.WARNING) == [CONSOLE]


def test_every_route_is_known_for_a_test() -> None:
    settings = parse(ALL, SECRETS | TOKEN)
    assert settings.every_route() == [SLACK, QUIET, PAGER, HOOK, OTHER, ("alertmanager", "am")]
    assert settings.unready == ()


WRONG = [
    # the rules and receivers, then line, key and message of the one problem
    (
        "  rules:\n    - to: [pagr]\n    - to: [pager]\n  receivers: {pager: {kind: pagerduty}}",
        3,
        "routing.rules[0].to[0]",
        "did you mean pager?",
    ),
    ("  rules: [{to: [nobody]}]", 2, "routing.rules[0].to[0]", "declare it under"),
    ("  rules: [{to: ['#all']}]", 2, "routing.rules[0].to[0]", "is no receiver's name"),
    ("  rules:\n    - {to: []}", 3, "routing.rules[0].to", "nobody would be told"),
    ("  rules:\n    - {models: [x]}", 3, "routing.rules[0].to", "is missing; add it"),
    ("  rules:\n    - {tos: [x], to: [console]}", 3, "routing.rules[0].tos", "did you mean to?"),
    (
        "  rules: [{severity: high, to: [console]}]",
        2,
        "routing.rules[0].severity",
        'got "high"; write warning or critical',
    ),
    (
        "  receivers:\n    pager: {kind: pagerduty}",
        3,
        "routing.receivers.pager",
        "no rule sends anything to it",
    ),
    (
        "  receivers:\n    am: {kind: alertmanager}\n  rules: [{to: [am]}]",
        3,
        "routing.receivers.am.url",
        "is missing; give the address of the alertmanager",
    ),
    (
        "  receivers:\n    am: {kind: email}\n  rules: [{to: [console]}]",
        3,
        "routing.receivers.am.kind",
        'got "email"; write pagerduty, alertmanager or webhook',
    ),
    (
        "  receivers:\n    am: {kind: webhook, url: ops}\n  rules: [{to: [am]}]",
        3,
        "routing.receivers.am.url",
        "no web address",
    ),
    (
        "  receivers:\n    am: {kind: webhook, link: x}\n  rules: [{to: [console]}]",
        3,
        "routing.receivers.am.link",
        "unknown key; the keys here are kind, url",
    ),
    (
        "  receivers:\n    console: {kind: pagerduty}\n  rules: [{to: [console]}]",
        3,
        "routing.receivers.console",
        "the name stands for the console",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "message"), WRONG)
def test_what_could_not_work_stops_the_start_with_key_and_line(
    text: str, line: int, key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"routing:\n{text}\n")
    found = caught.value.problems
    assert (found[0].line, found[0].key) == (line, key)
    assert message in found[0].message


LACKING = [
    (ALL, TOKEN, "4: routing.receivers.pager: has no routing key; put pager=..."),
    (ALL, TOKEN, "6: routing.receivers.hook: has no secret; put hook=..."),
    (ALL, SECRETS, "9: routing.rules[1].to[1]: is a Slack channel, but CALMON_SLACK_TOKEN"),
    (
        ALL,
        TOKEN | {"CALMON_RECEIVER_SECRETS": "pager=1,hook=short"},
        "at least 16 bytes",
    ),
    ("{}", SECRETS, '"pager" is not declared under routing.receivers'),
]


@pytest.mark.parametrize(("text", "environ", "message"), LACKING)
def test_a_secret_that_is_missing_stops_the_daemon_and_no_backtest(
    text: str, environ: dict[str, str], message: str
) -> None:
    settings = parse(text, environ)
    with pytest.raises(ConfigError) as caught:
        settings.require_receivers()
    assert message in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "whsec_" not in str(caught.value)


@pytest.mark.parametrize("secrets", ["pager", "pager=", "=x", "a b=x", "pager=1,pager=2", "p=a b"])
def test_a_list_of_secrets_is_read_strictly_and_never_shown(secrets: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("{}", {"CALMON_RECEIVER_SECRETS": secrets})
    (problem,) = caught.value.problems
    assert problem.key == "CALMON_RECEIVER_SECRETS"


def test_a_rule_for_everything_stands_in_for_a_channel() -> None:
    text = "routing: {rules: [{to: [C0456ABCDEF]}]}"
    assert parse(text, TOKEN).routes("any", None, Severity.WARNING) == [OTHER]
