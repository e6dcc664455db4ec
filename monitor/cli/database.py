"""The configured database, as commands of a few transactions use it.

Guarantees: its schema is the one this version needs, or the error says what to do. Must never:
change the schema; `calmon db upgrade` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.config.asked import database_url
from monitor.store.engine import connect_once
from monitor.store.migrate import require_current

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.config import Settings


def database(settings: Settings, command: str) -> Engine:
    """The database; `command` is what the server shows of who is connected."""
    url = database_url(settings)
    require_current(url)
    return connect_once(url, name=f"calmon {command}")
