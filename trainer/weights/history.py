"""What a resumed learner needs to know about the run so far, apart from the weights; and its file.

Invariant: the file is replaced as a whole and survives a power cut, so a reader sees one moment of the history.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from infra.files.replace import replace_file
from streams.records import TopicPartition
from trainer.seqset import SeqSet


class HistoryError(ValueError):
    """The file is not a history; the text names it."""


@dataclass(frozen=True, slots=True)
class LearnerHistory:
    lineage: int
    version: int
    ordinal: int
    """Number of closings in the surviving history."""
    offsets: dict[TopicPartition, int]
    """A learner that reads the log from here, and skips the groups in `closed`, sees every group that the surviving
    history has not closed, and none that it has."""
    closed: SeqSet


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    lineage: int
    version: int
    ordinal: int
    offsets: list[tuple[str, int, int]]
    closed_low: int
    closed_above: list[int]


def write_history(path: Path, history: LearnerHistory) -> None:
    """Raises OSError."""
    stored = _Stored(
        lineage=history.lineage,
        version=history.version,
        ordinal=history.ordinal,
        offsets=[(at.topic, at.partition, offset) for at, offset in history.offsets.items()],
        closed_low=history.closed.low,
        closed_above=sorted(history.closed.above),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(stored), sync=True)


def read_history(path: Path) -> LearnerHistory:
    """Raises OSError, HistoryError."""
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HistoryError(
            f"{path} is not a learner's history: {error}; remove its checkpoint to resume from the one before"
        ) from error
    return LearnerHistory(
        lineage=stored.lineage,
        version=stored.version,
        ordinal=stored.ordinal,
        offsets={TopicPartition(topic, number): offset for topic, number, offset in stored.offsets},
        closed=SeqSet.of(stored.closed_low, stored.closed_above),
    )
