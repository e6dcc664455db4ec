from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, get_args, get_type_hints

import pytest
from pydantic import ValidationError

from monitor.config import ConfigError, Problem, Settings, load, parse
from monitor.config.baseline_keys import BaselineKeys
from monitor.config.policy_keys import PolicyKeys
from monitor.core.policies import Cadence, FirstLabels, NamedPeriod, Policy

if TYPE_CHECKING:
    from pathlib import Path


def test_no_file_means_all_defaults_and_everything_registered() -> None:
    settings = load(None, {})
    assert settings.file is None
    assert settings.defaults == Policy()
    assert settings.policy_for("never heard of") == Policy()
    assert dict(settings.declared) == {}
    assert settings == load(None, {"PATH": "/bin"}) == parse("{}")


def test_a_policy_has_the_keys_and_defaults_that_core_has() -> None:
    assert set(PolicyKeys.model_fields) == {field.name for field in fields(Policy)}
    assert PolicyKeys().over(Policy()) == Policy()
    rules = get_args(get_type_hints(Policy)["baseline"])
    assert {get_type_hints(keys.value)["return"] for keys in get_args(BaselineKeys)} == set(rules)


def test_models_override_defaults_which_override_core() -> None:
    settings = parse(
        """
        defaults: {pane: 30m, label_horizon: 1d, cadence: daily, runbook_url: https://r.example/x,
                   baseline: {from: period, start: 2026-01-01, end: 2026-02-01T00:00:00+01:00}}
        models:
          fraud: {label_horizon: 30d, segments: [country], alarm_at: 4000000, runbook_url: null}
          churn:
          other: {baseline: {from: first_labels}}
        """
    )
    defaults = Policy(
        pane=timedelta(minutes=30),
        label_horizon=timedelta(days=1),
        cadence=Cadence.DAILY,
        runbook_url="https://r.example/x",
        baseline=NamedPeriod(
            datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, 23, tzinfo=UTC)
        ),
    )
    assert settings.defaults == defaults
    assert list(settings.declared) == ["fraud", "churn", "other"]
    assert settings.declared["churn"] == defaults
    assert settings.declared["other"].baseline == FirstLabels()
    fraud = settings.declared["fraud"]
    assert (fraud.pane, fraud.label_horizon) == (timedelta(minutes=30), timedelta(days=30))
    assert (fraud.segments, fraud.runbook_url) == (("country",), None)
    assert type(fraud.alarm_at) is float


def test_undeclared_models_follow_auto_register() -> None:
    text = "models: {fraud: {min_labels: 500}}\nauto_register: "
    assert parse(text + "true").policy_for("other") == Policy()
    closed = parse(text + "false")
    assert closed.policy_for("other") is None
    assert closed.policy_for("fraud") == Policy(min_labels=500)


def test_a_channel_of_the_policy_wins_over_the_routing() -> None:
    settings = parse(
        "routing: {slack: {channel: C000ROUTED}}\nmodels: {fraud: {slack_channel: C0123ABCD}}"
    )
    assert settings.slack_channel_for("fraud") == "C0123ABCD"
    assert settings.slack_channel_for("other") == "C000ROUTED"


def test_sections_left_empty_are_all_defaults() -> None:
    text = "topics:\ningest:\nrouting:\n  slack:\ndefaults:\nmodels:\n"
    assert parse(text) == parse("{}")


def test_anchors_and_merges_serve_families_of_models() -> None:
    settings = parse(
        """
        models:
          fraud-eu: &fraud {label_horizon: 30d, segments: [country]}
          fraud-us: {<<: *fraud, min_labels: 500}
        """
    )
    assert settings.declared["fraud-us"] == Policy(
        label_horizon=timedelta(days=30), segments=("country",), min_labels=500
    )


def test_settings_cannot_be_changed() -> None:
    settings = parse("models: {fraud: {}}")
    changed: Any = settings
    with pytest.raises(FrozenInstanceError):
        changed.clock = "event"
    with pytest.raises(ValidationError):
        changed.topics.labels = "x"
    with pytest.raises(TypeError):
        cast("dict[str, Policy]", settings.declared)["other"] = Policy()


def test_problems_carry_their_parts(tmp_path: Path) -> None:
    file = tmp_path / "calmon.yaml"
    file.write_text("clock: sundial\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {"CALMON_FOO": "1"})
    first, second = caught.value.problems
    assert first == Problem(str(file), 1, "clock", 'got "sundial"; write wall or event')
    assert (second.file, second.line, second.key) == ("environment", None, "CALMON_FOO")


def test_the_file_is_the_argument_else_the_one_the_environment_names(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_bytes(b"\xef\xbb\xbfclock: event\r\n")
    other.write_text("tick_every: 5s\n")
    environ = {"CALMON_CONFIG": str(one)}
    assert load(None, environ).file == one
    assert load(None, environ).clock == "event"
    assert load(other, environ).tick_every == timedelta(seconds=5)
    assert load(other, environ).clock == "wall"


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"clock: wall\n\xff\xfe\n")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (2 << 20))
    for path, message in (
        (tmp_path / "absent.yaml", "absent.yaml: cannot be read: No such file or directory; name"),
        (tmp_path, "cannot be read: Is a directory"),
        (binary, "binary.yaml:2: not UTF-8 text; save the file as UTF-8"),
        (huge, "huge.yaml: larger than 1048576 bytes"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert message in str(caught.value)
        assert len(caught.value.problems) == 1


def test_settings_of_equal_texts_are_equal() -> None:
    def settings(text: str) -> Settings:
        return parse(text)

    assert settings("defaults: {window: 2w}") == settings("defaults: {window: P14D}")
