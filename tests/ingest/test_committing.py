"""Commits beside the counting: in order, one at a time, and no error is lost."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from monitor.ingest.committing import Committing
from monitor.store.ingest import Batch, IngestStore
from monitor.store.positions import Advance, Fenced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.store.positions import Position


@pytest.fixture
def store(engine: Engine) -> IngestStore:
    return IngestStore(engine)


@pytest.fixture
def committing(store: IngestStore) -> Iterator[Committing]:
    beside = Committing(store)
    yield beside
    beside.close()


def position(store: IngestStore) -> Position:
    [mine] = store.acquire("me", [("labels", 0)])
    return mine


def test_batches_are_committed_in_their_order(store: IngestStore, committing: Committing) -> None:
    at = position(store)
    for offset in range(1, 30):
        move = Advance(at, offset, {}, None)
        assert committing.settle() is None or offset > 1
        committing.begin(Batch([move]))
        at = move.after
    done = committing.settle()
    assert done is not None
    assert done.batch.advances[0].next_offset == 29
    assert committing.settle() is None
    assert position(store).next_offset == 29


def test_what_a_commit_raised_is_raised_once(store: IngestStore, committing: Committing) -> None:
    stale = replace(position(store), epoch=0)
    committing.begin(Batch([Advance(stale, 5, {}, None)]))
    with pytest.raises(Fenced):
        committing.settle()
    assert committing.settle() is None


def test_a_second_commit_must_wait_for_the_first(
    store: IngestStore, committing: Committing, engine: Engine
) -> None:
    """The first waits for a lock that this test holds."""
    mine = position(store)
    with engine.begin() as connection:
        connection.execute(text("SELECT * FROM calmon.ingest_partition FOR UPDATE"))
        committing.begin(Batch([Advance(mine, 5, {}, None)]))
        assert committing.settle(wait_for_it=False) is None
        committing.await_end(timedelta(milliseconds=50))
        with pytest.raises(RuntimeError, match="under way"):
            committing.begin(Batch([Advance(mine, 6, {}, None)]))
    assert committing.settle() is not None


def test_a_forgotten_commit_has_ended(
    store: IngestStore, committing: Committing, engine: Engine
) -> None:
    """Whoever takes over reads how it ended, so it must not end later."""
    mine = position(store)
    with engine.connect() as connection:
        connection.execute(text("SELECT * FROM calmon.ingest_partition FOR UPDATE"))
        release = threading.Timer(0.3, connection.rollback)
        release.start()
        committing.begin(Batch([Advance(mine, 5, {}, None)]))
        committing.forget()
        release.join()
    assert committing.settle() is None
    assert position(store).next_offset == 5
