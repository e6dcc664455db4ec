"""What every command asks of the configuration; apart, so that asking does not load the daemon.

Must never: connect to anything.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.config import Settings


class Role(StrEnum):
    """What one process does."""

    ALL = "all"
    INGEST = "ingest"
    WATCH = "watch"


def database_url(settings: Settings) -> str:
    """URL of the configured database; raises ValueError without one."""
    url = settings.connections.database_url
    if url is None:
        msg = (
            "no database: set CALMON_DATABASE_URL, "
            "like postgresql://user:password@host:5432/database"
        )
        raise ValueError(msg)
    return url.get_secret_value()
