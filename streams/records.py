"""A record as it was read from the log, and a record to be written: raw bytes, nothing decoded."""

from dataclasses import dataclass
from typing import NamedTuple

from streams.codec import Header

_HEADER_BYTES, _RECORD_BYTES = 16, 256
"""What Kafka's clients count in addition to the parts of a header and of a record, or more."""


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class RecordPlace(NamedTuple):
    """Address of a record in the log."""

    partition: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    topic: str
    partition: int
    offset: int
    timestamp: float
    """Unix seconds at which it was produced."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    @property
    def place(self) -> RecordPlace:
        return RecordPlace(self.source, self.offset)

    @property
    def told(self) -> str:
        """Its key and place, for a line of the log."""
        key = (self.key or b"").decode(errors="replace")
        return f"group {key} in {self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Output:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def size(self) -> int:
        """An upper bound of the bytes that a client counts for the record."""
        headers = sum(4 * len(name) + len(value or b"") + _HEADER_BYTES for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers + _RECORD_BYTES

    @property
    def sendable(self) -> "Output":
        """The record as Python's clients send it, who refuse two things that Kafka allows: a record without key and
        value, and a header without a value. Both become empty bytes.
        """
        key = b"" if self.key is None and self.value is None else self.key
        return Output(self.topic, key, self.value, tuple((name, value or b"") for name, value in self.headers))
