"""docs/configuration.md and the example file say what the models say; a stale row fails."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, Union, cast, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from monitor.config import ConfigError, Connections, load, parse
from monitor.config.environment import variable
from monitor.config.keys import SECTIONS, key_names
from monitor.config.process_keys import IngestKeys, TopicKeys
from monitor.config.sections import Keys
from monitor.config.times import span_text
from monitor.core.policies import Policy

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "deploy" / "calmon.example.yaml"

_PLAIN_TYPES = {
    timedelta: "span",
    datetime: "time",
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    tuple: "list of names",
    dict: "mapping of names",
}
_BOUND_WORDS = {Ge: "at least", Gt: "more than", Le: "at most", Lt: "less than"}


def _type(field: FieldInfo) -> str:
    """What the page calls a field's type, with its bounds."""
    annotation = field.annotation
    united = get_origin(annotation) in {Union, UnionType}
    members = get_args(annotation) if united else (annotation,)
    optional = NoneType in members
    kind = next(member for member in members if member is not NoneType)
    if get_origin(kind) is Literal:
        words = " or ".join(f"`{choice}`" for choice in get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        words = " or ".join(f"`{choice}`" for choice in kind)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        words = "mapping"
    else:
        plain = get_origin(kind) or kind
        if plain not in _PLAIN_TYPES:  # Annotated[X, ...] within a union keeps its wrapper
            plain = get_args(kind)[0]
        words = _PLAIN_TYPES[plain]
        if plain is tuple and "Maintenance" in str(get_args(kind)):
            words = "list of texts"
        if plain is tuple and "float" in str(get_args(kind)):
            words = "list of numbers"
    for bound in field.metadata:
        if type(bound) in _BOUND_WORDS:
            limit = getattr(bound, type(bound).__name__.lower())
            words += f", {_BOUND_WORDS[type(bound)]} {_value(limit)}"
    return f"{words}, or null" if optional else words


def _value(value: object) -> str:
    if isinstance(value, timedelta):
        return span_text(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Keys):
        inner = value.model_dump(by_alias=True).items()
        return "{" + ", ".join(f"{key}: {_value(own)}" for key, own in inner) + "}"
    if isinstance(value, float) and value >= 1e5:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    if isinstance(value, tuple):
        return "[" + ", ".join(str(each) for each in value) + "]"
    return str(value)


def _rows(section: type[Keys]) -> list[str]:
    rows: list[str] = []
    for name, field in section.model_fields.items():
        if field.description is None:  # a section of its own
            continue
        default = "needed" if field.is_required() else f"`{_value(field.default)}`"
        (example,) = cast("list[str]", field.examples)
        key = f"`{field.alias or name}`"
        cells = (key, _type(field), default, field.description, f"`{example}`")
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _variables() -> list[str]:
    rows: list[str] = []
    for name, field in Connections.model_fields.items():
        (example,) = cast("list[str]", field.examples)
        default = f"`{field.default}`" if field.default else ""
        cells = (f"`{variable(name)}`", default, str(field.description), f"`{example}`")
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _examples(section: type[Keys]) -> str:
    pairs = [
        f"{field.alias or name}: {field.examples[0]}"
        for name, field in section.model_fields.items()
        if field.examples
    ]
    return "{" + ", ".join(pairs) + "}"


@pytest.mark.parametrize("section", SECTIONS.values(), ids=lambda section: section.__name__)
def test_the_page_has_the_row_of_every_key(section: type[Keys]) -> None:
    missing = [row for row in _rows(section) if row not in PAGE.splitlines()]
    assert missing == [], "rows to put into docs/configuration.md:\n" + "\n".join(missing)


def test_the_page_has_the_row_of_every_variable() -> None:
    missing = [row for row in _variables() if row not in PAGE.splitlines()]
    assert missing == [], "rows to put into docs/configuration.md:\n" + "\n".join(missing)


def test_the_page_has_no_other_row() -> None:
    known = {row for section in SECTIONS.values() for row in _rows(section)} | set(_variables())
    written = {line for line in PAGE.splitlines() if line.startswith("| `")}
    assert written == known


@pytest.mark.parametrize("place", SECTIONS, ids=lambda place: ".".join(place) or "top")
def test_the_examples_of_the_keys_are_sound(place: tuple[str, ...]) -> None:
    if place == ("defaults", "claims"):  # its keys are of different kinds
        for name, field in SECTIONS[place].model_fields.items():
            [example] = cast("list[str]", field.examples)
            more = ", sources: [token_prob]" if name == "logprobs" else ""
            assert parse(f"defaults: {{claims: {{{name}: {example}{more}}}}}") is not None
        return
    text = _examples(SECTIONS[place])
    if place == ("routing", "receivers"):
        text = f"{{receivers: {{hook: {text}}}, rules: [{{to: [hook]}}]}}"
        place = ("routing",)
    if place == ("routing", "rules"):
        text = f"[{text}]"
    for name in reversed([part for part in place if part not in {"first_labels", "period"}]):
        text = f"{{{name}: {text}}}"
    assert parse(text) is not None


def test_the_examples_of_the_variables_are_sound(tmp_path: Path) -> None:
    cafile = tmp_path / "ca.pem"
    cafile.touch()
    environ = {
        variable(name): str(cast("list[str]", field.examples)[0])
        for name, field in Connections.model_fields.items()
    }
    environ["CALMON_KAFKA_SSL_CAFILE"] = str(cafile)
    receivers = "{pager: {kind: pagerduty}, hook: {kind: webhook, url: 'https://example.org'}}"
    rules = "[{to: [pager, hook]}]"
    text = f"routing: {{slack: {{channel: C0123ABCDEF}}, receivers: {receivers}, rules: {rules}}}"
    assert parse(text, environ).unready == ()
    assert parse(text, environ).connections.model_fields_set == set(Connections.model_fields)


BLOCKS = re.findall(r"```yaml\n(.*?)```\n(?:\n*```text\n(.*?)```)?", PAGE, re.DOTALL)


def test_the_page_shows_yaml_that_is_sound_and_yaml_that_is_not() -> None:
    assert [bool(told) for _, told in BLOCKS].count(True) == 1
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize(("text", "told"), BLOCKS)
def test_a_block_of_the_page_is_sound_or_gives_the_problems_shown(text: str, told: str) -> None:
    if told:
        with pytest.raises(ConfigError) as caught:
            parse(text)
        assert str(caught.value) == told.strip()
    else:
        assert parse(text) is not None


def test_the_example_file_is_sound_with_and_without_slack() -> None:
    assert load(EXAMPLE, {}).declared.keys() == {"fraud", "late-arrival"}
    assert load(EXAMPLE, {"CALMON_SLACK_TOKEN": "xoxb-0"}).slack_channel_for("any") is not None


def test_the_example_file_shows_the_defaults() -> None:
    shown, shipped = load(EXAMPLE, {}), load(None, {})
    assert shown.defaults == Policy()
    assert (shown.topics, shown.ingest) == (TopicKeys(), IngestKeys())
    assert (shown.auto_register, shown.clock, shown.tick_every) == (
        shipped.auto_register,
        shipped.clock,
        shipped.tick_every,
    )


def test_the_example_file_shows_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    names = {name for section in SECTIONS.values() for name in key_names(section)}
    assert {name for name in names if not re.search(rf"(?m)(^|[{{, ]){name}:", text)} == set()
