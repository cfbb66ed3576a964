"""Writes the learner's messages to the log.

Invariant: when `send` or `write_dead_letters` returns, the broker has acknowledged everything that it was given.
"""

from collections.abc import Mapping, Sequence

from infra.metrics import metrics
from infra.settings.tree import Settings
from streams.announcements import signature_headers
from streams.clients import LogReader, confirm, make_producer, publish, send
from streams.codec import DecodeError
from streams.dead_letters import dead_letter, not_set_aside, reason_of, within
from streams.messages import GroupClosed, LineageStarted, Outcome, PolicyVersion
from streams.records import Record
from streams.topics import Topic, topic_name

LearnerMessage = GroupClosed | LineageStarted | PolicyVersion


class LogWriter:
    """The learner's producer. Raises BrokerUnavailableError."""

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        self._broker, self._bootstrap = settings.broker, bootstrap
        self._timeout = settings.broker.outage_seconds
        self._largest = settings.broker.max_message_bytes
        self._topics = {topic: topic_name(settings.topics.prefix, topic) for topic in Topic}
        self._signing_key = settings.weights.read_signing_key()
        self._producer = make_producer(settings.broker, bootstrap)

    def send(self, topic: Topic, messages: Sequence[LearnerMessage], traces: Sequence[Mapping[str, str]] = ()) -> None:
        """`traces`: the headers of each message's trace, if there are traces. Raises DeliveryError."""
        given = traces or [{}] * len(messages)
        deliveries = [
            publish(self._producer, self._topics[topic], message, key_of(message), **self._headers_of(message), **trace)
            for message, trace in zip(messages, given, strict=True)
        ]
        confirm(self._producer, deliveries, self._timeout)

    def _headers_of(self, message: LearnerMessage) -> dict[str, str]:
        return signature_headers(message, self._signing_key) if isinstance(message, PolicyVersion) else {}

    def write_dead_letters(self, broken: Sequence[tuple[Record, DecodeError]]) -> None:
        """Raises DeliveryError."""
        if not broken:
            return
        topic = self._topics[Topic.DEAD_LETTERS]
        letters = [dead_letter(record, error, "learner", topic) for record, error in broken]
        outputs = [within(letter, self._largest) for letter in letters]
        confirm(self._producer, [send(self._producer, output) for output in outputs], self._timeout)
        for output in outputs:
            metrics.dead_letters_total.labels("learner", reason_of(output)).inc()

    def set_aside(self, broken: Sequence[tuple[Record, DecodeError]]) -> None:
        """Writes the dead letters that were not written before, by this process or an earlier one. Raises
        DeliveryError.
        """
        if broken:
            with LogReader(self._broker, self._bootstrap, [self._topics[Topic.DEAD_LETTERS]]) as reader:
                broken = not_set_aside(reader, broken)
            self.write_dead_letters(broken)

    def close(self) -> None:
        self._producer.close(timeout=1)


def key_of(message: LearnerMessage) -> str:
    """The record's key: the group's id, so that a group's records share a partition; the run's id for claims, whose
    order decides; run and lineage for announcements, of which compaction thus keeps the newest of each lineage.
    """
    match message:
        case GroupClosed():
            return message.group_id
        case PolicyVersion():
            return f"{message.run_id}:{message.lineage}"
        case _:
            return message.run_id


def reason_label(closing: GroupClosed) -> str:
    """The closing's reason if it is one of a few fixed words, else empty: free text stays out of Prometheus."""
    return closing.reason if closing.outcome is Outcome.FILTERED else ""
