"""Problems: what is wrong with a configuration, where, and how to mend it.

Guarantees: a problem prints on one line whatever the input held, and names a place a person can
go to. Must never: print the value of an environment variable, since it may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath: TypeAlias = tuple[str | int, ...]
"""Place of a value in the file: names of keys, and positions in lists from 0."""

_SHOWN_CHARACTERS = 60
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `line` counts from 1; None where a line means nothing. `key` may be empty."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        """`file:line: key: message`, without the parts that are not known."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(Exception):
    """A configuration that must not be started with; carries every problem found, at least one."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def key_text(path: KeyPath) -> str:
    """`models.fraud.segments[1]`; names that are not plain words stand in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _PLAIN_KEY.fullmatch(part) else shown(part)
        text += f".{name}" if text else name
    return text


def shown(value: object) -> str:
    """A value as a message shows it: one line, printable, cut after 60 characters."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}…"
    return f'"{printable(text)}"' if isinstance(value, str) else printable(text)


def printable(text: str) -> str:
    """The text on one line, with escapes for what does not print."""
    return text if text.isprintable() else ascii(text)[1:-1]


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The known name that `word` is probably a slip of, or None."""
    matches = get_close_matches(word, list(names), n=1)
    return matches[0] if matches else None
