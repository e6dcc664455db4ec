"""Whatever stands in the file or the environment: settings, or a ConfigError that prints well."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.config import ConfigError, Connections, Settings, describe, describe_text, load, parse
from monitor.config.environment import variable
from monitor.config.keys import SECTIONS, key_names

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

_KEYS = sorted({name for section in SECTIONS.values() for name in key_names(section)})
_WORDS = [
    *("1h", "0s", "7m", "1d", "36500d", "-1", "0", "200", "1e6", ".nan", "-.inf", "1e999", "~"),
    *("true", "no", "wall", "daily", "first_labels", "period", "2026-01-01", "9999-12-31", "'#x'"),
    *("[]", "{}", "[a, 'b=c']", "[[[1]]]", "{from: period}", "{from: first_labels, labels: 1}"),
    *("{from: period, start: 2026-01-01, end: 2026-02-01}", "*a", "&a {pane: 1h}", "!!set {}"),
    *("https://x.example", "http://[", "", "#c", "\t", '"\\ud800"', "'", "|", "? x", "<<: *a", "ß"),
]
_lines = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([*_KEYS, "fraud", "<<", "[key]", "''", "? a", "- b", "zzz"]),
        st.sampled_from(_WORDS),
    ),
    max_size=12,
)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(_WORDS) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*_KEYS, "[key]", ""]) | st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


def attempt(act: Callable[[], Settings]) -> Settings | ConfigError:
    try:
        return act()
    except ConfigError as error:
        return error


def check(result: Settings | ConfigError) -> bool:
    """Whether it is sound; fails where a problem is not one printable line."""
    if isinstance(result, ConfigError):
        lines = str(result).split("\n")
        assert len(lines) == len(result.problems) > 0
        for line in lines:
            assert line.isprintable(), line
            assert re.match(r"(environment|[^:]*\.yaml(:[0-9]+)?): ", line), line
        return False
    assert result.policy_for("never declared") == result.defaults or not result.auto_register
    assert describe_text(result)
    assert json.dumps(describe(result))
    return True


def told(text: str) -> bool:
    return check(attempt(lambda: parse(text)))


@settings(max_examples=600, deadline=None)
@given(st.text())
@example("%YAML " + "9" * 5000 + "\n---\n{}")
@example('a: "\\UFFFFFFFF"')
@example("\ud800")
@example("a: " + "9" * 5000)
@example("? ? ? ?")
@example("&a [*a]")
@example("{<<: &a {<<: *a}}")
def test_any_text(text: str) -> None:
    told(text)


@settings(max_examples=1500, deadline=None)
@given(_lines)
def test_any_arrangement_of_keys_and_values(lines: list[tuple[int, str, str]]) -> None:
    told("".join(f"{'  ' * depth}{key}: {value}\n" for depth, key, value in lines))


@settings(max_examples=600, deadline=None)
@given(st.dictionaries(st.sampled_from([*_KEYS, "zzz"]), _plain, max_size=5))
def test_any_values_under_the_keys(data: dict[str, object]) -> None:
    told(json.dumps(data))  # JSON is YAML, up to NaN and Infinity, which are then text


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    check(attempt(lambda: load(path, {})))


@settings(max_examples=600, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [variable(field) for field in Connections.model_fields if field != "config"]
        )
        | st.text().map(lambda name: "CALMON_" + name),
        st.text() | st.sampled_from(["SASL_SSL", "SSL", "PLAIN", "a:1", "2.3", "http://x", "\0"]),
    )
)
def test_any_environment(environ: dict[str, str]) -> None:
    check(attempt(lambda: load(None, environ)))


def test_sound_texts_are_among_the_arrangements() -> None:
    assert told("defaults:\n  baseline: {from: period, start: 2026-01-01, end: 2026-02-01}\n")
