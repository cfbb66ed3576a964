"""The place in a run's log from which reading goes on, as a value that a learner keeps with its own checkpoint."""

from dataclasses import dataclass

import msgspec

from streams.records import TopicPartition


class _StoredPosition(msgspec.Struct, frozen=True, kw_only=True):
    offsets: list[tuple[str, int, int]]
    done_below: int
    done_above: list[int]


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A reader that starts here yields every group that was not yielded before, and no other."""

    offsets: dict[TopicPartition, int]
    """The first record that is read again, by topic and partition."""
    done_below: int
    """Every group with a lower sequence number was yielded."""
    done_above: frozenset[int]
    """The sequence numbers from `done_below` on that were yielded."""

    def to_json(self) -> bytes:
        return msgspec.json.encode(
            _StoredPosition(
                offsets=[(at.topic, at.partition, offset) for at, offset in self.offsets.items()],
                done_below=self.done_below,
                done_above=sorted(self.done_above),
            )
        )

    @classmethod
    def from_json(cls, text: bytes | str) -> "LogPosition":
        """Raises msgspec.DecodeError if the text is not what `to_json` returned."""
        stored = msgspec.json.decode(text, type=_StoredPosition)
        offsets = {TopicPartition(topic, number): offset for topic, number, offset in stored.offsets}
        return cls(offsets, stored.done_below, frozenset(stored.done_above))
