"""Reads tickets from the log in a consumer group, no more than can be worked on soon.

Invariant: an offset is committed only for a partition that this member holds, and only up to what the ledger allows.
"""

import logging
from collections.abc import Iterable
from queue import SimpleQueue

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
from kafka import TopicPartition as KafkaTopicPartition
from kafka.errors import KafkaError

from streams.clients import record_of
from streams.lag import lag_of, publish_lag
from streams.offsets import OffsetLedger
from streams.records import Record, RecordPlace, TopicPartition

log = logging.getLogger(__name__)

STAGE = "rollout"


class _Revocations(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python ships no types
    """Called on the consumer's own thread, so it only notes what was revoked."""

    def __init__(self, revoked: SimpleQueue[set[TopicPartition]]) -> None:
        self._revoked = revoked

    def on_partitions_revoked(self, revoked: Iterable[KafkaTopicPartition]) -> None:
        self._revoked.put({TopicPartition(*partition) for partition in revoked})

    def on_partitions_assigned(self, assigned: Iterable[KafkaTopicPartition]) -> None:
        """Does nothing: reading continues at the committed offset."""


class TicketIntake:
    """Owns the consumer's subscription; not thread-safe."""

    def __init__(self, consumer: KafkaConsumer, topic: str) -> None:
        """Raises LookupError if the topic does not exist."""
        if not consumer.partitions_for_topic(
            topic
        ):  # once they are known, the group can assign them as soon as it is joined
            raise LookupError(f"topic {topic!r} does not exist: create it with `rewardstream topics create`")
        self._consumer = consumer
        self._revoked: SimpleQueue[set[TopicPartition]] = SimpleQueue()
        self._ledger = OffsetLedger()
        consumer.subscribe(topics=[topic], listener=_Revocations(self._revoked))

    def poll(self, room: int, timeout: float) -> list[Record]:
        """Returns at most `room` records. With `room` 0 it reads none, but the member stays in its group."""
        held = self._consumer.assignment()
        if room > 0:
            self._consumer.resume(*held)
        else:
            self._consumer.pause(*held)
        batches = self._consumer.poll(timeout_ms=int(timeout * 1000), max_records=max(room, 1))
        self._forget_revoked()
        records = [record_of(raw) for batch in batches.values() for raw in batch]
        for record in records:
            if record.source not in self._ledger:
                self._ledger.start(record.source, record.offset)  # what is before it is committed, or gone from the log
            self._ledger.deliver(record.place, record.timestamp)
        return records

    def done(self, places: Iterable[RecordPlace]) -> None:
        for place in places:
            self._ledger.done(place)

    def commit(self, *, wait_seconds: float | None = None) -> None:
        """Commit the offsets that moved, in the background or within `wait_seconds`. A commit that fails costs repeated
        work, never lost work, so it is only logged.
        """
        self._forget_revoked()
        held = {TopicPartition(*partition) for partition in self._consumer.assignment()}
        moved = {source: offset for source, offset in self._ledger.uncommitted().items() if source in held}
        if not moved:
            return
        offsets = {KafkaTopicPartition(*source): OffsetAndMetadata(offset, "", -1) for source, offset in moved.items()}
        if wait_seconds is None:
            self._consumer.commit_async(offsets, callback=_log_failure)
        else:
            try:
                self._consumer.commit(offsets, timeout_ms=int(wait_seconds * 1000))
            except KafkaError as error:
                _log_failure(offsets, error)
        self._ledger.committed(moved)

    def measure(self, oldest: float | None) -> None:
        """Set the lag metrics. `oldest`: Unix seconds at which the oldest record in work was produced."""
        ends = {TopicPartition(*held): self._consumer.highwater(held) for held in self._consumer.assignment()}
        known = {source: end for source, end in ends.items() if end is not None}
        positions = self._ledger.positions()
        publish_lag(STAGE, lag_of({source: positions.get(source, end) for source, end in known.items()}, known), oldest)

    def _forget_revoked(self) -> None:
        while not self._revoked.empty():
            self._ledger.drop(self._revoked.get())


def _log_failure(offsets: object, response: object) -> None:
    if isinstance(response, Exception):
        log.warning("commit of %s failed, those tickets may be read again: %r", offsets, response)
