"""Reads in a consumer group, whose members commit the records that they have finished, not those only read."""

from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka import TopicPartition as KafkaTopicPartition

from infra.settings.tree import BrokerSettings
from streams.clients.assignor import StickyAssignor
from streams.clients.connect import common_options, connected
from streams.records import Record, TopicPartition

_METADATA_MS = 10_000
"""A leader that joins before it knows the topic's partitions hands out none, until its metadata is fetched again, and
partitions that were added are found then; Kafka's default would leave them unread for five minutes."""
_HEARTBEATS = 3
"""Heartbeats per session timeout, as Kafka's documentation advises."""


class _Losses(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python ships no types
    """Called on the consumer's own thread, so it only notes what was lost."""

    def __init__(self, assignor: StickyAssignor) -> None:
        self.lost: SimpleQueue[set[TopicPartition]] = SimpleQueue()
        self._assignor = assignor

    def on_partitions_revoked(self, revoked: Iterable[KafkaTopicPartition]) -> None:
        self.lost.put({TopicPartition(*partition) for partition in revoked})

    def on_partitions_lost(self, lost: Iterable[KafkaTopicPartition]) -> None:
        self._assignor.forget()
        self.on_partitions_revoked(lost)

    def on_partitions_assigned(self, assigned: Iterable[KafkaTopicPartition]) -> None:
        """Does nothing: reading begins at the committed offset."""


class _FinishedJoin:
    """A join that ended between two polls, for kafka-python, which else drops its result and joins again, whereupon all
    members do: groups whose members poll briefly, as workers with a busy engine do, would never come to rest.
    """

    is_done = False

    def __init__(self, join: Any) -> None:
        self.add_callback, self.add_errback = join.add_callback, join.add_errback


class GroupMember:
    """A member of a consumer group that reads whole topics. Not thread-safe.

    It starts at the earliest record if the group has no offset, and commits nothing by itself. The caller closes
    `consumer`. Raises BrokerUnavailableError.
    """

    def __init__(self, settings: BrokerSettings, bootstrap: str, group: str, topics: Sequence[str]) -> None:
        session_ms = int(settings.session_timeout_seconds * 1000)
        assignor = StickyAssignor()
        options = reader_options(settings, bootstrap) | {
            "group_id": group,
            "group_instance_id": settings.group_instance_id or None,
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": session_ms // _HEARTBEATS,
            "partition_assignment_strategy": [assignor],
        }
        self._losses = _Losses(assignor)
        self.topics = tuple(topics)
        self.consumer: Any = connected(settings, bootstrap, lambda: KafkaConsumer(**options))
        self.consumer.subscribe(topics=list(topics), listener=self._losses)

    def poll(self, timeout_ms: int, max_records: int) -> dict[KafkaTopicPartition, list[Any]]:
        """Polls like KafkaConsumer, except that a later call completes a join that takes longer than `timeout_ms`."""
        coordinator = self.consumer._coordinator  # noqa: SLF001 (see _FinishedJoin)
        join = coordinator._join_task  # noqa: SLF001
        if join is not None and join.is_done and not isinstance(join, _FinishedJoin):
            coordinator._join_task = _FinishedJoin(join)  # noqa: SLF001
        found: dict[KafkaTopicPartition, list[Any]] = self.consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        return found

    def held(self) -> set[TopicPartition]:
        return {TopicPartition(*partition) for partition in self.consumer.assignment()}

    def pop_lost(self) -> set[TopicPartition]:
        """The partitions that were lost to other members since the last call; it may hold some of them again."""
        found: set[TopicPartition] = set()
        while not self._losses.lost.empty():
            found |= self._losses.lost.get()
        return found


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
