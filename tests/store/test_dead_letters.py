"""Dead letters in a real database: found, counted, replayed and dropped once, kept for auditors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, insert, text
from sqlalchemy.pool import NullPool

from monitor.store import tables
from monitor.store.dead_letters import DeadLetterStore, Place, Resolution, Selection
from monitor.store.migrate import check, downgrade, upgrade

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = Selection(resolved=True)


def put(engine: Engine, place: Place, reason: str = "not_json", **values: object) -> Place:
    row = {
        "topic": place.topic, "partition": place.partition, "offset": place.offset,
        "reason": reason, "detail": "d", "key": b"k", "value": b"v", "recorded_at": NOW,
    } | values  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(tables.dead_letter).values(row))
    return place


def places(store: DeadLetterStore, selection: Selection, limit: int = 100) -> list[Place]:
    return [letter.place for letter in store.find(selection, limit)]


@pytest.fixture
def store(engine: Engine) -> DeadLetterStore:
    return DeadLetterStore(engine)


@pytest.fixture
def three(engine: Engine) -> tuple[Place, Place, Place]:
    return (
        put(engine, Place("labels", 0, 5), recorded_at=NOW - timedelta(hours=2)),
        put(engine, Place("labels", 1, 4), "bad_label", recorded_at=NOW - timedelta(hours=1)),
        put(engine, Place("predictions", 0, 9)),
    )


def test_the_newest_are_found_first_and_no_more_than_asked_for(
    store: DeadLetterStore, three: tuple[Place, ...]
) -> None:
    assert places(store, Selection()) == [three[2], three[1], three[0]]
    assert places(store, Selection(), limit=1) == [three[2]]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(topic="labels"), [1, 0]),
        (Selection(reason="not_json"), [2, 0]),
        (Selection(topic="labels", reason="not_json"), [0]),
        (Selection(since=NOW - timedelta(hours=1)), [2, 1]),
        (Selection(partition=0), [2, 0]),
        (Selection(topic="labels", partition=1, offset=4), [1]),
        (Selection(topic="other"), []),
    ],
)
def test_a_selection_takes_what_all_its_parts_name(
    store: DeadLetterStore, three: tuple[Place, ...], selection: Selection, expected: list[int]
) -> None:
    assert places(store, selection) == [three[i] for i in expected]
    assert sum(n for _, _, n in store.counts(selection)) == len(expected)


def test_letters_are_counted_by_topic_and_reason(
    store: DeadLetterStore, engine: Engine, three: tuple[Place, ...]
) -> None:
    put(engine, Place("labels", 7, 7))
    assert len(three) == 3
    assert store.counts(Selection()) == [
        ("labels", "not_json", 2), ("labels", "bad_label", 1), ("predictions", "not_json", 1),
    ]  # fmt: skip


def test_a_listing_knows_the_size_of_a_payload_and_one_letter_holds_it(
    store: DeadLetterStore, engine: Engine
) -> None:
    place = put(engine, Place("labels", 0, 1), key=None, value=b"\xff" * 1000)
    [listed] = store.find(Selection(), 10)
    assert (listed.key_bytes, listed.value_bytes) == (0, 1000)
    found = store.get(place)
    assert found is not None
    assert (found.key, found.value) == (None, b"\xff" * 1000)
    assert found.letter == listed
    assert store.get(Place("labels", 0, 2)) is None


def test_pages_for_a_replay_go_by_place_and_are_bounded_in_number_and_bytes(
    store: DeadLetterStore, engine: Engine
) -> None:
    wanted = [
        put(engine, Place("a", partition, offset), value=b"x" * 100)
        for partition in (0, 1)
        for offset in (3, 4, 11)
    ]
    small = store.page(Selection(), after=None, most=4, most_bytes=10_000)
    assert [p.letter.place for p in small] == wanted[:4]
    rest = store.page(Selection(), after=wanted[3], most=4, most_bytes=10_000)
    assert [p.letter.place for p in rest] == wanted[4:]
    # Always at least one, or a replay would stand still.
    assert len(store.page(Selection(), after=None, most=4, most_bytes=10)) == 1
    assert len(store.page(Selection(), after=None, most=4, most_bytes=250)) == 3
    assert store.page(Selection(), after=wanted[-1], most=4, most_bytes=10_000) == []


def test_what_comes_after_a_bound_is_not_in_the_page(
    store: DeadLetterStore, engine: Engine
) -> None:
    old = put(engine, Place("a", 0, 1))
    bound = store.newest_at(Selection())
    put(engine, Place("a", 0, 2), recorded_at=NOW + timedelta(seconds=1))
    assert bound == NOW
    assert places(store, Selection(until=bound)) == [old]
    assert store.newest_at(Selection(topic="none")) is None


def test_a_replayed_letter_stays_with_its_bytes_and_is_marked_once(
    store: DeadLetterStore, three: tuple[Place, ...]
) -> None:
    told = {three[0]: "published again at labels/0 offset 77"}
    assert store.mark_replayed(told, by="ana", at=NOW) == 1
    assert store.mark_replayed(told, by="bob", at=NOW) == 0
    found = store.get(three[0])
    assert found is not None
    assert found.value == b"v"
    assert found.letter.resolution == Resolution(
        NOW, "replayed", "ana", "published again at labels/0 offset 77"
    )
    assert three[0] not in places(store, Selection())
    assert three[0] in places(store, EVERYTHING)


def test_a_dropped_letter_stays_without_its_bytes(
    store: DeadLetterStore, three: tuple[Place, ...]
) -> None:
    assert store.drop(Selection(topic="labels"), by="ana", because="test data", at=NOW) == 2
    assert store.drop(Selection(topic="labels"), by="bob", because="again", at=NOW) == 0
    found = store.get(three[0])
    assert found is not None
    assert (found.key, found.value) == (None, None)
    assert found.letter.resolution == Resolution(NOW, "dropped", "ana", "test data")
    assert (found.letter.reason, found.letter.detail) == ("not_json", "d")
    assert places(store, Selection()) == [three[2]]


def test_what_was_replayed_can_be_dropped_by_its_place_and_says_both(
    store: DeadLetterStore, three: tuple[Place, ...]
) -> None:
    """Personal data must not stay for ever because it was replayed once."""
    store.mark_replayed({three[0]: "published again at labels/0 offset 77"}, by="ana", at=NOW)
    exactly = Selection(topic="labels", partition=0, offset=5, resolved=True)
    later = NOW + timedelta(days=1)
    assert store.drop(exactly, by="bob", because="erasure request", at=later) == 1
    found = store.get(three[0])
    assert found is not None
    assert (found.key, found.value) == (None, None)
    assert found.letter.resolution == Resolution(
        later,
        "dropped",
        "bob",
        "erasure request (replayed 2026-03-01T12:00:00Z by ana: "
        "published again at labels/0 offset 77)",
    )
    assert store.drop(exactly, by="bob", because="twice", at=later) == 0


def test_auditors_see_what_became_of_a_letter(
    store: DeadLetterStore, engine: Engine, three: tuple[Place, ...]
) -> None:
    assert store.drop(Selection(topic="predictions"), by="ana", because="why", at=NOW) == 1
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT topic, resolution, resolved_by, resolution_reason, resolved_at, value "
                 "FROM audit.dead_letters ORDER BY topic, partition")
        ).all()  # fmt: skip
    assert [tuple(row) for row in rows] == [
        ("labels", None, None, None, None, b"v"),
        ("labels", None, None, None, None, b"v"),
        (three[2].topic, "dropped", "ana", "why", NOW, None),
    ]


def test_the_revision_goes_down_and_up_with_letters_in_place(postgres_url: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool)
    place = put(engine, Place("labels", 0, 5))
    DeadLetterStore(engine).mark_replayed({place: "x"}, by="ana", at=NOW)
    downgrade(postgres_url, "0002")
    uncommented = text(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'audit.dead_letters'::regclass "
        "AND attnum > 0 AND col_description(attrelid, attnum) IS NULL"
    )
    with engine.connect() as connection:
        assert connection.execute(uncommented).all() == []
    upgrade(postgres_url)
    check(postgres_url)
    assert places(DeadLetterStore(engine), Selection()) == [place]
