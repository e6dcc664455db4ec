"""Spans and moments as people write them in the configuration.

Guarantees: every span is a whole number of seconds, at least 0 and at most 100 years; every
moment is aware UTC. Must never: guess a unit or a time zone that was not written.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from monitor.config.problems import shown

LONGEST = timedelta(days=36500)

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORT = re.compile(r"([0-9]{1,12})([smhdw])")
_ISO = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,12})W)?(?:([0-9]{1,12})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,12})H)?(?:([0-9]{1,12})M)?(?:([0-9]{1,12})S)?)?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def parse_span(value: object) -> timedelta:
    """Span from `90s`, `5m`, `1h`, `2d`, `2w` or ISO 8601 (`P2D`, `PT36H`).

    Raises ValueError, with the mend, for anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        message = f"{value} has no unit; write {value}s, {value}m, {value}h or {value}d"
        raise ValueError(message)  # noqa: TRY004  # pydantic collects ValueErrors only
    text = value.strip() if isinstance(value, str) else ""
    if short := _SHORT.fullmatch(text):
        seconds = int(short[1]) * _UNITS_S[short[2]]
    elif iso := _ISO.fullmatch(text):
        counts = [int(count or 0) for count in iso.groups()]
        seconds = sum(n * _UNITS_S[unit] for n, unit in zip(counts, "wdhms", strict=True))
    else:
        message = f"{shown(value)} is no span; write 90s, 5m, 1h, 2d or 2w, or ISO 8601 as PT36H"
        raise ValueError(message)
    if seconds > LONGEST.total_seconds():
        message = f"{shown(text)} is longer than 100 years; use at most {span_text(LONGEST)}"
        raise ValueError(message)
    return timedelta(seconds=seconds)


def span_text(span: timedelta) -> str:
    """The span in its largest whole unit up to days, as `parse_span` reads it: `90m`, `7d`."""
    seconds = int(span.total_seconds())
    unit = next((unit for unit in "dhm" if seconds and seconds % _UNITS_S[unit] == 0), "s")
    return f"{seconds // _UNITS_S[unit]}{unit}"


def parse_moment(value: object) -> datetime:
    """UTC time from RFC 3339 with its offset, or from a date, which means its midnight in UTC.

    Raises ValueError, with the mend, for anything else.
    """
    text = value.strip() if isinstance(value, str) else ""
    match = _MOMENT.fullmatch(text)
    if match and not match["zone"]:
        message = f"{shown(text)} has no time zone; write {text}Z if it is UTC"
        raise ValueError(message)
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if match:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a day or hour that no calendar has: the message below says what is expected
    message = f"{shown(value)} is no time; write 2026-01-31 or 2026-01-31T06:00:00Z"
    raise ValueError(message)
