from __future__ import annotations

import time

import pytest

from monitor.config.document import MAX_BYTES, MAX_VALUES, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e6", 1e6),
        ("-.5E-2", -0.005),
        ("1_000", "1_000"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("~", None),
        ("null", None),
        ('"7"', "7"),
        ("!!str 7", "7"),
        ("-.INF", float("-inf")),
        ("=", "="),
        ("[a, 1]", ["a", 1]),
        ("1.2.3", "1.2.3"),
        (r'"\ud83d\ude00"', "😀"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    document = read_document(f"a: {text}")
    assert document.faults == []
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


def test_every_key_and_list_item_has_its_line() -> None:
    document = read_document("a: 1\nb:\n  c: [x,\n      y]\n  d: {e: 2,\n    f: 3}\n")
    assert document.lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 3,
        ("b", "c", 1): 4,
        ("b", "d"): 5,
        ("b", "d", "e"): 5,
        ("b", "d", "f"): 6,
    }
    assert document.line(("b", "d", "missing")) == 5
    assert document.line(("missing",)) is None


def test_merges_fill_in_and_what_is_written_wins() -> None:
    text = (
        "a: &a {x: 1, y: {deep: 1}}\nb: &b {x: 2, z: 2}\n"
        "c:\n  <<: [*a, *b]\n  y: mine\nd:\n  <<: *a\n"
    )
    document = read_document(text)
    assert document.faults == []
    assert document.data["c"] == {"y": "mine", "x": 1, "z": 2}
    assert document.data["d"] == {"x": 1, "y": {"deep": 1}}
    assert document.line(("c", "y")) == 5
    assert document.line(("c", "z")) == 2
    assert document.line(("d", "y", "deep")) == 1


def test_a_value_left_out_is_told_from_a_written_null() -> None:
    document = read_document("a:\nb: null\nc: ''\n")
    assert document.data == {"a": None, "b": None, "c": ""}
    assert document.blanks == {("a",)}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file holds no settings; write {}"),
        ("# only a comment\n", 1, "the file holds no settings"),
        ("---\n", 1, "the file holds no settings"),
        ("null\n", 1, "expected `key: value` lines at the top"),
        ("- a\n- b\n", 1, "expected `key: value` lines at the top"),
        ("\n\njust text\n", 3, "expected `key: value` lines at the top"),
        ("a: 1\nb: [1,\nc: 2\n", 4, "YAML syntax: "),
        ("a: 1\n\tb: 2\n", 2, "indent with spaces, not tabs"),
        ("a: 1\nb: *nowhere\n", 2, "YAML syntax: found undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here; keep one"),
        ("a: 1\nb: \x01\n", 2, "the character U+0001 is not allowed"),
        ("a: 1\na: 2\n", 2, "given twice, first on line 1; keep one"),
        ("a: 1\n? [x]\n: 2\n", 2, "a key must be plain text"),
        ("a: 1\nb: !!python/name:os.system\n", 2, "is not supported; remove it"),
        ("a: 1\nb: !!binary aGk=\n", 2, '"!!binary" is not supported; remove it'),
        ("a: 1\nb: !!set {x, y}\n", 2, '"!!set" is not supported; remove it'),
        ("a: 1\nb: !!int many\n", 2, '"many" is no number'),
        ("a: 9999999999999999999\n", 1, "is no number that can be used"),
        ("a: 1\nb: &b {c: *b}\n", 2, "an alias refers to what it stands in"),
        ("a: 1\nb: &b\n  <<: *b\n", 2, "an alias refers to what it stands in"),
        ("a: 1\nb: {<<: 3}\n", 2, "<< takes an alias of a mapping"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2, "a number in an escape or directive is out of range"),
        ('a: 1\nb: "\\ud83d"\n', 2, "holds half a character"),
        ('a: 1\n"\\ude00": 2\n', 2, "holds half a character"),
        ("%YAML 9.9\n---\na: 1\n", 1, "YAML syntax: "),
    ],
)
def test_faults_have_their_line(text: str, line: int, message: str) -> None:
    faults = read_document(text).faults
    assert [fault.line for fault in faults] == [line]
    assert message in faults[0].message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_has_an_end(opening: str) -> None:
    faults = read_document("a:\n " + opening * 5000).faults
    assert [fault.message for fault in faults] == ["nested deeper than 20 levels"]


def _bomb(link: str) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {link.format(n=n - 1)}" for n in range(1, 16)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        _bomb("[" + ", ".join(["*a{n}"] * 10) + "]"),
        _bomb("{{<<: [" + ", ".join(["*a{n}"] * 10) + "]}}"),
        "a: [" + "1," * (MAX_VALUES + 1) + "]",
        "a: [" + "1," * (10 * MAX_VALUES),
    ],
)
def test_bombs_are_refused_quickly(text: str) -> None:
    started_s = time.process_time()
    faults = read_document(text).faults
    assert faults[0].message.startswith(f"more than {MAX_VALUES} values")
    assert time.process_time() - started_s < 30


def test_a_long_chain_of_aliases_does_not_end_the_stack() -> None:
    chain = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000)]
    messages = {fault.message for fault in read_document("\n".join(chain)).faults}
    assert messages == {"nested deeper than 20 levels, aliases followed"}


def test_a_huge_text_is_not_parsed() -> None:
    faults = read_document("#" * (MAX_BYTES + 1)).faults
    assert [fault.message for fault in faults] == [
        f"larger than {MAX_BYTES} bytes; is this the configuration?"
    ]
