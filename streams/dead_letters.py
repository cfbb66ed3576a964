"""Keeps records that could not be processed: untouched, with their source and the reason, to be put back on demand.

Invariant: key, value and headers of the record survive unchanged; what is known about it goes into headers with
the prefix `dead_letter.`. A record that is put back and fails again keeps the time of its first failure, and its count
of attempts goes up. Whatever a record contains, it can be set aside, and what was set aside can be listed.

The only exception: a value with which the letter would be larger than a record may be stays where it is. The letter
then says so, and where that is.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from kafka import KafkaProducer

from streams.clients import LogReader, confirm, send
from streams.codec import Header, header
from streams.records import Output, Record

E = TypeVar("E", bound=Exception)

_PREFIX = "dead_letter."
_KEPT = (f"{_PREFIX}attempts", f"{_PREFIX}first_failed_at")
"""Headers that travel with a record that is put back."""
_LEFT_OUT = f"{_PREFIX}value_left_out"
"""Header: the number of bytes of the value that the letter does not hold."""
_REASON_CHARACTERS = 2000
"""Longest reason that is kept: an error may quote all of a record."""
_YEAR_9999 = 253_402_300_800.0
"""Unix seconds, where dates in Python end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    id: str
    """`PARTITION:OFFSET` in the dead-letter topic."""
    stage: str
    topic: str
    partition: int
    offset: int
    attempts: int
    error_class: str
    reason: str
    first_failed_at: float
    """Unix seconds."""
    record: Record
    """The untouched key, value and headers."""


def dead_letter(record: Record, error: Exception, stage: str, topic: str, now: float | None = None) -> Output:
    """Returns the output that sets `record` aside on the dead-letter topic `topic`."""
    now = time.time() if now is None else now
    about = {
        "stage": stage,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "attempts": str(_int_of(header(record.headers, f"{_PREFIX}attempts"), 0) + 1),
        "error_class": type(error).__name__,
        "reason": str(error)[:_REASON_CHARACTERS],
        "first_failed_at": header(record.headers, f"{_PREFIX}first_failed_at") or repr(now),
    }
    headers = [pair for pair in record.headers if not pair[0].startswith(_PREFIX)]
    headers += [(_PREFIX + name, value.encode(errors="backslashreplace")) for name, value in about.items()]
    return Output(topic, record.key, record.value, tuple(headers))


def within(output: Output, largest: int) -> Output:
    """Returns the dead letter, without its value if it would be larger than a record of `largest` bytes."""
    if output.size <= largest:
        return output
    left_out = (_LEFT_OUT, str(len(output.value or b"")).encode())
    own = tuple(pair for pair in output.headers if pair[0].startswith(_PREFIX))
    return Output(output.topic, (output.key or b"")[:_REASON_CHARACTERS], None, (*own, left_out))


def letters_on(records: Iterable[Record], letters: Iterable[Output]) -> list[Output]:
    """Returns letters on what was made of `records` as letters on the records themselves, as they were read."""
    read = {(record.topic, str(record.partition), str(record.offset)): record for record in records}
    found = []
    for letter in letters:
        own = tuple(pair for pair in letter.headers if pair[0].startswith(_PREFIX))
        topic, partition, offset = (header(own, _PREFIX + name) or "" for name in ("topic", "partition", "offset"))
        record = read[topic, partition, offset]
        kept = tuple(pair for pair in record.headers if not pair[0].startswith(_PREFIX))
        found.append(Output(letter.topic, record.key, record.value, (*kept, *own)))
    return found


def reason_of(output: Output) -> str:
    """Returns the error class of a dead letter, short enough for a metric's label."""
    return header(output.headers, f"{_PREFIX}error_class") or "unknown"


def list_dead_letters(reader: LogReader) -> list[DeadLetter]:
    """Returns every dead letter in the topic that `reader` reads from the beginning, oldest first in each partition."""
    return [parse(record) for record in reader.read_to_end()]


def not_set_aside(reader: LogReader, broken: Iterable[tuple[Record, E]]) -> list[tuple[Record, E]]:
    """Returns those of `broken` that no dead letter in the topic of `reader` holds: who reads a log again from its
    beginning meets the same records again.
    """
    broken = list(broken)
    known = {(letter.topic, letter.partition, letter.offset) for letter in map(parse, reader.read_to_end())}
    return [(record, error) for record, error in broken if (record.topic, record.partition, record.offset) not in known]


def parse(record: Record) -> DeadLetter:
    """Parses a record of the dead-letter topic. A missing or wrong header becomes `unknown`, -1 or 0."""
    about = {
        name: (value or b"").decode("utf-8", "replace") for name, value in record.headers if name.startswith(_PREFIX)
    }
    return DeadLetter(
        id=f"{record.partition}:{record.offset}",
        stage=about.get(f"{_PREFIX}stage", "unknown"),
        topic=about.get(f"{_PREFIX}topic", "unknown"),
        partition=_int_of(about.get(f"{_PREFIX}partition"), -1),
        offset=_int_of(about.get(f"{_PREFIX}offset"), -1),
        attempts=_int_of(about.get(f"{_PREFIX}attempts"), 0),
        error_class=about.get(f"{_PREFIX}error_class", "unknown"),
        reason=about.get(f"{_PREFIX}reason", ""),
        first_failed_at=_seconds_of(about.get(f"{_PREFIX}first_failed_at")),
        record=record,
    )


def choose(letters: Iterable[DeadLetter], ids: Iterable[str]) -> list[DeadLetter]:
    """Returns the letters with these ids. Raises LookupError that names the ids which do not exist."""
    by_id: Mapping[str, DeadLetter] = {letter.id: letter for letter in letters}
    wanted = list(ids)
    unknown = [name for name in wanted if name not in by_id]
    if unknown:
        raise LookupError(f"no dead letter {', '.join(unknown)}: `rewardstream dead-letters list` shows what there is")
    return [by_id[name] for name in wanted]


def put_back(letter: DeadLetter) -> Output:
    """Returns the record as it was, for the topic it came from, with the count of its attempts. Raises ValueError."""
    if letter.topic == "unknown":
        raise ValueError(f"dead letter {letter.id} does not say which topic it came from")
    if (left_out := header(letter.record.headers, _LEFT_OUT)) is not None:
        raise ValueError(
            f"dead letter {letter.id} does not hold the record's {left_out} bytes, with which it would have been "
            f"larger than broker.max_message_bytes: the record is in {letter.topic}[{letter.partition}] at "
            f"{letter.offset}"
        )
    headers: list[Header] = [
        pair for pair in letter.record.headers if pair[0] in _KEPT or not pair[0].startswith(_PREFIX)
    ]
    return Output(letter.topic, letter.record.key, letter.record.value, tuple(headers))


def replay(producer: KafkaProducer, letters: Iterable[DeadLetter], timeout: float) -> int:
    """Put the letters back where they came from; returns how many. Raises DeliveryError, ValueError.

    The letters stay in their topic. Consumers drop by id what was processed meanwhile.
    """
    deliveries = [send(producer, output) for output in [put_back(letter) for letter in letters]]
    confirm(producer, deliveries, timeout)
    return len(deliveries)


def _int_of(text: str | None, otherwise: int) -> int:
    """Returns the number that a header holds, within what a counter may be."""
    try:
        value = int(text or "")
    except ValueError:
        return otherwise
    return value if abs(value) < 2**63 - 1 else otherwise


def _seconds_of(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return 0.0
    return value if 0 <= value < _YEAR_9999 else 0.0
