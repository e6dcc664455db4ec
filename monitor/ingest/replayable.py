"""Which dead letters can be published again.

Guarantees: a letter of which only a part was kept is refused with the mend. Must never: need Kafka.
"""

from __future__ import annotations

from monitor.ingest.formats import MAX_BYTES


def cannot_replay(reason: str, key_bytes: int, value_bytes: int) -> str | None:
    """Why a letter cannot be published again, if it cannot; sizes are of what is stored."""
    if reason == "too_large" or max(key_bytes, value_bytes) > MAX_BYTES:
        return (
            f"the message has more than {MAX_BYTES} bytes, and only so many were kept; "
            "send a smaller one from its source, then drop this letter"
        )
    if key_bytes == MAX_BYTES:
        return (
            f"its key has {MAX_BYTES} bytes or more, and only so many were kept; "
            "send it from its source with a shorter key, then drop this letter"
        )
    if not key_bytes and not value_bytes:
        return "it has neither key nor value, so there is nothing to publish; drop this letter"
    return None
