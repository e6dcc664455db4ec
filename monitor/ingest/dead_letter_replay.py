"""Replay of dead letters: the stored bytes and key, back to the topic and partition they came from.

Guarantees: a letter is marked as replayed only after Kafka acknowledged it, so none is lost. Who
is killed between the two, or loses the answer of Kafka, publishes those letters (at most one chunk)
a second time with the next replay; the join drops a prediction or label that comes twice.
The partition is the old one, not the key's: whatever partitioner the senders use, a label stays
in the partition of its prediction. Letters that are recorded while a replay runs wait for the next
one. Must never: publish a part of a message for the whole, or change a byte of it. Headers are not
stored, and the message gets a new time.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka.errors import KafkaError

from monitor.ingest.faults import PublishError
from monitor.ingest.formats import MAX_BYTES
from monitor.ingest.replay import producer
from monitor.ingest.replayable import cannot_replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from kafka import KafkaProducer

    from monitor.store.dead_letters import DeadLetterStore, Place, Selection, WholeLetter

CHUNK = 1_000
"""Letters that are published and marked at a time, at most; less where they are large."""
CHUNK_BYTES = 16 << 20

_MISSING_TOPIC_MS = 10_000
"""Longest wait for a topic that may not exist."""


class Skipped(NamedTuple):
    """A letter that cannot be replayed."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did. marked: fewer than published where someone else resolved a letter."""

    published: int
    marked: int
    skipped: tuple[Skipped, ...]


@contextmanager
def replay_producer(
    options: Mapping[str, Any], *, max_block_ms: int = _MISSING_TOPIC_MS
) -> Iterator[KafkaProducer]:
    """A producer that takes letters of any size. options: connection settings of kafka-python.

    Raises PublishError if no broker answers.
    """
    settings = dict(options)
    kafka = producer(
        ",".join(settings.pop("bootstrap_servers")),
        max_request_size=4 * MAX_BYTES,  # up to 1 MiB of key and of value, and what goes around
        max_block_ms=max_block_ms,
        **settings,
    )
    try:
        yield kafka
    finally:
        kafka.close()


def replay_letters(  # noqa: PLR0913  # two optional ones, by name only
    store: DeadLetterStore,
    kafka: KafkaProducer,
    selection: Selection,
    *,
    by: str,
    now: Callable[[], datetime],
    chunk: int = CHUNK,
    on_progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Publish the letters of a selection again that wait now, in order of their places.

    on_progress: called with the number published so far, after each chunk.
    Raises PublishError for the first letter that Kafka did not take; those it took are marked.
    """
    waiting = replace(selection, resolved=False)
    newest_at = store.newest_at(waiting)
    if newest_at is None:
        return Replayed(0, 0, ())
    wanted = replace(waiting, until=newest_at)
    published = marked = 0
    skipped: list[Skipped] = []
    after: Place | None = None
    while page := store.page(wanted, after=after, most=chunk, most_bytes=CHUNK_BYTES):
        after = page[-1].letter.place
        sendable: list[WholeLetter] = []
        for letter in page:
            listed = letter.letter
            why = cannot_replay(listed.reason, listed.key_bytes, listed.value_bytes)
            if why is None:
                sendable.append(letter)
            else:
                skipped.append(Skipped(listed.place, why))
        acknowledged, failed = _publish(kafka, sendable)
        marked += store.mark_replayed(acknowledged, by=by, at=now())
        published += len(acknowledged)
        if failed is not None:
            place, error = failed
            msg = f"{place} was not published: {error}; {published} were before it, and are marked"
            raise PublishError(msg)
        if on_progress:
            on_progress(published)
    return Replayed(published, marked, tuple(skipped))


def _publish(
    kafka: KafkaProducer, letters: Sequence[WholeLetter]
) -> tuple[dict[Place, str], tuple[Place, str] | None]:
    """Where each acknowledged letter stands now, and the first that was not acknowledged."""
    pending = []
    refused: tuple[Place, str] | None = None
    for letter in letters:
        place = letter.letter.place
        try:
            _require(kafka, place)
            future = kafka.send(
                place.topic, key=letter.key, value=letter.value, partition=place.partition
            )
        except (KafkaError, LookupError) as error:
            refused = place, _told(error)
            break
        pending.append((place, future))
    acknowledged: dict[Place, str] = {}
    failed: tuple[Place, str] | None = None
    for place, future in pending:
        try:
            sent = future.get()
        except KafkaError as error:
            failed = failed or (place, _told(error))
        else:
            told = f"published again at {sent.topic}/{sent.partition} offset {sent.offset}"
            acknowledged[place] = told
    return acknowledged, failed or refused


def _require(kafka: KafkaProducer, place: Place) -> None:
    """Raise LookupError unless Kafka has the topic and the partition."""
    try:
        partitions = kafka.partitions_for(place.topic)
    except KafkaError as error:
        msg = f"Kafka has no topic {place.topic}, or does not answer ({_told(error)})"
        raise LookupError(msg) from error
    if place.partition not in partitions:
        msg = f"topic {place.topic} has no partition {place.partition} any more; drop this letter"
        raise LookupError(msg)


def _told(error: Exception) -> str:
    return str(error) or repr(error)
