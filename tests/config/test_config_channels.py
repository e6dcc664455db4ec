from __future__ import annotations

import pytest

from monitor.config import ConfigError, load, parse

TOKEN = {"CALMON_SLACK_TOKEN": "xoxb-hush"}
ID = "C0123ABCDEF"
ROUTED = "routing.slack.channel"
MISSING = "is missing, but CALMON_SLACK_TOKEN is set; give the id of the channel"
NAMED = "Slack channel '#all' is not a channel id: give the id (C0123ABCDEF)"
REFUSED = [
    # the text, then line, key and message of its one problem
    ("{}", None, ROUTED, MISSING),
    ("clock: wall\nrouting: {slack: {}}", 2, ROUTED, MISSING),
    ("routing: {slack: {channel: null}}", 1, ROUTED, MISSING),
    (f"models: {{fraud: {{slack_channel: {ID}}}}}", None, ROUTED, MISSING),
    (
        f"defaults: {{slack_channel: {ID}}}\nmodels: {{fraud: {{slack_channel: null}}}}",
        None,
        ROUTED,
        MISSING,
    ),
    ("routing:\n  slack:\n    channel: '#all'", 3, ROUTED, NAMED),
    (
        f"defaults: {{slack_channel: {ID}}}\nmodels:\n  fraud: {{slack_channel: '#all'}}",
        3,
        "models.fraud.slack_channel",
        NAMED,
    ),
    # One wrong channel is one problem, whoever inherits it ...
    (
        "models: {a: }\ndefaults: {slack_channel: '#all'}",
        2,
        "defaults.slack_channel",
        NAMED,
    ),
    # ... and what is wrong already is not called missing too.
    ("routing: {slack: {channel: all}}", 1, ROUTED, "is no Slack channel; give its id"),
    ("defaults: {slack_channel: all}", 1, "defaults.slack_channel", "is no Slack channel"),
    ("routing: []", 1, "routing", "expected a mapping"),
    ("auto_register: 7", 1, "auto_register", "expected true or false"),
]


@pytest.mark.parametrize(("text", "line", "key", "message"), REFUSED)
def test_with_a_token_a_channel_that_slack_would_refuse_stops_the_start(
    text: str, line: int | None, key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, TOKEN)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [(line, key)]
    assert message in caught.value.problems[0].message


@pytest.mark.parametrize(
    "text",
    [
        f"routing: {{slack: {{channel: {ID}}}}}",
        f"defaults: {{slack_channel: {ID}}}\nmodels: {{fraud: {{}}}}",
        f"auto_register: false\nmodels: {{fraud: {{slack_channel: {ID}}}}}",
    ],
)
def test_with_a_token_every_monitored_model_has_a_channel(text: str) -> None:
    assert parse(text, TOKEN).slack_channel_for("fraud") == ID


@pytest.mark.parametrize("text", ["{}", "routing: {slack: {channel: '#all'}}"])
def test_without_a_token_the_channel_does_not_matter(text: str) -> None:
    assert parse(text).connections.slack_token is None


def test_a_token_without_a_file_names_what_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, TOKEN)
    assert str(caught.value) == (
        "environment: CALMON_SLACK_TOKEN: is set, but no file names a channel; give "
        "routing.slack.channel in a file and name the file by --config or CALMON_CONFIG, "
        "or unset the token"
    )
