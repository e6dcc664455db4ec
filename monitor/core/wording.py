"""Wording: how series, directions, numbers and times are said to people, the same everywhere.

Guarantees: pure text without markup, names on one line; numbers compared with one another carry
the same number of decimals. Must never: round a difference away that the reader is asked to see.
"""

from __future__ import annotations

import math
import re
from datetime import UTC
from typing import TYPE_CHECKING

from monitor.core.claims import POSITIVE, WHOLE
from monitor.core.verdicts import Direction

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.claims import Series

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def model_name(series: Series) -> str:
    """Model and version: `fraud v7`, with the v only before versions that are bare numbers.

    A version that repeats the model's name is not said twice.
    """
    if series.version == series.model:
        return one_line(series.model)
    bare_number = re.fullmatch(r"\d[\d.]*", series.version)
    return one_line(f"{series.model} {'v' if bare_number else ''}{series.version}")


def series_name(series: Series) -> str:
    """Model and version, then claim and segment where they are not the ordinary ones."""
    parts = [model_name(series)]
    if series.claim != POSITIVE:
        parts.append(f"claim {one_line(series.claim)}")
    if series.segment != WHOLE:
        parts.append(f"segment {one_line(series.segment)}")
    return ", ".join(parts)


def direction_words(direction: Direction | None) -> str:
    """What the scores do now, to follow the model's name: `is overconfident`."""
    match direction:
        case Direction.OVERCONFIDENT:
            return "is overconfident"
        case Direction.UNDERCONFIDENT:
            return "is underconfident"
        case Direction.IMPROVED:
            return "misleads less than in its baseline"
        case None:
            return "no longer matches its baseline"


def one_line(text: str) -> str:
    """Text without control characters or line breaks, for names that come from outside."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def probabilities(*values: float) -> tuple[str, ...]:
    """Probabilities to be read side by side: `0.83` and `0.71`, but `0.0041` and `0.0062`.

    As many decimals as the one nearest to 0 or 1 needs for two significant digits, 2 to 6.
    """
    tails = [min(value, 1 - value) for value in values if 0 < value < 1]
    # .05 and up read well with two decimals; below, each power of ten needs one more.
    needed = [2 + max(0, math.ceil(-math.log10(tail / 0.05))) for tail in tails]
    decimals = min(6, max(needed, default=2))
    return tuple("unknown" if math.isnan(v) else f"{v:.{decimals}f}" for v in values)


def interval(value: float, low: float, high: float) -> str:
    """Estimate of an error with its 95 % interval: `0.081 (0.064 to 0.098)`."""
    if math.isnan(value):
        return "unknown"
    if math.isnan(low) or math.isnan(high):
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def amount(value: float) -> str:
    """A count or a weight of evidence: `8,400`, `2.31 million`, `about 10^17`."""
    if math.isinf(value):
        return "more than 10^308"
    for scale, word in _SCALES:
        if value >= scale * 1000:
            return f"about 10^{math.floor(math.log10(value))}"
        if value >= scale:
            return f"{f'{value / scale:,.2f}'.rstrip('0').rstrip('.')} {word}"
    return f"{value:,.0f}"


def moment(at: datetime) -> str:
    """UTC time to the minute: `12 Mar 2013, 00:00 UTC`."""
    return f"{day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def day(at: datetime) -> str:
    """UTC date: `5 Mar 2013`; never by locale, so that every reader sees the same."""
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[3 * at.month - 3 : 3 * at.month]} {at.year}"


def span(length: timedelta) -> str:
    """Length of time in its two largest units: `3 days 4 hours`, `12 minutes`."""
    minutes = max(0, round(length.total_seconds() / 60))
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    counted = ((days, "day"), (hours, "hour"), (minutes, "minute"))
    said = [f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in counted if n]
    return " ".join(said[:2]) or "less than a minute"
