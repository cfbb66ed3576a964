"""What a process keeps of the trajectories that it read, and the light form in which the leader hears of them.

Invariant: of each sample the first verdict on the question's own route is held, as `GroupBook` counts
it, until its group is closed; a light record differs from the record only in that its rollout has no segments and no
text.
"""

from dataclasses import dataclass, field, replace

import msgspec

from streams.codec import DecodeError, decode, encode
from streams.messages import ScoredTrajectory
from streams.records import Record
from streams.route_headers import route_of
from trainer.leader.commands import SegmentsByIndex
from trainer.seqset import SeqSet


@dataclass(slots=True)
class SegmentCache:
    run_id: str
    scored_topic: str
    closed: SeqSet
    _cached: dict[int, SegmentsByIndex] = field(default_factory=dict)

    def strip(self, record: Record) -> Record:
        """Holds what is heavy of it. What does not decode stays as it is, for the leader to set aside."""
        if record.topic != self.scored_topic:
            return record
        try:
            scored = decode(record.value, ScoredTrajectory)
        except DecodeError:
            return record
        rollout = scored.rollout
        ours = rollout.run_id == self.run_id and rollout.seq not in self.closed
        if ours and scored.route is route_of(rollout.question):
            self._cached.setdefault(rollout.seq, {}).setdefault(rollout.index, rollout.segments)
        bare = msgspec.structs.replace(rollout, segments=(), text="")
        return replace(record, value=encode(msgspec.structs.replace(scored, rollout=bare)))

    def segments(self, seq: int) -> SegmentsByIndex:
        return self._cached.get(seq, {})

    def drop(self, seqs: tuple[int, ...]) -> None:
        for seq in seqs:
            self._cached.pop(seq, None)
            self.closed.add(seq)


def with_segments(scored: ScoredTrajectory, segments: SegmentsByIndex) -> ScoredTrajectory:
    """The verdict as it was read. Raises KeyError where nobody held it."""
    rollout = msgspec.structs.replace(scored.rollout, segments=segments[scored.rollout.index])
    return msgspec.structs.replace(scored, rollout=rollout)
