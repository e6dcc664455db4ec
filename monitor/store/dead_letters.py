"""Dead letters: messages that could not be used, and what became of them.

Guarantees: a letter's row is never removed, and says when, by whom and why it was resolved; it is
replayed at most once. Must never: lose the bytes of a letter that waits, or keep those of one
that was dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    tuple_,
    update,
)

from monitor.store import tables as t
from monitor.store.engine import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine, Row

_FETCHED_AT_ONCE = 16
"""Rows of a page that the driver holds: a row has up to 2 MiB."""

_table = t.dead_letter
_place = (_table.c.topic, _table.c.partition, _table.c.offset)
_listed: tuple[ColumnElement[Any], ...] = (
    *_place,
    _table.c.reason,
    _table.c.detail,
    func.coalesce(func.octet_length(_table.c.key), 0).label("key_bytes"),
    func.coalesce(func.octet_length(_table.c.value), 0).label("value_bytes"),
    _table.c.published_at,
    _table.c.recorded_at,
    _table.c.resolved_at,
    _table.c.resolution,
    _table.c.resolved_by,
    _table.c.resolution_reason,
)
_stored: tuple[ColumnElement[Any], ...] = (*_listed, _table.c.key, _table.c.value)


class Place(NamedTuple):
    """Where a message stood in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """`labels/3 offset 1207`."""
        return f"{self.topic}/{self.partition} offset {self.offset}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Letters that agree with every part that is given.

    since, until: recorded at or after, at or before; resolved: also those replayed or dropped.
    """

    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of a letter. outcome: `replayed` or `dropped`."""

    at: datetime
    outcome: str
    by: str
    because: str


@dataclass(frozen=True, slots=True)
class Letter:
    """All about a message but its bytes; sizes are of what is stored."""

    place: Place
    reason: str
    detail: str
    key_bytes: int
    value_bytes: int
    published_at: datetime | None
    recorded_at: datetime
    resolution: Resolution | None


@dataclass(frozen=True, slots=True)
class WholeLetter:
    """A letter with its bytes."""

    letter: Letter
    key: bytes | None
    value: bytes | None


class DeadLetterStore:
    """Postgres as `calmon deadletter` sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, selection: Selection, limit: int) -> list[Letter]:
        """The newest letters of a selection, at most `limit`, without their bytes."""
        newest = (_table.c.recorded_at.desc(), *(column.desc() for column in _place))
        statement = select(*_listed).where(_chosen(selection)).order_by(*newest).limit(limit)
        with transaction(self._engine) as connection:
            return [_letter(row) for row in connection.execute(statement)]

    def counts(self, selection: Selection) -> list[tuple[str, str, int]]:
        """(topic, reason, letters) of a selection: by topic, the most frequent reason first."""
        n = func.count()
        statement = (
            select(_table.c.topic, _table.c.reason, n)
            .where(_chosen(selection))
            .group_by(_table.c.topic, _table.c.reason)
            .order_by(_table.c.topic, n.desc(), _table.c.reason)
        )
        with transaction(self._engine) as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(statement)]

    def get(self, place: Place) -> WholeLetter | None:
        """One letter with its bytes, resolved or not; None if there is none at this place."""
        statement = select(*_stored).where(tuple_(*_place) == tuple_(*place))
        with transaction(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _whole(row)

    def newest_at(self, selection: Selection) -> datetime | None:
        """When the newest letter of a selection was recorded, by the database's clock."""
        statement = select(func.max(_table.c.recorded_at)).where(_chosen(selection))
        with transaction(self._engine) as connection:
            found: datetime | None = connection.execute(statement).scalar_one()
        return found

    def page(
        self, selection: Selection, *, after: Place | None, most: int, most_bytes: int
    ) -> list[WholeLetter]:
        """The next letters by topic, partition and offset, with their bytes.

        At most `most` of them, and no more once `most_bytes` are held; empty at the end only.
        """
        chosen = _chosen(selection)
        if after is not None:
            chosen = and_(chosen, tuple_(*_place) > tuple_(*after))
        statement = select(*_stored).where(chosen).order_by(*_place).limit(most)
        found: list[WholeLetter] = []
        held = 0
        with transaction(self._engine) as connection:
            rows = connection.execution_options(yield_per=_FETCHED_AT_ONCE).execute(statement)
            for row in rows:
                found.append(_whole(row))
                held += row.key_bytes + row.value_bytes
                if held >= most_bytes:
                    break
            rows.close()
        return found

    def mark_replayed(self, published: Mapping[Place, str], *, by: str, at: datetime) -> int:
        """Note that these were published again, and where; returns how many still waited."""
        if not published:
            return 0
        statement = (
            update(_table)
            .where(
                _table.c.topic == bindparam("at_topic"),
                _table.c.partition == bindparam("at_partition"),
                _table.c.offset == bindparam("at_offset"),
                _table.c.resolved_at.is_(None),
            )
            .values(
                resolved_at=at,
                resolution="replayed",
                resolved_by=by,
                resolution_reason=bindparam("told"),
            )
        )
        rows = [
            {"at_topic": p.topic, "at_partition": p.partition, "at_offset": p.offset, "told": told}
            # one order for all, so that two replays at once cannot deadlock
            for p, told in sorted(published.items())
        ]
        with transaction(self._engine) as connection:
            return sum(connection.execute(statement, row).rowcount for row in rows)

    def drop(self, selection: Selection, *, by: str, because: str, at: datetime) -> int:
        """Empty key and value of a selection; returns how many letters. The rows stay.

        With `resolved` in the selection also of letters that were replayed, which their
        resolution then goes on telling.
        """
        replayed = func.concat(
            " (replayed ",
            func.to_char(func.timezone("UTC", _table.c.resolved_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            " by ", _table.c.resolved_by, ": ", _table.c.resolution_reason, ")",
        )  # fmt: skip
        earlier = case((_table.c.resolution == "replayed", replayed), else_="")
        statement = (
            update(_table)
            .where(_chosen(selection), _table.c.resolution.is_distinct_from("dropped"))
            .values(
                key=null(),
                value=null(),
                resolved_at=at,
                resolution="dropped",
                resolved_by=by,
                resolution_reason=cast(literal(because), Text) + earlier,
            )
        )
        with transaction(self._engine) as connection:
            return connection.execute(statement).rowcount


def _chosen(selection: Selection) -> ColumnElement[bool]:
    wanted = {
        _table.c.topic: selection.topic,
        _table.c.partition: selection.partition,
        _table.c.offset: selection.offset,
        _table.c.reason: selection.reason,
    }
    parts = [column == value for column, value in wanted.items() if value is not None]
    if selection.since is not None:
        parts.append(_table.c.recorded_at >= selection.since)
    if selection.until is not None:
        parts.append(_table.c.recorded_at <= selection.until)
    if not selection.resolved:
        parts.append(_table.c.resolved_at.is_(None))
    return and_(literal(True), *parts)  # noqa: FBT003  # SQL's word for no condition


def _letter(row: Row[Any]) -> Letter:
    resolution = None
    if row.resolved_at is not None:
        resolution = Resolution(
            row.resolved_at, row.resolution, row.resolved_by, row.resolution_reason
        )
    return Letter(
        Place(row.topic, row.partition, row.offset),
        row.reason,
        row.detail,
        row.key_bytes,
        row.value_bytes,
        row.published_at,
        row.recorded_at,
        resolution,
    )


def _whole(row: Row[Any]) -> WholeLetter:
    return WholeLetter(_letter(row), row.key, row.value)
