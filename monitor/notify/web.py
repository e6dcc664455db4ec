"""One HTTP request to a receiver, and what its answer means for the outbox.

Guarantees: one request a call, with a time-out, no redirect followed and no silent repeat; every
failure is an outcome that says whether, and when, another try makes sense. Must never: let a key,
or an address that may hold one, into an outcome or a log.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from monitor.core.episode.notices import Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_S = 10.0
UNKNOWN_RETRY_AFTER = timedelta(seconds=30)
LONGEST_RETRY_AFTER = timedelta(hours=1)
"""A receiver that asks for more is asked again after this; a broken header must not lose alerts."""
_SHOWN = 300
_PASSING = {408, 425}
_TOO_MANY = 429

_STATUS_MENDS = {
    301: "it redirects; set the address it redirects to",
    302: "it redirects, perhaps to a login page; set the address that takes posts",
    307: "it redirects; set the address it redirects to",
    308: "it redirects; set the address it redirects to",
    401: "its key or token is not accepted; set a new one",
    403: "its key or token is not accepted for this; set a new one",
    404: "nothing takes posts at this address; set the right one",
    405: "nothing takes posts at this address; set the right one",
    410: "the address is gone; set a new one or remove the receiver",
}


def web_client(timeout_s: float = TIMEOUT_S) -> httpx.Client:
    """A client whose every step (connect, send, wait, read) takes at most `timeout_s`."""
    return httpx.Client(timeout=timeout_s, follow_redirects=False)


def posted(
    client: httpx.Client, who: str, url: str, body: bytes, headers: Mapping[str, str]
) -> httpx.Response | Retry | Rejected:
    """Post JSON once. A response has a status of success; `who` names the receiver in outcomes."""
    try:
        response = client.post(
            url, content=body, headers={"Content-Type": "application/json", **headers}
        )
    except httpx.TimeoutException:
        return Retry(f"{who} did not answer in time")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Only the kind: an error's own text may hold the address.
        return Retry(f"no usable answer from {who}: {type(error).__name__}")
    if response.is_success:
        return response
    return refusal(who, response)


def refusal(
    who: str, response: httpx.Response, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Retry | Rejected:
    """What a status that is no success means."""
    status = response.status_code
    if status == _TOO_MANY:
        after = retry_after(response.headers.get("Retry-After", ""), now())
        return Retry(f"{who} asked to wait {after.total_seconds():.0f} s", after=after)
    if status in _PASSING or response.is_server_error:
        said = response.headers.get("Retry-After", "")
        after = retry_after(said, now()) if said else timedelta(0)
        return Retry(f"{who} is unwell: HTTP {status}", after=after)
    mend = f" ({_STATUS_MENDS[status]})" if status in _STATUS_MENDS else ""
    told = " ".join(response.text.split())[:_SHOWN]
    return Rejected(f"{who} refused: HTTP {status}{mend}" + (f"; it says: {told}" if told else ""))


def retry_after(said: str, now: datetime) -> timedelta:
    """Wait that a Retry-After header asks for: seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"\s*[0-9]+\s*", said):
        digits = said.strip().lstrip("0") or "0"
        return min(timedelta(seconds=int(digits[:9])), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return UNKNOWN_RETRY_AFTER
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta(0)), LONGEST_RETRY_AFTER)
