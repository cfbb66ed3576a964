"""Reads the log without a consumer group: the caller keeps the positions in the partitions."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaTopicPartition
from kafka.errors import KafkaTimeoutError

from infra.settings.tree import BrokerSettings
from streams.clients.connect import BrokerUnavailableError, connected
from streams.clients.consuming import reader_options, record_of
from streams.offsets import say_lost
from streams.records import Record, TopicPartition

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_LOOK_SECONDS = 5.0
"""How often a reader looks for new partitions in the metadata that its client holds, which costs nothing."""


class OffsetsLostError(RuntimeError):
    """The log ends before the offset that reading should start from: it is not the log that was read before."""


class Reader(Protocol):
    """The interface through which a learner reads its topics; `LogReader` implements it."""

    def poll(self, timeout: float) -> list[Record]: ...

    def positions(self) -> Mapping[TopicPartition, int]: ...

    def lag(self) -> Mapping[TopicPartition, int]: ...

    def close(self) -> None: ...


class LogReader:
    """Invariant: per partition, `poll` returns each record once, in order, without a gap from the start on. Records
    that are gone from the log, since retention passed them, are said in an error of the log, and reading goes on after
    them. Partitions that are added to a topic are read from their beginning.

    `start` gives the first offset by partition; partitions that it does not name are read from the beginning, or, if
    `newest` is given, from that many records before their present end.
    `share=(rank, size)`: of each topic, read the partitions with `partition % size == rank`, possibly none.
    Not thread-safe. Raises BrokerUnavailableError, LookupError if a topic does not exist, OffsetsLostError.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        bootstrap: str,
        topics: Sequence[str],
        start: Mapping[TopicPartition, int] | None = None,
        *,
        share: tuple[int, int] = (0, 1),
        newest: int | None = None,
    ) -> None:
        self._fetched: dict[KafkaTopicPartition, int] = {}
        self._due: dict[KafkaTopicPartition, int] = {}
        """The offset after the last record that was returned, by partition."""
        self._topics, self._share = topics, share
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._timeout_ms = int(settings.request_timeout_seconds * 1000)
        self._consumer = connected(settings, bootstrap, lambda: KafkaConsumer(**reader_options(settings, bootstrap)))
        try:
            self._partitions = self._shared_partitions()
            if self._partitions:
                self._consumer.assign(self._partitions)
                self._consumer.seek_to_beginning(*self._partitions)
                if newest is not None:
                    self._seek_near_end(newest)
                self._seek_to(settings, bootstrap, start or {})
        except BaseException:
            self._consumer.close()
            raise

    def poll(self, timeout: float = _POLL_SECONDS, max_records: int = 500) -> list[Record]:
        """Returns the records that have arrived, at most `max_records`; none if none arrive for `timeout` seconds."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._add_partitions()
        if not self._partitions:
            time.sleep(timeout)
            return []
        batches = self._consumer.poll(timeout_ms=int(timeout * 1000), max_records=max_records)
        for partition, batch in batches.items():
            self._note_batch(partition, batch[0].offset, batch[-1].offset)
        return [record_of(raw) for batch in batches.values() for raw in batch]

    def hold(self, partitions: Collection[TopicPartition]) -> None:
        """Makes the next poll return no records of these partitions; call it before each poll that holds some. What was
        fetched of them is kept.
        """
        held = {KafkaTopicPartition(*partition) for partition in partitions}
        before = self._consumer.paused()
        self._consumer.pause(*(held - before))
        self._consumer.resume(*(before - held))
        # kafka-python gives back what it kept only if the fetch that it hands out is None, not if that is used up.
        fetcher = self._consumer._fetcher  # noqa: SLF001 (no public way to drop it)
        if not fetcher._next_partition_records:  # noqa: SLF001 (likewise)
            fetcher._next_partition_records = None  # noqa: SLF001 (likewise)

    def read_to_end(self) -> Iterator[Record]:
        """Yields every record up to the present ends of the partitions, and perhaps a few that arrive meanwhile."""
        # By the second time, fetches have shown the exact ends (see end_offsets) and partitions that were added.
        for _ in range(2):
            ends = self.end_offsets()
            while any(position < ends.get(partition, 0) for partition, position in self.positions().items()):
                yield from self.poll()

    def positions(self) -> dict[TopicPartition, int]:
        """Returns the next offset to read, by partition."""
        return {
            TopicPartition(*partition): self._consumer.position(partition, timeout_ms=self._timeout_ms)
            for partition in self._partitions
        }

    def first_offsets(self) -> dict[TopicPartition, int]:
        """Returns the offset of the first record that the log still holds, by partition."""
        found = (
            self._consumer.beginning_offsets(self._partitions, timeout_ms=self._timeout_ms) if self._partitions else {}
        )
        return {TopicPartition(*partition): offset for partition, offset in found.items()}

    def end_offsets(self) -> dict[TopicPartition, int]:
        """Returns the offset that the next record written will have, by partition.

        The embedded broker lists its last batch's first offset plus one, which is too low if the batch holds more
        than one record; the ends in its fetch responses are right. So an end is exact once the last batch was read.
        """
        listed = self._consumer.end_offsets(self._partitions, timeout_ms=self._timeout_ms) if self._partitions else {}
        return {
            TopicPartition(*partition): max(
                listed[partition], self._consumer.highwater(partition) or 0, self._fetched.get(partition, 0)
            )
            for partition in self._partitions
        }

    def lag(self) -> dict[TopicPartition, int]:
        """Returns the number of records written and not yet returned, by partition; a lower bound if an end is one, and
        1 if the broker is away.
        """
        positions = self.positions()
        try:
            ends = self.end_offsets()
        except KafkaTimeoutError:  # the broker is away: nobody may conclude that everything was read
            return dict.fromkeys(positions, 1)
        return {partition: max(0, end - positions[partition]) for partition, end in ends.items()}

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _partitions_of(self, topic: str) -> list[KafkaTopicPartition]:
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise LookupError(f"topic {topic!r} does not exist: create it with `rewardstream topics create`")
        return [KafkaTopicPartition(topic, number) for number in sorted(numbers)]

    def _shared_partitions(self) -> list[KafkaTopicPartition]:
        rank, size = self._share
        found = [partition for topic in self._topics for partition in self._partitions_of(topic)]
        return [partition for partition in found if partition.partition % size == rank]

    def _add_partitions(self) -> None:
        """Reads partitions that were added since the reader was made."""
        known = {topic: self._consumer.partitions_for_topic(topic) or set() for topic in self._topics}
        rank, size = self._share
        new = [
            partition
            for topic, numbers in known.items()
            for number in sorted(numbers)
            if number % size == rank and (partition := KafkaTopicPartition(topic, number)) not in self._partitions
        ]
        if new:
            log.warning("partitions were added: %s", ", ".join(f"{topic}[{number}]" for topic, number in new))
            self._partitions += new
            self._consumer.assign(self._partitions)
            self._consumer.seek_to_beginning(*new)

    def _note_batch(self, partition: KafkaTopicPartition, first: int, last: int) -> None:
        """Says which records are gone. A gap is none if the log still begins before it: compacted topics and
        transactions have such gaps.
        """
        due, self._due[partition] = self._due.get(partition, first), last + 1
        if first > due:
            begins = self._consumer.beginning_offsets([partition], timeout_ms=self._timeout_ms)[partition]
            if begins > due:
                say_lost(TopicPartition(*partition), due, begins)

    def _seek_near_end(self, newest: int) -> None:
        first = self._consumer.beginning_offsets(self._partitions, timeout_ms=self._timeout_ms)
        for partition, end in self._consumer.end_offsets(self._partitions, timeout_ms=self._timeout_ms).items():
            self._consumer.seek(partition, max(first[partition], end - newest))

    def _seek_to(self, settings: BrokerSettings, bootstrap: str, start: Mapping[TopicPartition, int]) -> None:
        asked = {KafkaTopicPartition(*partition): offset for partition, offset in start.items()}
        wanted = {partition: offset for partition, offset in asked.items() if partition in self._partitions}
        if not wanted:
            return
        first = self._consumer.beginning_offsets(list(wanted), timeout_ms=self._timeout_ms)
        last = self._consumer.end_offsets(list(wanted), timeout_ms=self._timeout_ms)
        doubtful = {partition: last[partition] for partition, offset in wanted.items() if offset >= last[partition]}
        self._fetched = _fetch_ends(settings, bootstrap, doubtful)
        last.update(self._fetched)
        for partition, offset in wanted.items():
            if not 0 <= offset <= last[partition]:
                raise OffsetsLostError(
                    f"{partition.topic}[{partition.partition}]: offset {offset} is not in the log, which holds "
                    f"{first[partition]} to {last[partition]}: the broker lost its log, or it is another broker; start "
                    "from another checkpoint or a new run"
                )
            if offset < first[partition]:
                say_lost(TopicPartition(*partition), offset, first[partition])
            self._due[partition] = max(offset, first[partition])
            self._consumer.seek(partition, self._due[partition])


def _fetch_ends(
    settings: BrokerSettings, bootstrap: str, listed: Mapping[KafkaTopicPartition, int]
) -> dict[KafkaTopicPartition, int]:
    """Returns the ends as a fetch of each last batch reports them, see LogReader.end_offsets."""
    open_ends = {partition: end for partition, end in listed.items() if end > 0}
    if not open_ends:
        return {}
    consumer = connected(settings, bootstrap, lambda: KafkaConsumer(**reader_options(settings, bootstrap)))
    try:
        consumer.assign(list(open_ends))
        for partition, end in open_ends.items():
            consumer.seek(partition, end - 1)
        deadline = time.monotonic() + settings.request_timeout_seconds
        while any(consumer.highwater(partition) is None for partition in open_ends):
            if time.monotonic() > deadline:
                raise BrokerUnavailableError(bootstrap, settings.request_timeout_seconds, "a fetch got no answer")
            consumer.poll(timeout_ms=100)
        return {partition: max(end, consumer.highwater(partition)) for partition, end in open_ends.items()}
    finally:
        consumer.close()
