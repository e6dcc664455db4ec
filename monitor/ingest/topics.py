"""Topics: made for a demo, looked at before a start.

Guarantees: an existing topic is left as it is. Must never: delete or alter one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from monitor.ingest.faults import KafkaUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def create_topics(options: Mapping[str, object], names: Iterable[str], partitions: int) -> None:
    """Create what is missing of these topics; raises KafkaUnavailable."""
    try:
        admin = KafkaAdminClient(**options)
        try:
            for name in names:
                _create(admin, name, partitions)
        finally:
            admin.close()
    except KafkaError as error:
        msg = f"topics could not be created: {error}; create {', '.join(names)} by hand"
        raise KafkaUnavailable(msg) from error


def _create(admin: KafkaAdminClient, name: str, partitions: int) -> None:
    try:
        admin.create_topics([NewTopic(name, partitions, 1)])
    except TopicAlreadyExistsError:
        return
