"""Faults of ingest that a person can mend; apart, so that naming them loads no client or reader.

Guarantees: each message says what is wrong and what to do. Must never: stand for a fault of the
program.
"""

from __future__ import annotations


class KafkaUnavailable(Exception):  # noqa: N818  # a state to mend outside, not a fault
    """No broker answers."""


class MessagesLost(Exception):  # noqa: N818  # a state to decide on, not a fault
    """Kafka no longer has messages that were not counted yet."""


class UnequalPartitions(Exception):  # noqa: N818  # a state to mend outside, not a fault
    """Predictions and labels have different numbers of partitions, and there are two workers."""


class PublishError(RuntimeError):
    """Kafka did not take a message; the text says how many had been acknowledged before."""
