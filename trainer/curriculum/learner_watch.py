"""Follows the learner through the topic `groups.closed`, from where an earlier selector came to.

Invariants:
- Each record is returned once, in its partition's order. A record that does not decode waits in `broken` until its
  owner has set it aside.
- `lineage` and `version` come from claims that count and from plausible closings under them. Announcements are not
  read: a version is announced before its first closing, so a version that is known here is announced.
"""

import logging
from dataclasses import dataclass, field

from infra.metrics import metrics
from infra.settings.tree import Settings
from streams.clients import LogReader, OffsetsLostError
from streams.codec import DecodeError, decode_by_schema
from streams.log_clock import measure_skew
from streams.messages import GroupClosed, LineageStarted
from streams.records import Record, TopicPartition
from streams.topics import Topic, topic_name
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.watch_position import WatchPosition

log = logging.getLogger(__name__)

Closing = GroupClosed | LineageStarted


@dataclass(slots=True)
class LearnerWatch:
    run_id: str
    reader: LogReader
    broken: list[tuple[Record, DecodeError]] = field(default_factory=list)
    _lineages: Lineages = field(default_factory=Lineages)
    _versions: dict[int, int] = field(default_factory=dict)
    """The highest version by lineage."""
    _pending: list[Closing] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    """The offset after the last record that was returned, by partition."""

    @classmethod
    def open(cls, settings: Settings, bootstrap: str, position: WatchPosition | None = None) -> "LearnerWatch":
        """Raises BrokerUnavailableError; LookupError where the topic does not exist."""
        topic = topic_name(settings.topics.prefix, Topic.GROUPS_CLOSED)
        position = position or WatchPosition()
        offsets = {partition: at for partition, at in position.offsets.items() if partition.topic == topic}
        try:
            reader = LogReader(settings.broker, bootstrap, [topic], offsets)
        except OffsetsLostError as error:
            log.warning("%s. The selector reads it from its beginning", error)
            offsets = {}
            reader = LogReader(settings.broker, bootstrap, [topic])
        watch = cls(settings.run.id, reader, offsets=offsets)
        watch._remember(position)
        return watch

    @property
    def lineage(self) -> int:
        """The newest lineage, or 0 before the learner's first message."""
        return self._lineages.newest if self._lineages.starts else max(self._versions, default=0)

    @property
    def version(self) -> int:
        """The newest version of that lineage, or 0."""
        return self._versions.get(self.lineage, 0)

    @property
    def newest_claim(self) -> LineageStarted | None:
        return self._lineages.starts.get(self._lineages.newest)

    def catch_up(self) -> list[Closing]:
        """Returns everything up to the current end of the log: what admission let through while no selector ran."""
        for record in self.reader.read_to_end():
            self._add(record)
        return self._pop_pending()

    def poll(self, timeout: float) -> list[Closing]:
        """Returns the messages that have arrived, after waiting up to `timeout` seconds for the first."""
        records = self.reader.poll(timeout)
        measure_skew(records)
        for record in records:
            self._add(record)
        return self._pop_pending()

    def pop_broken(self) -> list[tuple[Record, DecodeError]]:
        """Returns the records that did not decode, each once."""
        broken, self.broken = self.broken, []
        return broken

    def _pop_pending(self) -> list[Closing]:
        pending, self._pending = self._pending, []
        return pending

    def _remember(self, position: WatchPosition) -> None:
        for claim in position.claims:
            if self._lineages.add(claim):
                self._versions[claim.lineage] = claim.version
        if position.version:
            self._versions[self.lineage] = max(self.version, position.version)

    def _add(self, record: Record) -> None:
        self.offsets[record.source] = record.offset + 1
        metrics.messages_total.labels("selector", record.topic).inc()
        try:
            message = decode_by_schema(record.value, record.headers)
        except DecodeError as error:
            log.exception("unreadable record %s[%d]@%d", record.topic, record.partition, record.offset)
            self.broken.append((record, error))
            return
        if not isinstance(message, Closing) or message.run_id != self.run_id:
            return
        counts = self._lineages.add(message) if isinstance(message, LineageStarted) else self._is_sane(message)
        if counts:
            self._versions[message.lineage] = max(self._versions.get(message.lineage, 0), message.version)
            metrics.policy_version.set(self.version)
        self._pending.append(message)

    def _is_sane(self, closing: GroupClosed) -> bool:
        return self._lineages.is_plausible(closing) and not self._lineages.is_early(closing)
