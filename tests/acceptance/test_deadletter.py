"""Dead letters through the command line: what an operator does on a bad day."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import insert, text

from monitor.cli import root
from monitor.ingest.formats import MAX_BYTES
from monitor.ingest.replay import producer
from monitor.store import tables
from monitor.store.panes import PaneStore
from tests.acceptance.product import Product, product

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.servers import TestKafka

HOSTILE = b'{"a": "\x1b]0;owned\x07", "\xe2\x80\xae": 1}'


def offline(engine: Engine, folder: Path) -> Product:
    """The product with a database and no Kafka."""
    url = engine.url.render_as_string(hide_password=False)
    return Product({"PATH": "/usr/bin:/bin", "CALMON_DATABASE_URL": url, "COLUMNS": "100"}, folder)


def put(
    engine: Engine, offset: int, value: bytes | None, reason: str = "not_json", **more: object
) -> None:
    row = {
        "topic": "labels", "partition": 0, "offset": offset, "reason": reason,
        "detail": "not a JSON object: " + "x" * 200, "key": b"tx-1", "value": value,
    } | more  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(tables.dead_letter).values(row))


def test_a_message_is_mended_and_replayed_through_the_running_product(
    kafka: TestKafka, engine: Engine, tmp_path: Path
) -> None:
    """A model that was not declared: its events wait, the file is mended, they are counted."""
    url = engine.url.render_as_string(hide_password=False)
    declared = "auto_register: false\nmodels: {known: {}}\n"
    calmon = product(kafka, url, tmp_path, declared, partitions=1)
    names = json.loads(calmon.run("config", "check", "--json"))["topics"]
    server = kafka.server
    sender = producer(server.bootstrap, api_version=server.api_version)
    for model in ("known", "new"):
        event = {"prediction_id": "p", "model": model, "version": "1", "ts": 10**12, "score": 1}
        sender.send(names["predictions"], key=b"p", value=msgspec.json.encode(event))
    sender.send(names["predictions"], key=b"q", value=b"garbage")
    sender.flush()
    sender.close()
    panes = PaneStore(engine)
    with calmon.running("--role", "ingest"):
        calmon.wait_for_messages(panes, 3)
    listed = json.loads(calmon.run("deadletter", "list", "--json"))
    assert [(c["reason"], c["letters"]) for c in listed["counts"]] == [
        ("not_json", 1), ("unknown_model", 1),
    ]  # fmt: skip
    path = tmp_path / "calmon.yaml"
    path.write_text(path.read_text().replace("auto_register: false", "auto_register: true"))
    words = ("deadletter", "replay", "--reason", "unknown_model", "--author", "ana", "--json")
    assert json.loads(calmon.run(*words)) == {"published": 1, "marked": 1, "skipped": []}
    assert json.loads(calmon.run(*words))["published"] == 0
    with calmon.running("--role", "ingest"):
        calmon.wait_for_messages(panes, 4)
    with engine.connect() as connection:
        known = connection.execute(text("SELECT model FROM calmon.series")).scalars().all()
        rows = connection.execute(
            text("SELECT reason, resolution, resolved_by FROM audit.dead_letters ORDER BY reason")
        ).all()
    assert sorted(known) == ["known", "new"]
    assert [tuple(row) for row in rows] == [
        ("not_json", None, None), ("unknown_model", "replayed", "ana"),
    ]  # fmt: skip


def test_a_listing_is_readable_and_holds_no_payload(engine: Engine, tmp_path: Path) -> None:
    calmon = offline(engine, tmp_path)
    assert "no dead letters wait" in calmon.run("deadletter", "list")
    put(engine, 1, b"secret payload")
    put(engine, 2, HOSTILE, "bad_label", detail="label is \x1b[31m2")
    printed = calmon.run("deadletter", "list")
    assert "labels 0 1" in printed
    assert "…" in printed  # the long detail is cut
    assert "1 letter: labels, bad_label" in printed
    assert "secret" not in printed
    assert "\x1b" not in printed
    assert max(map(len, printed.splitlines())) <= 100
    one = json.loads(calmon.run("deadletter", "list", "--limit", "1", "--json"))
    assert ([letter["offset"] for letter in one["letters"]], one["total"]) == ([2], 2)
    assert "secret" not in json.dumps(one)


def test_one_letter_is_shown_whole_and_does_nothing_to_the_terminal(
    engine: Engine, tmp_path: Path
) -> None:
    calmon = offline(engine, tmp_path)
    put(engine, 1, HOSTILE)
    put(engine, 2, b'{"n":1e999,"n":2}')
    put(engine, 3, b"\xff\x00\x1b")
    put(engine, 4, None, key=None)
    hostile = calmon.run("deadletter", "show", "labels", "0", "1")
    assert "\\x1b]0;owned\\x07" in hostile
    assert "\\u202e" in hostile
    assert all(c.isprintable() or c == "\n" for c in hostile)
    assert '{\n  "n": 1e999,\n  "n": 2\n}' in calmon.run("deadletter", "show", "labels", "0", "2")
    assert "3 bytes, not UTF-8\n\\xff\\x00\\x1b" in calmon.run(
        "deadletter", "show", "labels", "0", "3"
    )
    empty = calmon.run("deadletter", "show", "labels", "0", "4")
    assert "neither key nor value" in empty
    as_text = json.loads(calmon.run("deadletter", "show", "labels", "0", "1", "--json"))
    assert (as_text["key"], as_text["value"]) == ("tx-1", HOSTILE.decode())
    as_bytes = json.loads(calmon.run("deadletter", "show", "labels", "0", "3", "--json"))
    assert base64.b64decode(as_bytes["value_base64"]) == b"\xff\x00\x1b"
    assert "value" not in as_bytes


def test_dropping_keeps_the_row_and_needs_a_who_and_a_why(engine: Engine, tmp_path: Path) -> None:
    calmon = offline(engine, tmp_path)
    put(engine, 1, b"personal data")
    put(engine, 2, b"personal data")
    for missing in (["--author", "ana"], ["--because", "test"]):
        refused = calmon.attempt("deadletter", "drop", "--all", *missing)
        assert refused.returncode == 2
    words = ["deadletter", "drop", "--author", "ana", "--because", "sent by a test", "--json"]
    exactly = ["--topic", "labels", "--partition", "0", "--offset", "1"]
    assert json.loads(calmon.run(*words, *exactly)) == {"dropped": 1}
    listed = json.loads(calmon.run("deadletter", "list", "--json"))
    assert [letter["offset"] for letter in listed["letters"]] == [2]
    everything = json.loads(calmon.run("deadletter", "list", "--all", "--json"))
    assert [letter["resolution"] and letter["resolution"]["outcome"]
            for letter in everything["letters"]] == [None, "dropped"]  # fmt: skip
    shown = calmon.run("deadletter", "show", "labels", "0", "1")
    assert "by ana: sent by a test" in shown
    assert "personal" not in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show", "labels", "0", "99"], "no dead letter at labels/0 offset 99"),
        (["replay"], "nothing is selected; give --topic"),
        (["replay", "--all", "--topic", "labels"], "--all goes with no other selection"),
        (["replay", "--partition", "1"], "give --topic too"),
        (["replay", "--topic", "labels", "--offset", "1"], "give --topic and --partition too"),
        (["replay", "--all"], "no Kafka: set CALMON_KAFKA_BOOTSTRAP"),
        (["replay", "--all", "--author", " "], "--author is empty"),
        (["list", "--since", "yesterday"], '--since: "yesterday" is no span'),
        (["list", "--since", "2026-13-01"], '--since: "2026-13-01" is no time'),
        (
            ["replay", "--topic", "labels", "--partition", "0", "--offset", "5"],
            "labels/0 offset 5 cannot be replayed: the message has more than 1048576 bytes",
        ),
        (
            ["drop", "--topic", "labels", "--partition", "0", "--offset", "6",
             "--author", "ana", "--because", "x"],
            "no dead letter at labels/0 offset 6",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_with_the_mend(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    put(engine, 5, b"x" * MAX_BYTES, "too_large")
    monkeypatch.setenv("CALMON_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setattr(sys, "argv", ["calmon", "deadletter", *words])
    with pytest.raises(SystemExit) as stopped:
        root.main()
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert expected in printed.err
    assert len(printed.err.strip().splitlines()) == 1
