"""A record as it was read from the log, and a record to be written: raw bytes, nothing decoded."""

from dataclasses import dataclass
from typing import NamedTuple

from streams.codec import Header


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


@dataclass(frozen=True, slots=True)
class Output:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
