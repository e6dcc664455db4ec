"""Types of configured values: what each accepts, and the mend it names when it refuses.

Guarantees: strict types (a boolean is no number, a number is no text), and a ValueError whose
message reads after `key: `. Must never: look at another key; `rules.py` compares keys.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from monitor.config.addresses import parse_address
from monitor.config.problems import shown
from monitor.config.times import parse_moment, parse_span, span_text
from monitor.core.judging.budget import Budget
from monitor.core.maintenance import Maintenance
from monitor.notify.channels import channel_problem

_T = TypeVar("_T")
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_CHANNEL_NAME = re.compile(r"#[^\s#,]{1,80}")
_RECEIVER = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LONGEST_NAME = 200
_ROUND_PANES = [
    *(timedelta(minutes=minutes) for minutes in range(1, 60) if 1440 % minutes == 0),
    *(timedelta(hours=hours) for hours in range(1, 25) if 24 % hours == 0),
]


def positive(span: timedelta) -> timedelta:
    """The span, if it is longer than nothing."""
    if span <= timedelta(0):
        message = "0s is too short; use more than 0s"
        raise ValueError(message)
    return span


def whole_pane(span: timedelta) -> timedelta:
    """The span, if panes of it start at the same times every day or are whole days."""
    if span < _MINUTE:
        message = f"{span_text(span)} is shorter than 1m; use 1m or more"
        raise ValueError(message)
    if span < _DAY and _DAY % span:
        below = max(pane for pane in _ROUND_PANES if pane < span)
        above = min(pane for pane in _ROUND_PANES if pane > span)
        message = f"{span_text(span)} does not divide a day; use {span_text(below)} or "
        raise ValueError(message + span_text(above))
    if span > _DAY and span % _DAY:
        message = f"{span_text(span)} is neither part of a day nor whole days; use "
        raise ValueError(message + span_text(_DAY * (span // _DAY)))
    return span


def tick_length(span: timedelta) -> timedelta:
    """The span, if a scheduler can keep to it: 1 second to 1 day."""
    if not timedelta(seconds=1) <= span <= _DAY:
        message = f"{span_text(span)} is out of range; use 1s to 1d"
        raise ValueError(message)
    return span


def session_length(span: timedelta) -> timedelta:
    """The span, if a consumer group can keep to it: 1 second to 5 minutes."""
    if not timedelta(seconds=1) <= span <= timedelta(minutes=5):
        message = f"{span_text(span)} is out of range; use 1s to 5m"
        raise ValueError(message)
    return span


def name(text: str) -> str:
    """The text, if it can stand for a model or a consumer group."""
    if not text or text != text.strip() or not text.isprintable() or len(text) > _LONGEST_NAME:
        message = (
            f"{shown(text)} is no name; use 1 to {_LONGEST_NAME} printable characters, "
            "no spaces around"
        )
        raise ValueError(message)
    return text


def segment_dimension(text: str) -> str:
    """The text, if it can stand before `=` in a segment's name such as `country=DE,device=web`."""
    if "," in text or "=" in text:
        message = f"{shown(text)} holds a comma or an equals sign; rename the segment"
        raise ValueError(message)
    return name(text)


def distinct(entries: tuple[_T, ...]) -> tuple[_T, ...]:
    """The entries, if none is there twice."""
    for position, entry in enumerate(entries):
        if entry in entries[:position]:
            message = f"{shown(entry)} is listed twice; remove one"
            raise ValueError(message)
    return entries


def some_detector(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if there is one."""
    if not names:
        message = "the list is empty, so nothing would look for changes; write [e_process]"
        raise ValueError(message)
    return names


def receiver_name(text: str) -> str:
    """The text, if it can stand for a receiver, also before `=` in a list of secrets."""
    if not _RECEIVER.fullmatch(text):
        message = f"{shown(text)} is no receiver's name; use 1 to 40 of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return text


def some_receiver(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if there is one."""
    if not names:
        message = "the list is empty, so nobody would be told; name a receiver, or remove the rule"
        raise ValueError(message)
    return names


def topic_name(text: str) -> str:
    """The text, if Kafka takes it as a topic's name."""
    if not _TOPIC.fullmatch(text) or text in {".", ".."}:
        message = f"{shown(text)} is no Kafka topic; use 1 to 249 of A-Z a-z 0-9 . _ -"
        raise ValueError(message)
    return text


def web_address(text: str) -> str:
    """The text, if it is an http or https address with a host; never shown, it may hold a key."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname)
        sound = sound and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text:
        message = "no web address; use http:// or https:// and a host"
        raise ValueError(message)
    return text


def public_address(text: str) -> str:
    """The text without a slash at its end, if links can be made by adding a path to it."""
    parts = urlsplit(web_address(text))
    if parts.query or parts.fragment or "@" in parts.netloc or "?" in text or "#" in text:
        message = "links are made by adding a path to it: leave out user, `?` and `#`"
        raise ValueError(message)
    return text.rstrip("/")


def listening_address(text: str) -> str:
    """The text as `host:port`, if it is an address to serve on."""
    return str(parse_address(text))


def channel(text: str) -> str:
    """The text, if it is a Slack channel's id, or its `#name`, which no alert can be sent to.

    A name passes here since it does no harm without a token; `settings.py` refuses it with one.
    """
    if not _CHANNEL_NAME.fullmatch(text) and channel_problem(text):
        message = f"{shown(text)} is no Slack channel; give its id, as C0123ABCDEF"
        raise ValueError(message)
    return text


def maintenance_window(text: object) -> Maintenance:
    """The window that a text names."""
    if not isinstance(text, str):
        message = f'expected a window in words, got {shown(text)}; write "sat 22:00 to sun 06:00"'
        raise ValueError(message)  # noqa: TRY004  # pydantic takes a ValueError
    return Maintenance.parse(text)


def budget(text: str) -> str:
    """The text, if it is a false-alarm budget in words."""
    try:
        Budget.parse(text)
    except ValueError:
        message = (
            f"{shown(text)} is no budget; "
            'write "at most 1 false page a month", or per day, week, quarter or year'
        )
        raise ValueError(message) from None
    return text


Span = Annotated[timedelta, BeforeValidator(parse_span)]
PositiveSpan = Annotated[timedelta, BeforeValidator(parse_span), AfterValidator(positive)]
PaneSpan = Annotated[timedelta, BeforeValidator(parse_span), AfterValidator(whole_pane)]
TickSpan = Annotated[timedelta, BeforeValidator(parse_span), AfterValidator(tick_length)]
SessionSpan = Annotated[timedelta, BeforeValidator(parse_span), AfterValidator(session_length)]
Moment = Annotated[datetime, BeforeValidator(parse_moment)]
Name = Annotated[str, AfterValidator(name)]
Dimension = Annotated[str, AfterValidator(segment_dimension)]
ReceiverName = Annotated[str, AfterValidator(receiver_name)]
TopicName = Annotated[str, AfterValidator(topic_name)]
WebAddress = Annotated[str, AfterValidator(web_address)]
PublicAddress = Annotated[str, AfterValidator(public_address)]
ListeningAddress = Annotated[str, AfterValidator(listening_address)]
Channel = Annotated[str, AfterValidator(channel)]
Window = Annotated[Maintenance, BeforeValidator(maintenance_window)]
BudgetWords = Annotated[str, AfterValidator(budget)]
Weight = Annotated[float, Field(gt=0, le=1e6)]
Distinct = Annotated[tuple[_T, ...], Field(strict=False), AfterValidator(distinct)]
"""A list in which nothing stands twice."""
