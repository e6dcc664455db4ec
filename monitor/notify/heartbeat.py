"""Heartbeat: asks for an address after a tick, so that whoever waits for it notices a dead monitor.

Guarantees: takes a few seconds at most, and whatever goes wrong is returned as a reason. Must
never: raise, or let the address, which is a secret, into the reason.

https://healthchecks.io/docs/http_api/
"""

from __future__ import annotations

import httpx

TIMEOUT_S = 5.0


class Heartbeat:
    """Pings one address."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=True)

    def ping(self) -> str | None:
        """Ask for the address; None where it was answered, else why not."""
        try:
            response = self._client.get(self._url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"the heartbeat was not answered: {type(error).__name__}"
        if response.is_success:
            return None
        return f"the heartbeat was refused: HTTP {response.status_code}"
