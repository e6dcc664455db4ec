"""What a failed call of Slack's means: whether, and when, another try makes sense, and the mend.

Guarantees: an outcome names the kind of failure and the way to mend it. Must never: let a request's
address or token into an outcome.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING

from slack_sdk.errors import SlackApiError, SlackClientError

from monitor.core.episode.notices import Rejected, Retry
from monitor.notify.web import retry_after

if TYPE_CHECKING:
    from slack_sdk.web import SlackResponse

_PASSING = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_MENDS = {
    "invalid_auth": "the token is not valid; set a new one",
    "not_authed": "no token was sent; set one",
    "token_revoked": "the token was revoked; set a new one",
    "token_expired": "the token has expired; set a new one",
    "account_inactive": "the token's user or workspace is gone; set a new one",
    "channel_not_found": "no such channel, or a private one that the app is not a member of",
    "not_in_channel": "the app is not a member of the channel; invite it",
    "is_archived": "the channel is archived; route the model to another",
    "missing_scope": "the app needs chat:write, files:write and channels:history"
    " (groups:history for private channels)",
}
FAILURES = (SlackClientError, OSError, HTTPException)


def outcome_of(error: Exception) -> Retry | Rejected:
    """What a failure means: whether, and when, another try makes sense."""
    if isinstance(error, SlackApiError):
        return _refusal(error.response)
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return Retry("Slack did not answer in time")
    # Only the kind and the reason: an error's own text may hold a request's URL.
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or ""
    return Retry(f"no usable answer from Slack: {type(error).__name__} {reason}".strip())


def _refusal(response: SlackResponse) -> Retry | Rejected:
    name = str(response.get("error", ""))
    status = response.status_code
    if status == 429 or name in {"ratelimited", "rate_limited"}:  # noqa: PLR2004  # HTTP status
        after = _retry_after(response.headers)
        return Retry(f"Slack asked to wait {after.total_seconds():.0f} s", after=after)
    if status >= 500 or name in _PASSING:  # noqa: PLR2004  # HTTP status
        said = name if name in _PASSING else ""
        return Retry(f"Slack is unwell: HTTP {status} {said}".strip())
    mend = f" ({_MENDS[name]})" if name in _MENDS else ""
    told = (response.get("response_metadata") or {}).get("messages") or []
    return Rejected("; ".join([f"Slack refused: {name}{mend}", *map(str, told)])[:1000])


def _retry_after(headers: dict[str, str]) -> timedelta:
    said = next((value for key, value in headers.items() if key.lower() == "retry-after"), "")
    return retry_after(said, datetime.now(UTC))
