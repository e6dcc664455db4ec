from __future__ import annotations

import json

from monitor.config import describe, describe_text, parse

SECRETS = {
    "CALMON_DATABASE_URL": "postgresql://calmon:hush/pa:ss@w@db/calmon",
    "CALMON_KAFKA_BOOTSTRAP": "kafka-1:9092",
    "CALMON_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "CALMON_KAFKA_SASL_MECHANISM": "PLAIN",
    "CALMON_KAFKA_SASL_USERNAME": "hush-user",
    "CALMON_KAFKA_SASL_PASSWORD": "hush-password",
    "CALMON_SLACK_TOKEN": "xoxb-hush",
    "CALMON_SLACK_BASE_URL": "https://hush:hush@proxy.example/api/",
}


def test_the_text_says_what_differs_and_what_is_connected() -> None:
    settings = parse(
        """
        auto_register: false
        defaults: {window: 2w}
        routing: {slack: {channel: C0123ABCDEF}}
        models: {fraud: {label_horizon: 30d, segments: [country]}, churn: {}}
        """,
        SECRETS,
    )
    fraud, churn = settings.declared["fraud"].fingerprint, settings.declared["churn"].fingerprint
    assert describe_text(settings).split("\n") == [
        "no file, all defaults: sound",
        "  clock: wall, a tick every 30s",
        "  topics: predictions, labels, changes",
        "  undeclared models: go to the dead letters",
        "  metrics and health: not served",
        "  false alarms: no budget, each model has its alarm_at",
        "  policies (by fingerprint)",
        f"    defaults  {churn[:12]}  window 14d",
        f"    fraud     {fraud[:12]}  label_horizon 30d, segments country",
        f"    churn     {churn[:12]}  as defaults",
        "  connections",
        "    database: set",
        "    kafka: kafka-1:9092 (SASL_PLAINTEXT)",
        "    slack: token set",
        "    slack_base_url: set",
        "    pictures_dir: not set",
    ]


def test_a_budget_is_said_with_the_thresholds_that_follow() -> None:
    settings = parse(
        """
        fleet:
          false_alarms: one false page a month
          rule: e_d_bh
          weights: {fraud: 3}
        models: {legacy: {alarm_at: 4e6}, old: {detectors: [adwin]}, fraud: {}}
        """
    )
    lines = describe_text(settings).split("\n")
    at = lines.index("  false alarms: at most 1 false page a month over the whole fleet")
    assert lines[at + 1 : at + 6] == [
        "    a series' threshold is its labels a month over its part of the budget;",
        (
            "    where each sends 10,000 labels a month it is 111,111 for 10, 1.11 million for "
            "100, 5.56 million for 500 series"
        ),
        "    parts against 1 for the others: fraud 3",
        "    series that move together are named earlier, by e-d-BH at midnight",
        "    on top of it: legacy, old, by an alarm_at or detectors of their own",
    ]
    fleet = json.loads(json.dumps(describe(settings)))["fleet"]
    assert (fleet["false_alarms_per_month"], fleet["apart"]) == (1, ["legacy", "old"])


def test_neither_form_holds_a_secret() -> None:
    settings = parse("routing: {slack: {channel: C0123ABCDEF}}", SECRETS)
    assert "hush" not in describe_text(settings) + json.dumps(describe(settings))


def test_the_json_form_holds_every_policy_with_its_fingerprint() -> None:
    settings = parse(
        "models: {fraud: {baseline: {from: period, start: 2026-01-01, end: 2027-01-01}}}"
    )
    told = json.loads(json.dumps(describe(settings)))
    policy = settings.declared["fraud"]
    assert told["models"] == {
        "fraud": {"fingerprint": policy.fingerprint, "policy": policy.as_json()}
    }
    assert told["defaults"]["fingerprint"] == settings.defaults.fingerprint
    assert told["tick_every_s"] == 30.0
    assert told["ingest"]["flush_every_s"] == 2.0
    assert told["connections"]["kafka"] == "not set"


def test_a_period_is_told_by_its_ends() -> None:
    text = describe_text(
        parse("defaults: {baseline: {from: period, start: 2026-01-01, end: 2027-01-01}}")
    )
    assert "baseline 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z" in text
