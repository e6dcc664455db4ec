from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from monitor.core.events import ChangeEvent, ChangeKind
from monitor.ingest.change_files import read_changes
from monitor.ingest.columns import FileError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = '{"model": "fraud", "kind": "recalibration", "ts": "2026-03-12T09:00:00Z"}'


def test_changes_are_read_in_file_order_without_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text(f'{GOOD}\n\n{GOOD[:-1]}, "version": "7", "description": "Platt"}}\n')
    at = datetime(2026, 3, 12, 9, tzinfo=UTC)
    assert read_changes(file) == [
        ChangeEvent("fraud", None, ChangeKind.RECALIBRATION, at),
        ChangeEvent("fraud", "7", ChangeKind.RECALIBRATION, at, "Platt"),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("not json", "row 2"),
        ('{"model": "fraud", "ts": 1}', "kind"),
        (GOOD.replace("recalibration", "wish"), "wish"),
        (GOOD.replace("T09:00:00Z", ""), "row 2"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_the_mend(
    tmp_path: Path, line: str, told: str
) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(FileError, match=r"changes\.jsonl, row 2") as caught:
        read_changes(file)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_changes(tmp_path / "none.jsonl")
