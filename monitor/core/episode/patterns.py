r"""Patterns: regular expressions for whole values, matched in time linear in the value.

Guarantees: a match takes at most STATES_LIMIT steps a character, whatever the pattern: all ways to
match are followed at once, as a set, and none is gone back on (Thompson 1968, "Regular expression
search algorithm"). Must never: recurse without bound, or take what it cannot match in that time.

The language is the part of Python's that silences need: literals, `.`, `[a-z]`, `[^a-z]`, groups,
`|`, `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}`, and the escapes \d \w \s with their opposites. `.` is
any character but a line end, as there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

LENGTH_LIMIT = 200
STATES_LIMIT = 2000
DEPTH_LIMIT = 20
"""Of groups within groups."""
_CLASSES = frozenset("dwsDWS")
_SPECIAL = frozenset("*+?{}[]()|\\^$")
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
_ODD_IN_SETS = re.compile(r"(?<!\\)\[|--|&&|\|\||~~")
"""What Python may one day read as operations on sets."""

Chars: TypeAlias = re.Pattern[str]
"""What one character may be: a pattern for exactly one."""


@dataclass(slots=True)
class _Machine:
    """States with what they take and where they lead; `free` leads on without a character."""

    takes: list[Chars | None] = field(default_factory=list)
    leads: list[int] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        if len(self.takes) >= STATES_LIMIT:
            msg = f"too long once its repetitions are written out, more than {STATES_LIMIT} steps"
            raise ValueError(msg)
        self.takes.append(None)
        self.leads.append(-1)
        self.free.append([])
        return len(self.takes) - 1

    def closed(self, states: Iterable[int]) -> set[int]:
        """The states, and all that they lead to without a character."""
        found, waiting = set[int](), list(states)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.free[one]
        return found


class LinearPattern:
    """A pattern that must match the whole of a value.

    Raises ValueError, with the place, for one that it does not know.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_LIMIT:
            msg = f"longer than {LENGTH_LIMIT} characters"
            raise ValueError(msg)
        self._machine = _Machine()
        reader = _Reader(text, self._machine)
        self._start, self._end = reader.whole()

    def matches(self, value: str) -> bool:
        """Whether all of the value matches."""
        machine = self._machine
        now = machine.closed([self._start])
        for char in value:
            taken = (
                machine.leads[one]
                for one in now
                if (chars := machine.takes[one]) is not None and chars.fullmatch(char)
            )
            now = machine.closed(taken)
            if not now:
                return False
        return self._end in now


Part: TypeAlias = tuple[int, int]
"""First and last state of a part of the machine."""


class _Reader:
    """Reads a pattern from left to right, and builds its machine."""

    def __init__(self, text: str, machine: _Machine) -> None:
        self._text = text
        self._at = 0
        self._machine = machine
        self._depth = 0

    def whole(self) -> Part:
        part = self._either()
        if self._at < len(self._text):
            raise ValueError(self._wrong("a `)` without its `(`"))
        return part

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _wrong(self, what: str) -> str:
        return f"{what} at character {self._at + 1}"

    def _either(self) -> Part:
        first, last = self._machine.state(), self._machine.state()
        while True:
            begin, end = self._sequence()
            self._machine.free[first].append(begin)
            self._machine.free[end].append(last)
            if self._peek() != "|":
                return first, last
            self._at += 1

    def _sequence(self) -> Part:
        first = last = self._machine.state()
        while self._peek() not in {"", "|", ")"}:
            begin, end = self._repeated()
            self._machine.free[last].append(begin)
            last = end
        return first, last

    def _repeated(self) -> Part:
        """An atom and how often: read again for each time it may come."""
        at = self._at
        part = self._atom()
        least, most = self._times()
        if (least, most) == (1, 1):
            return part
        after = self._at
        first = last = self._machine.state()
        over = self._machine.state()
        for n in range(least + 1 if most is None else most):
            self._at = at
            begin, end = part if n == 0 else self._atom()
            if n >= least:
                self._machine.free[last].append(over)
            self._machine.free[last].append(begin)
            if n == least and most is None:
                self._machine.free[end].append(last)
            last = end
        self._machine.free[last].append(over)
        self._at = after
        return first, over

    def _times(self) -> tuple[int, int | None]:
        char = self._peek()
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if char in simple:
            self._at += 1
            found = simple[char]
        elif char == "{":
            counted = _COUNT.match(self._text, self._at)
            if counted is None:
                raise ValueError(self._wrong("a `{` that is no number of times; write \\{"))
            self._at = counted.end()
            least = int(counted[1])
            found = (least, least)
            if counted[2]:
                found = (least, int(counted[3]) if counted[3] else None)
            if found[1] is not None and found[1] < least:
                raise ValueError(self._wrong("a number of times whose end is before its start"))
        else:
            return 1, 1
        if self._peek() in {"*", "+", "?", "{"}:
            raise ValueError(self._wrong("a repetition of a repetition"))
        return found

    def _atom(self) -> Part:
        char = self._peek()
        if char == "(":
            return self._group()
        if char == "[":
            return self._one(self._set())
        if char == "\\":
            return self._one(self._escape())
        if char in _SPECIAL or not char:
            hint = "values are matched whole anyway" if char in {"^", "$"} else f"write \\{char}"
            raise ValueError(self._wrong(f"a `{char}` that means nothing here ({hint})"))
        self._at += 1
        return self._one(re.compile("." if char == "." else re.escape(char)))

    def _one(self, chars: Chars) -> Part:
        first, last = self._machine.state(), self._machine.state()
        self._machine.takes[first] = chars
        self._machine.leads[first] = last
        return first, last

    def _group(self) -> Part:
        self._at += 1
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise ValueError(self._wrong("a `(?`, of which only `(?:` is known"))
            self._at += 2
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise ValueError(self._wrong(f"more than {DEPTH_LIMIT} groups within each other"))
        part = self._either()
        if self._peek() != ")":
            raise ValueError(self._wrong("a `(` without its `)`"))
        self._at += 1
        self._depth -= 1
        return part

    def _escape(self) -> Chars:
        char = self._text[self._at + 1 : self._at + 2]
        if not char or (char.isalnum() and char not in _CLASSES):
            raise ValueError(self._wrong(f"an unknown escape `\\{char}`"))
        self._at += 2
        return re.compile(f"\\{char}" if char in _CLASSES else re.escape(char))

    def _set(self) -> Chars:
        """A character class: read here to its end, and left to `re`, which takes one character."""
        end = self._at + 1
        if self._text[end : end + 1] == "^":
            end += 1
        if self._text[end : end + 1] == "]":
            end += 1
        while end < len(self._text) and self._text[end] != "]":
            end += 2 if self._text[end] == "\\" else 1
        text = self._text[self._at : end + 1]
        if end >= len(self._text):
            raise ValueError(self._wrong("a `[` without its `]`"))
        if _ODD_IN_SETS.search(text, 1):
            raise ValueError(self._wrong(f"{text}, where [ - & | ~ need a \\ before them"))
        try:
            chars = re.compile(text)
        except re.error as error:
            raise ValueError(self._wrong(f"{text} is no set of characters ({error.msg})")) from None
        self._at = end + 1
        return chars
