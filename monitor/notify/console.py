"""Console: the same message as text, and its picture as a file whose path is printed.

Guarantees: needs nothing but a stream and a folder, so an alert is seen where no receiver is
configured. Must never: fail an alert for want of its picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.episode.notices import Delivered, Outcome, Retry
from monitor.notify.messages import as_plain_text, picture_name, render

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from monitor.core.episode.notices import AlertNotice, Notification


class ConsoleSender:
    """Prints to the stream; pictures go into the folder, which is made when it is missing."""

    pictured = True

    def __init__(self, stream: TextIO, folder: Path) -> None:
        self._stream = stream
        self._folder = folder

    def send(
        self, notification: Notification, notice: AlertNotice, picture: bytes | None
    ) -> Outcome:
        """Print the message; a stream that cannot be written to is worth another try."""
        path, missing = self._saved(notification, picture)
        lines = [as_plain_text(render(notice))]
        if path is not None:
            lines.append(f"Picture: {path}")
        try:
            self._stream.write("\n".join(["", *lines, "", ""]))
            self._stream.flush()
        except OSError as error:
            return Retry(f"the console cannot be written to: {error.strerror}")
        return Delivered({"picture": str(path) if path else None}, missing)

    def _saved(self, notification: Notification, picture: bytes | None) -> tuple[Path | None, str]:
        if picture is None:
            return None, ""
        path = self._folder / picture_name(notification.notification_id)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
        except OSError as error:
            return None, f"delivered without its picture: {path}: {error.strerror}"
        return path, ""
