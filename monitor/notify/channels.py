"""What may stand for a Slack channel.

Guarantees: a channel that passes is one whose history can be read back, which Slack keeps by id.
Must never: import the client, so that the configuration can be checked without it.
"""

from __future__ import annotations

import re

_ID = re.compile(r"[CG][A-Z0-9]{6,}")


def channel_problem(channel: str) -> str | None:
    """Say why this cannot be a route's channel, or None: history is kept by id, not by name."""
    if _ID.fullmatch(channel):
        return None
    return (
        f"Slack channel {channel!r} is not a channel id: give the id (C0123ABCDEF) that Slack "
        "shows at the end of the channel's details, not its name"
    )
