"""Follows the learner through the topics `groups.closed` and `policy.versions`, from the beginning of the log.

Invariant: each record is returned once, in its partition's order. A record that does not decode is a defect of the
learner, the only writer of these topics; it is logged as an error with its place, and the audit names the group that it
leaves open.
"""

import logging
from dataclasses import dataclass, field

from infra.metrics import metrics
from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import DecodeError, decode_by_schema
from streams.messages import GroupClosed, LineageStarted, PolicyVersion
from streams.records import Record
from streams.topics import Topic, topic_name

log = logging.getLogger(__name__)

Closing = GroupClosed | LineageStarted


@dataclass(slots=True)
class LearnerWatch:
    """`lineage` and `version` are the newest in any record, or 0 before the learner's first one.

    They are taken from closings too, since a cluster may deliver a closing before the announcement that was
    acknowledged before it.
    """

    run_id: str
    reader: LogReader
    lineage: int = 0
    version: int = 0
    _pending: list[Closing] = field(default_factory=list)

    @classmethod
    def open(cls, settings: Settings, bootstrap: str) -> "LearnerWatch":
        """Raises BrokerUnavailableError; LookupError where the topics do not exist."""
        topics = [topic_name(settings.topics.prefix, topic) for topic in (Topic.GROUPS_CLOSED, Topic.POLICY_VERSIONS)]
        return cls(settings.run.id, LogReader(settings.broker, bootstrap, topics))

    def catch_up(self) -> list[Closing]:
        """Returns everything up to the current end of the log."""
        for record in self.reader.read_to_end():
            self._add(record)
        return self._pop_pending()

    def poll(self, timeout: float) -> list[Closing]:
        """Returns the messages that have arrived, after waiting up to `timeout` seconds for the first."""
        for record in self.reader.poll(timeout):
            self._add(record)
        return self._pop_pending()

    def _pop_pending(self) -> list[Closing]:
        pending, self._pending = self._pending, []
        return pending

    def _add(self, record: Record) -> None:
        metrics.messages_total.labels("selector", record.topic).inc()
        try:
            message = decode_by_schema(record.value, record.headers)
        except DecodeError:
            log.exception("unreadable record %s[%d]@%d", record.topic, record.partition, record.offset)
            return
        if not isinstance(message, PolicyVersion | Closing) or message.run_id != self.run_id:
            return
        self.lineage, self.version = max((self.lineage, self.version), (message.lineage, message.version))
        metrics.policy_version.set(self.version)
        if isinstance(message, Closing):
            self._pending.append(message)
