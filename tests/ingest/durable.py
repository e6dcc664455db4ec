"""What the database holds of the counts that no flush has put before the watcher yet.

It is read as the next worker would read it, and changes nothing: the durable counts of a moment are
those of the bins and deltas, and these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from monitor.core.policies import Policy
from monitor.ingest.series_book import SeriesBook
from monitor.ingest.shard_state import ShardState, Topics
from monitor.store import tables as t
from monitor.store.engine import connect
from monitor.store.ingest import IngestStore
from monitor.store.positions import position_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.store.ingest import Flush


def unflushed(
    url: str, topics: Topics, policy_for: Callable[[str], Policy | None] = lambda _: Policy()
) -> Flush:
    """Cells and tallies of the durable blocks after each shard's last flush."""
    engine = connect(url, name="test")
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(t.ingest_partition))
            positions = [position_of(row) for row in rows]
        store = IngestStore(engine)
        return ShardState(store, SeriesBook(store, policy_for), topics, positions).flush(
            evict=False
        )
    finally:
        engine.dispose()
