"""The YAML file as plain values, with the line of every key.

Guarantees: whatever the text, the result is plain values and a list of faults; the work is
bounded (size, depth, and values after aliases are followed). Scalars follow YAML 1.2's core
schema, so `no` and `1:30` are text and `1e6` is a number. Must never: construct a Python object
that is not a str, int, float, bool, None, list or dict; raise for bad input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from monitor.config.problems import KeyPath, shown

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_VALUES = 50_000
_MAX_DIGITS = 18

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_TOO_MANY = f"more than {MAX_VALUES} values"

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place of the document; `line` counts from 1."""

    line: int | None
    path: KeyPath
    message: str


@dataclass(slots=True)
class Document:
    """Plain values of a file, the line of every path, and what was wrong.

    blanks: paths whose value was left out (`key:` and nothing after it).
    """

    data: dict[str, object] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    blanks: set[KeyPath] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: KeyPath) -> int | None:
        """Line of the path, or of the nearest enclosing one that the file holds."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


class _TooBigError(yaml.YAMLError):
    """Nesting beyond MAX_DEPTH, found before Python's own stack ends, or too many nodes."""


class _Loader(yaml.SafeLoader):
    """SafeLoader's reader, with YAML 1.2 scalars and bounded work; never constructs."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; bounded here since PyYAML recurses for each level."""
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH:
            raise _TooBigError(_TOO_DEEP)
        if self.nodes > 2 * MAX_VALUES:  # a key is a node too
            raise _TooBigError(_TOO_MANY)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def read_document(text: str) -> Document:
    """Values and lines of a YAML text; faults instead of exceptions."""
    document = Document()
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        message = f"larger than {MAX_BYTES} bytes; is this the configuration?"
        document.faults.append(Fault(None, (), message))
        return document
    root = _compose(text, document)
    if document.faults:
        return document
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value == ""):
        message = "the file holds no settings; write {} if every default is meant"
        document.faults.append(Fault(1, (), message))
    elif not isinstance(root, yaml.MappingNode):
        message = "expected `key: value` lines at the top, such as `defaults:`"
        document.faults.append(Fault(root.start_mark.line + 1, (), message))
    else:
        value = _Reader(document).value(root, ())
        if isinstance(value, dict):
            document.data = value
    return document


def _compose(text: str, document: Document) -> yaml.Node | None:
    message = ""
    line: int | None = None
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except _TooBigError as error:
        message = str(error)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        message = _syntax_message(error.problem or error.context or "not readable")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"YAML syntax: the character U+{ord(text[error.position]):04X} is not allowed"
    except (ValueError, OverflowError):
        # PyYAML lets these out for escapes and directives with absurd numbers.
        message = "YAML syntax: a number in an escape or directive is out of range"
    finally:
        if loader is not None:
            line = loader.line + 1 if line is None else line
            loader.dispose()
    document.faults.append(Fault(line, (), message))
    return None


def _syntax_message(problem: str) -> str:
    plain = " ".join(problem.split())
    if r"'\t'" in problem:
        plain += "; indent with spaces, not tabs"
    elif "single document" in problem or plain == "but found another document":
        plain = "a second document begins here; keep one"
    return f"YAML syntax: {plain}"


class _Unusable:
    """Stands for a value that a fault was noted for; it never reaches the document's data."""


_UNUSABLE = _Unusable()


class _Reader:
    """Walks composed nodes, following aliases, and fills a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[int] = []  # nodes on the way here, to refuse a cycle
        self._values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        """Plain value of a node, or _UNUSABLE where a fault was noted."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path) if self._counted(node) else _UNUSABLE
        plain = isinstance(node, yaml.MappingNode | yaml.SequenceNode)
        if not plain or node.tag not in {f"{_TAG}map", f"{_TAG}seq"}:
            return self._fault(node, path, f"the tag {_tag_text(node)} is not supported; remove it")
        if not self._enter(node, path):
            return _UNUSABLE
        try:
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            own: dict[str, object] = {}
            self._fill(node, path, own)
            return own
        finally:
            self._open.pop()

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> object:
        items: list[object] = []
        for position, item in enumerate(node.value):
            self._document.lines[(*path, position)] = item.start_mark.line + 1
            items.append(self.value(item, (*path, position)))
        return _UNUSABLE if _UNUSABLE in items else items

    def _fill(self, node: yaml.Node, path: KeyPath, own: dict[str, object]) -> None:
        """Add the node's keys to `own`, then those it merges; a key that stands already wins."""
        here: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, path, "a key must be plain text")
            elif key.tag == _MERGE:
                merged.append(item)
            elif key.value in here:
                message = f"given twice, first on line {here[key.value]}; keep one"
                self._fault(key, (*path, key.value), message)
            else:
                here[key.value] = line
                self._entry(key, item, path, own)
        for item in merged:
            self._merge(item, path, own)

    def _entry(
        self, key: yaml.Node, item: yaml.Node, path: KeyPath, own: dict[str, object]
    ) -> None:
        name = self._text(key, path)
        if isinstance(name, str) and (*path, name) not in self._document.lines:
            self._document.lines[(*path, name)] = key.start_mark.line + 1
            value = self.value(item, (*path, name))
            if value is not _UNUSABLE:
                own[name] = value

    def _merge(self, node: yaml.Node, path: KeyPath, own: dict[str, object]) -> None:
        """`<<: *anchor`, or a list of them."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                self._fault(node, path, "<< takes an alias of a mapping, or a list of them")
            elif self._enter(source, path):
                try:
                    self._fill(source, path, own)
                finally:
                    self._open.pop()

    def _enter(self, node: yaml.Node, path: KeyPath) -> bool:
        if id(node) in self._open:
            self._fault(node, path, "an alias refers to what it stands in")
            return False
        if len(self._open) >= MAX_DEPTH:
            self._fault(node, path, f"{_TOO_DEEP}, aliases followed")
            return False
        if not self._counted(node):
            return False
        self._open.append(id(node))
        return True

    def _counted(self, node: yaml.Node) -> bool:
        self._values += 1
        if self._values == MAX_VALUES + 1:
            self._fault(node, (), f"{_TOO_MANY}, aliases followed")
        return self._values <= MAX_VALUES

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return self._text(node, path)
        if kind == "null":
            if node.value == "":
                self._document.blanks.add(path)
            return None
        if kind == "bool":
            return node.value in {"true", "True", "TRUE"}
        if kind not in {"int", "float"}:
            return self._fault(node, path, f"the tag {_tag_text(node)} is not supported; remove it")
        try:
            return _number(kind, node.value)
        except ValueError:
            return self._fault(node, path, f"{shown(node.value)} is no number that can be used")

    def _text(self, node: yaml.Node, path: KeyPath) -> str | _Unusable:
        """The scalar's text, with escaped surrogate pairs, as JSON writes them, made one."""
        try:
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self._fault(node, path, f"{shown(node.value)} holds half a character; mend it")

    def _fault(self, node: yaml.Node, path: KeyPath, message: str) -> _Unusable:
        self._document.faults.append(Fault(node.start_mark.line + 1, path, message))
        return _UNUSABLE


def _number(kind: str, text: str) -> int | float:
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if len(text) > _MAX_DIGITS:
        message = "too many digits"
        raise ValueError(message)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text, base)


def _tag_text(node: yaml.Node) -> str:
    return shown(node.tag.replace(_TAG, "!!"))
