"""Pydantic's errors in the words of a person who edits a YAML file.

Guarantees: every message says what stands there and what to write instead. Must never: speak of
Python types or of pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.config.keys import SECTIONS, key_names
from monitor.config.problems import KeyPath, key_text, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

_BASELINE_RULES = ("first_labels", "period")
_IN_ENVIRONMENT = {
    "database": "CALMON_DATABASE_URL",
    "database_url": "CALMON_DATABASE_URL",
    "kafka": "CALMON_KAFKA_BOOTSTRAP",
    "bootstrap": "CALMON_KAFKA_BOOTSTRAP",
    "bootstrap_servers": "CALMON_KAFKA_BOOTSTRAP",
    "kafka_bootstrap": "CALMON_KAFKA_BOOTSTRAP",
    "slack_token": "CALMON_SLACK_TOKEN",
    "token": "CALMON_SLACK_TOKEN",
    "pictures_dir": "CALMON_PICTURES_DIR",
}
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list such as [country, device]",
    "dict_type": "a mapping of names to settings",
    "model_type": "a mapping of `key: value` lines",
    "model_attributes_type": "a mapping such as {from: first_labels, labels: 1000}",
}
_BOOLEANS = dict.fromkeys(("yes", "on", "true"), "; write true") | dict.fromkeys(
    ("no", "off", "false"), "; write false"
)
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def place(error: ErrorDetails) -> KeyPath:
    """Where in the file the error is: pydantic's location without its own marks."""
    path = list(error["loc"])
    if path and path[-1] == "[key]" and error["type"] != "extra_forbidden":
        path.pop()
    rule = _rule_position(error["loc"])
    if rule is not None:
        path.pop(rule)
    return tuple(path)


def explain(error: ErrorDetails) -> str:
    """What is wrong and how to mend it."""
    kind = error["type"]
    if kind in _EXPECTED:
        hint = _hint(kind, error["input"])
        return f"expected {_EXPECTED[kind]}, got {shown(error['input'])}{hint}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{shown(error['input'])} is out of range; use {words} {error['ctx'][bound]:.12g}"
    # Pydantic's own words for a kind that no key of ours gives today: better than none.
    return _WORDS[kind](error) if kind in _WORDS else error["msg"]


def blank_value(path: KeyPath) -> str:
    """Mend of a key with nothing after its colon."""
    if path[-1] in {"channel", "slack_channel"}:
        return "no value; a # begins a comment in YAML; give the channel's id, as C0123ABCDEF"
    return "no value; write one, or remove the key"


def _rule_position(location: KeyPath) -> int | None:
    """Position of the baseline rule's name that pydantic puts after `baseline`."""
    at = {"defaults": 1, "models": 2}.get(str(location[0]) if location else "")
    if at is None or len(location) <= at + 1 or location[at] != "baseline":
        return None
    return at + 1


def _unknown_key(location: KeyPath) -> str:
    key = str(location[-1])
    parent = location[:-1]
    if parent and parent[0] == "models":
        parent = ("defaults", *parent[2:])
    if parent[:2] in {("routing", "receivers"), ("routing", "rules")}:
        parent = parent[:2]
    here = key_names(SECTIONS[tuple(str(part) for part in parent)])
    elsewhere = [path for path, section in SECTIONS.items() if key in key_names(section)]
    if slip := nearest(key, here):
        return f"unknown key; did you mean {slip}?"
    if key in _IN_ENVIRONMENT:
        return f"unknown key; connections stand in the environment: set {_IN_ENVIRONMENT[key]}"
    if elsewhere:
        return f"unknown key here; it belongs {_section(elsewhere[0])}"
    return f"unknown key; the keys here are {', '.join(here)}"


def _section(path: KeyPath) -> str:
    if path and path[-1] in _BASELINE_RULES:
        return f"under {key_text(path[:-1])} with from: {path[-1]}"
    return f"under {key_text(path)}" if path else "at the top"


def _choice(value: object, choices: str) -> str:
    choices = choices.replace("'", "")
    words = choices.replace(" or ", ", ").split(", ")
    if isinstance(value, str):
        slip = nearest(value, [word.removeprefix("from: ") for word in words])
        if slip:
            return f"{shown(value)} is unknown; did you mean {slip}?"
    return f"got {shown(value)}; write {choices}"


def _hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'; put it in quotes: "{shown(value)}"'
    if kind == "bool_type" and isinstance(value, str):
        return _BOOLEANS.get(value.lower(), "")
    if kind in {"int_type", "float_type"} and isinstance(value, str) and value[:1].isdigit():
        return "; write it without quotes or unit"
    return ""


_RULES = "from: first_labels or from: period"
_WORDS: dict[str, Callable[[ErrorDetails], str]] = {
    "extra_forbidden": lambda error: _unknown_key(error["loc"]),
    "value_error": lambda error: str(error["ctx"]["error"]),
    "finite_number": lambda error: f"{shown(error['input'])} is not finite; use a plain number",
    "literal_error": lambda error: _choice(error["input"], error["ctx"]["expected"]),
    "enum": lambda error: _choice(error["input"], error["ctx"]["expected"]),
    "missing": lambda _: "is missing; add it",
    "union_tag_not_found": lambda _: f"does not say its rule; write {_RULES}",
    "union_tag_invalid": lambda error: _choice(error["ctx"]["tag"], _RULES),
}
