"""Reads in a consumer group, whose members commit the records that they have finished, not those only read."""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer

from infra.settings.tree import BrokerSettings
from streams.clients.connect import common_options, connected
from streams.records import Record

_METADATA_MS = 10_000
"""A leader that joins before it knows the topic's partitions hands out none, until its metadata is fetched again, and
partitions that were added are found then; Kafka's default would leave them unread for five minutes."""
_HEARTBEATS = 3
"""Heartbeats per session timeout, as Kafka's documentation advises."""


def make_consumer(settings: BrokerSettings, bootstrap: str, group: str, topics: Sequence[str]) -> KafkaConsumer:
    """Returns a subscribed consumer. It starts at the earliest record if the group has no offset, and commits nothing
    by itself. Raises BrokerUnavailableError. The caller closes it.
    """
    session_ms = int(settings.session_timeout_seconds * 1000)
    options = reader_options(settings, bootstrap) | {
        "group_id": group,
        "group_instance_id": settings.group_instance_id or None,
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // _HEARTBEATS,
    }
    consumer = connected(settings, bootstrap, lambda: KafkaConsumer(**options))
    consumer.subscribe(topics=list(topics))
    return consumer


def reader_options(settings: BrokerSettings, bootstrap: str) -> dict[str, Any]:
    return common_options(settings, bootstrap) | {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "metadata_max_age_ms": _METADATA_MS,
        "max_partition_fetch_bytes": settings.max_message_bytes,
        "fetch_max_bytes": max(50 * 2**20, settings.max_message_bytes),
        "allow_auto_create_topics": False,
    }


def record_of(raw: Any) -> Record:
    """Converts kafka-python's ConsumerRecord."""
    return Record(
        raw.topic, raw.partition, raw.offset, raw.timestamp / 1000, raw.key, raw.value, tuple(raw.headers or ())
    )
