"""What a Slack may do wrong, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class FaultKind(StrEnum):
    """Ways to misbehave.

    The last two answer nothing after the call has taken effect: the client runs into its own
    time-out, or finds the connection closed.
    """

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    API_ERROR = "api_error"
    SILENT_AFTER_EFFECT = "silent_after_effect"
    CLOSED_AFTER_EFFECT = "closed_after_effect"


@dataclass(frozen=True)
class Fault:
    """One scripted misbehaviour of one call."""

    kind: FaultKind
    retry_after_s: int = 1
    error: str = ""
    status: int = 500
    more: Json = field(default_factory=dict)


class ApiError(Exception):
    """An answer with "ok": false, under HTTP 200 as Slack gives it."""

    def __init__(self, answer: Json) -> None:
        super().__init__(answer)
        self.answer = answer


def refused(error: str, *messages: str) -> ApiError:
    told = {"response_metadata": {"messages": list(messages)}} if messages else {}
    return ApiError({"ok": False, "error": error, **told})
