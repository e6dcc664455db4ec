"""Change events from a file: JSON lines of the form that the changes topic has.

Guarantees: what is returned would have been taken from the topic, in file order. Must never: skip
a line that cannot be used; the first one stops the command with its row and the mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.ingest.columns import FileError
from monitor.ingest.formats import Refusal, decode_change

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.events import ChangeEvent

_YEAR_9999_MS = 253_370_764_800_000
"""A file of history has no clock to be ahead of."""


def read_changes(path: Path) -> list[ChangeEvent]:
    """Changes of a file, one JSON object a line; raises FileError."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise FileError(str(path), f"cannot be read: {error.strerror}") from error
    found = []
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        change = decode_change(line, _YEAR_9999_MS)
        if isinstance(change, Refusal):
            raise FileError(str(path), change.detail, row=row)
        found.append(change)
    return found
