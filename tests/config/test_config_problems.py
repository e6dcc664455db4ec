"""Every fault that a file can have, with the key it names and the mend."""

from __future__ import annotations

import pytest

from monitor.config import ConfigError, parse


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).split("\n")


POLICY_FAULTS = [
    # what is written under a policy, the key blamed, the message
    ("label_horizn: 30d", "label_horizn", "unknown key; did you mean label_horizon?"),
    ("clock: wall", "clock", "unknown key here; it belongs at the top"),
    ("batch_events: 5", "batch_events", "unknown key here; it belongs under ingest"),
    ("zzz: 5", "zzz", "unknown key; the keys here are pane, cohort, label_horizon"),
    ("pane: 30", "pane", "30 has no unit; write 30s, 30m, 30h or 30d"),
    ("pane: 30s", "pane", "30s is shorter than 1m; use 1m or more"),
    ("pane: 7m", "pane", "7m does not divide a day; use 6m or 8m"),
    ("pane: 5h", "pane", "5h does not divide a day; use 4h or 6h"),
    ("pane: 36h", "pane", "36h is neither part of a day nor whole days; use 1d"),
    ("cohort: 90m", "cohort", "90m is not a whole number of panes of 1h; use a multiple of 1h"),
    ("cohort: 30m", "cohort", "30m is not a whole number of panes of 1h; use a multiple of 1h"),
    ("cohort: 0s", "cohort", "0s is too short; use more than 0s"),
    ("label_horizon: 0d", "label_horizon", "0s is too short; use more than 0s"),
    ("label_horizon: -1d", "label_horizon", '"-1d" is no span; write 90s, 5m, 1h, 2d or 2w'),
    (
        "correction_horizon: 1d",
        "correction_horizon",
        "1d is shorter than label_horizon 2d; use 2d or more",
    ),
    (
        "label_horizon: 91d",
        "label_horizon",
        "correction_horizon of 90d is shorter than label_horizon 91d; use 91d or more",
    ),
    ("window: 12h", "window", "12h is shorter than a cohort of 1d; use 1d or more"),
    ("cohort: 8d", "cohort", "window of 7d is shorter than a cohort of 8d; use 8d or more"),
    ("cadence: dayly", "cadence", '"dayly" is unknown; did you mean daily?'),
    ("cadence: 7", "cadence", "got 7; write continuous, hourly, daily or monthly"),
    ("tolerance: 0", "tolerance", "0 is out of range; use more than 0"),
    ("tolerance: 1.0", "tolerance", "1.0 is out of range; use less than 1"),
    ("tolerance: .nan", "tolerance", "nan is not finite; use a plain number"),
    ("tolerance: true", "tolerance", "expected a number, got true"),
    ("tolerance: 2%", "tolerance", 'expected a number, got "2%"; write it without quotes or unit'),
    ("min_labels: 49", "min_labels", "49 is out of range; use at least 50"),
    ("min_labels: 2e9", "min_labels", "expected a whole number, got 2000000000.0"),
    ("min_labels: 2000000000", "min_labels", "is out of range; use at most 1000000000"),
    ("min_labels: true", "min_labels", "expected a whole number, got true"),
    ("min_labels: many", "min_labels", 'expected a whole number, got "many"'),
    ("min_coverage: -0.1", "min_coverage", "-0.1 is out of range; use at least 0"),
    ("min_coverage: 20", "min_coverage", "20 is out of range; use at most 1"),
    ("detectors: []", "detectors", "the list is empty, so nothing would look for changes"),
    ("detectors: [adwin, adwim]", "detectors[1]", '"adwim" is unknown; did you mean adwin?'),
    ("detectors: [kswin, kswin]", "detectors", '"kswin" is listed twice; remove one'),
    ("detectors: adwin", "detectors", "expected a list such as"),
    ("restart_on: [recalibrated]", "restart_on[0]", "did you mean recalibration?"),
    ("restart_on: [1]", "restart_on[0]", "got 1; write version, data, feature, deploy or"),
    ("alarm_at: 999", "alarm_at", "999 is out of range; use at least 1000"),
    ("alarm_at: .inf", "alarm_at", "inf"),
    ("alarm_at: 1e999", "alarm_at", "inf"),
    ("segments: country", "segments", 'expected a list such as [country, device], got "country"'),
    ("segments: [a, a]", "segments", '"a" is listed twice; remove one'),
    ("segments: ['a,b']", "segments[0]", '"a,b" holds a comma or an equals sign; rename'),
    ("segments: [a, b=c]", "segments[1]", '"b=c" holds a comma or an equals sign; rename'),
    ("segments: ['']", "segments[0]", '"" is no name; use 1 to 200 printable characters'),
    ("segments: [7]", "segments[0]", 'expected text, got 7; put it in quotes: "7"'),
    ("runbook_url: wiki/fraud", "runbook_url", "no web address; use http:// or https://"),
    ("runbook_url: ftp://wiki/fraud", "runbook_url", "no web address; use http:// or https://"),
    ("runbook_url: 'http://[::1'", "runbook_url", "no web address; use http:// or https://"),
    ("runbook_url: 'https://'", "runbook_url", "no web address; use http:// or https://"),
    ("runbook_url:", "runbook_url", "no value; write one, or remove the key"),
    ("slack_channel: alerts", "slack_channel", '"alerts" is no Slack channel; give its id'),
    (
        "slack_channel: #alerts",
        "slack_channel",
        "a # begins a comment in YAML; give the channel's id",
    ),
    ("pane:", "pane", "no value; write one, or remove the key"),
    ("baseline: first_labels", "baseline", "expected a mapping such as {from: first_labels"),
    ("baseline: {labels: 500}", "baseline", "does not say its rule; write from: first_labels or"),
    (
        "baseline: {from: firstlabel}",
        "baseline",
        '"firstlabel" is unknown; did you mean first_labels?',
    ),
    ("baseline: {from: 1}", "baseline", 'got "1"; write from: first_labels or from: period'),
    (
        "baseline: {from: first_labels, labels: 99}",
        "baseline.labels",
        "99 is out of range; use at least 100",
    ),
    (
        "baseline: {from: first_labels, start: 2026-01-01}",
        "baseline.start",
        "unknown key here; it belongs under defaults.baseline with from: period",
    ),
    ("baseline: {from: period, start: 2026-01-01}", "baseline.end", "is missing; add it"),
    (
        "baseline: {from: period, start: 2026-02-01, end: 2026-01-01}",
        "baseline",
        "end 2026-01-01T00:00:00Z is not after start 2026-02-01T00:00:00Z; set end",
    ),
    (
        "baseline: {from: period, start: 2026-01-01, end: 2026-01-01T06:00:00Z}",
        "baseline",
        "the period from 2026-01-01T00:00:00Z to 2026-01-01T06:00:00Z is shorter than a cohort",
    ),
    (
        "baseline: {from: period, start: '2026-01-01T00:00:00', end: 2026-02-01}",
        "baseline.start",
        "has no time zone; write 2026-01-01T00:00:00Z if it is UTC",
    ),
]


@pytest.mark.parametrize(("written", "key", "message"), POLICY_FAULTS)
@pytest.mark.parametrize("place", ["defaults", "models.fraud"])
def test_a_fault_of_a_policy_names_line_key_and_mend(
    place: str, written: str, key: str, message: str
) -> None:
    head = "clock: wall\n" + "".join(
        f"{'  ' * depth}{name}:\n" for depth, name in enumerate(place.split("."))
    )
    line = head.count("\n") + 1
    found = problems(f"{head}      {written}\n")
    assert len(found) == 1
    assert found[0].startswith(f"calmon.yaml:{line}: {place}.{key}: ")
    assert message in found[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("topics: {labels: predictions}", 'topics.labels: "predictions" is the topic of'),
        ("topics: {predictions: labels}", 'topics.predictions: "labels" is the topic of labels'),
        ("topics: {predictions: a, changes: a}", 'topics.changes: "a" is the topic of predictions'),
        ("topics: {labels: my topic}", 'topics.labels: "my topic" is no Kafka topic; use 1 to 249'),
        ("topics: {labels: ..}", 'topics.labels: ".." is no Kafka topic'),
        (f"topics: {{labels: {'x' * 250}}}", "topics.labels: "),
        ("topics: {labls: x}", "topics.labls: unknown key; did you mean labels?"),
        ("topics: [a, b, c]", "topics: expected a mapping of `key: value` lines, got a list"),
        ("fleet: {false_alarms: few}", 'fleet.false_alarms: "few" is no budget; write "at most 1'),
        ("fleet: {false_alarms: 0 a year}", 'fleet.false_alarms: "0 a year" is no budget'),
        ("fleet: {false_alarms: 1}", "fleet.false_alarms: expected text, got 1"),
        ("fleet: {weights: {a: 2}}", "fleet.weights: has no effect without false_alarms; add"),
        ("fleet: {rule: e_d_bh}", "fleet.rule: has no effect without false_alarms"),
        ("fleet: {false_alarms: 1 a day, rule: edbh}", "fleet.rule: "),
        (
            "fleet: {false_alarms: 1 a day, weights: {a: 0}}",
            "fleet.weights.a: 0 is out of range; use more than 0",
        ),
        (
            "{fleet: {false_alarms: 1 a day}, defaults: {alarm_at: 1e6}}",
            "defaults.alarm_at: has no effect with fleet.false_alarms, from which thresholds",
        ),
        (
            "{fleet: {false_alarms: 1 a day}, defaults: {detectors: [adwin]}}",
            "defaults.detectors: leaves out e_process, and no other detector keeps to",
        ),
        (
            "{fleet: {false_alarms: 1 a day, weights: {a: 2}}, models: {a: {alarm_at: 1e6}}}",
            "fleet.weights.a: the model has an alarm_at of its own and takes no part",
        ),
        (
            "{auto_register: false, fleet: {false_alarms: 1 a day, weights: {a: 2}}}",
            "fleet.weights.a: is not declared under models; declare or remove it",
        ),
        ("auto_register: yes", 'auto_register: expected true or false, got "yes"; write true'),
        ("auto_register: 1", "auto_register: expected true or false, got 1"),
        ("clock: evnt", 'clock: "evnt" is unknown; did you mean event?'),
        ("clock: {}", "clock: got a mapping; write wall or event"),
        ("tick_every: 0s", "tick_every: 0s is out of range; use 1s to 1d"),
        ("tick_every: 2d", "tick_every: 2d is out of range; use 1s to 1d"),
        ("tick_every: 30", "tick_every: 30 has no unit; write 30s"),
        ("ingest: {batch_events: 0}", "ingest.batch_events: 0 is out of range; use at least 1"),
        ("ingest: {batch_events: 200001}", "ingest.batch_events: 200001 is out of range; use at"),
        ("ingest: {flush_every: 0s}", "ingest.flush_every: 0s is too short"),
        ("ingest: {start_from: begining}", 'ingest.start_from: got "begining"; write earliest or'),
        ("ingest: {group: ''}", 'ingest.group: "" is no name'),
        ("routing: {slack: {channel: #x\n}}", "routing.slack.channel: no value; a # begins"),
        ("routing: {pager: {}}", "routing.pager: unknown key; the keys here are slack"),
        ("models: [fraud]", "models: expected a mapping of names to settings, got a list"),
        ("models: {fraud: 30d}", 'models.fraud: expected a mapping of `key: value` lines, got "30'),
        ("models: {' x': {}}", 'models." x": " x" is no name'),
        ('models: {"a\\nb": {}}', 'models."a\\nb": "a\\nb" is no name'),
        ("default: {}", "default: unknown key; did you mean defaults?"),
        ("label_horizon: 1d", "label_horizon: unknown key here; it belongs under defaults"),
        ("kafka: {}", "kafka: unknown key; connections stand in the environment: set CALMON_KAFKA"),
        ("slack_token: xoxb-1", "slack_token: unknown key; connections stand in the environment"),
        ("clock: wall\nclock: event", "clock: given twice, first on line 1; keep one"),
        ("clock: [wall", "YAML syntax: "),
    ],
)
def test_a_fault_of_the_file_names_key_and_mend(text: str, problem: str) -> None:
    found = problems(text)
    assert len(found) == 1
    _, line, rest = found[0].split(":", 2)
    assert line in {"1", "2"}
    assert rest.removeprefix(" ").startswith(problem)
    assert "xoxb" not in found[0]


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    found = problems(
        "clock: sundial\n"
        "defaults:\n"
        "  cohort: 90m\n"
        "  min_labels: 7\n"
        "models:\n"
        "  fraud:\n"
        "    label_horizn: 30d\n"
        "    tolerance: high\n"
        "  fraud: {}\n"
        "  churn: {correction_horizon: 1d, baseline: {from: period}}\n"
    )
    places = [line.split(": ")[0:2] for line in found]
    assert places == [
        ["calmon.yaml:1", "clock"],
        ["calmon.yaml:3", "defaults.cohort"],
        ["calmon.yaml:4", "defaults.min_labels"],
        ["calmon.yaml:7", "models.fraud.label_horizn"],
        ["calmon.yaml:8", "models.fraud.tolerance"],
        ["calmon.yaml:9", "models.fraud"],
        ["calmon.yaml:10", "models.churn.baseline.start"],
        ["calmon.yaml:10", "models.churn.baseline.end"],
        ["calmon.yaml:10", "models.churn.correction_horizon"],
    ]


def test_a_fault_of_defaults_is_not_repeated_for_the_models_that_inherit_it() -> None:
    text = "defaults: {cohort: 90m}\nmodels:\n  a: {}\n  b: {pane: 30m}\n  c: {pane: 1d}\n"
    assert [line.split(": ")[1] for line in problems(text)] == ["defaults.cohort", "models.c.pane"]


def test_rules_wait_until_their_keys_are_sound() -> None:
    text = "defaults: {pane: 7m, cohort: 1h}\nmodels:\n  a: {cohort: 10m, label_horizon: x}\n"
    assert [line.split(": ")[1] for line in problems(text)] == [
        "defaults.pane",
        "models.a.label_horizon",
    ]


def test_a_model_may_be_named_like_a_key() -> None:
    settings = parse("models: {baseline: {min_labels: 50}, runbook_url: , 2024: {}, models: {}}")
    assert list(settings.declared) == ["baseline", "runbook_url", "2024", "models"]
    assert [line.split(": ")[1] for line in problems("models: {baseline: {baseline: {}}}")] == [
        "models.baseline.baseline"
    ]
