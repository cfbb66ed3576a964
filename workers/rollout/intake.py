"""Reads tickets from the log in a consumer group, no more than can be worked on soon.

Invariant: an offset is committed only for a partition that this member holds or has just lost, and only up to what the
ledger allows.
"""

import logging
from collections.abc import Iterable, Mapping

from kafka import OffsetAndMetadata
from kafka import TopicPartition as KafkaTopicPartition
from kafka.errors import KafkaError

from streams.clients import GroupMember, record_of
from streams.lag import lag_of, publish_lag
from streams.offsets import OffsetLedger
from streams.records import Record, RecordPlace, TopicPartition

log = logging.getLogger(__name__)

STAGE = "rollout"


def consumer_group(run_id: str) -> str:
    """The group whose members are the run's rollout workers."""
    return f"{run_id}.{STAGE}"


class TicketIntake:
    """Owns the membership; not thread-safe."""

    def __init__(self, member: GroupMember) -> None:
        """Raises LookupError if a topic does not exist."""
        for topic in member.topics:  # once partitions are known, the group can assign them as soon as it is joined
            if not member.consumer.partitions_for_topic(topic):
                raise LookupError(f"topic {topic!r} does not exist: create it with `rewardstream topics create`")
        self._member = member
        self._consumer = member.consumer
        self._ledger = OffsetLedger()
        self._lost: set[TopicPartition] = set()

    def poll(self, room: int, timeout: float) -> list[Record]:
        """Returns at most `room` records. With `room` 0 it reads none, but the member stays in its group."""
        held = self._consumer.assignment()
        if room > 0:
            self._consumer.resume(*held)
        else:
            self._consumer.pause(*held)
        batches = self._member.poll(int(timeout * 1000), max(room, 1))
        self._drop_lost()
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
        self._drop_lost()
        held = self._member.held()
        self._commit({p: offset for p, offset in self._ledger.uncommitted().items() if p in held}, wait_seconds)

    def _commit(self, moved: Mapping[TopicPartition, int], wait_seconds: float | None = None) -> None:
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

    def pop_lost(self) -> set[TopicPartition]:
        """The partitions lost since the last call, whose tickets another member reads from the last commit on. If this
        one got some back since, it reads their tickets again.
        """
        lost, self._lost = self._lost, set()
        return lost

    def _drop_lost(self) -> None:
        """Commits for the last time what is done of lost partitions, so that their new member does not repeat it. It
        may come too late or be refused, and then costs work. It cannot skip a ticket: all before it is done.
        """
        lost = self._member.pop_lost()
        if lost:
            self._commit({p: offset for p, offset in self._ledger.uncommitted().items() if p in lost})
            self._ledger.drop(lost)
            self._lost |= lost


def _log_failure(offsets: object, response: object) -> None:
    if isinstance(response, Exception):
        log.warning("commit of %s failed, those tickets may be read again: %r", offsets, response)
