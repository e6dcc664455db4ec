from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from monitor.core.episode.notices import Delivered, Retry
from monitor.notify.console import ConsoleSender
from monitor.notify.messages import as_plain_text, render
from tests.notify import verdict_samples as samples
from tests.notify.memory_outbox import notification

if TYPE_CHECKING:
    from pathlib import Path

ROW = notification(samples.fired(), route="console", target="")
NOTICE = samples.fired()
MESSAGE = render(NOTICE)
PNG = b"\x89PNG a picture"


def test_the_console_shows_the_message_and_where_its_picture_lies(tmp_path: Path) -> None:
    stream, folder = io.StringIO(), tmp_path / "made" / "here"
    outcome = ConsoleSender(stream, folder).send(ROW, NOTICE, PNG)
    (path,) = folder.iterdir()
    assert path.read_bytes() == PNG
    assert stream.getvalue() == f"\n{as_plain_text(MESSAGE)}\nPicture: {path}\n\n"
    assert outcome == Delivered({"picture": str(path)})


def test_a_message_without_a_picture_is_a_whole_message(tmp_path: Path) -> None:
    stream = io.StringIO()
    outcome = ConsoleSender(stream, tmp_path).send(ROW, NOTICE, None)
    assert stream.getvalue() == f"\n{as_plain_text(MESSAGE)}\n\n"
    assert outcome == Delivered({"picture": None})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_the_picture_alone(tmp_path: Path) -> None:
    stream, blocked = io.StringIO(), tmp_path / "file"
    blocked.write_text("not a folder")
    outcome = ConsoleSender(stream, blocked).send(ROW, NOTICE, PNG)
    assert isinstance(outcome, Delivered)
    assert outcome.detail.startswith(f"delivered without its picture: {blocked}")
    assert "Picture:" not in stream.getvalue()


def test_a_stream_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    outcome = ConsoleSender(stream, tmp_path).send(ROW, NOTICE, None)
    assert outcome == Retry("the console cannot be written to: Broken pipe")
    with pytest.raises(BrokenPipeError):
        stream.close()
