"""Keeps the token ids and log-probs of the verdicts that a follower read, so that only light records go to the leader.

Invariants:
- Until a group is closed, the cache holds the segments of the first verdict of each sample on its question's own route.
  These are the verdicts that `GroupBook` counts.
- A stripped record differs from the original only in that its rollout has no segments and no text.
"""

from dataclasses import dataclass, field, replace

import msgspec

from streams.codec import DecodeError, encode
from streams.messages import ScoredTrajectory, without_content
from streams.records import Record
from streams.route_headers import route_of
from streams.validate import decode_scored
from trainer.leader.commands import SegmentsByIndex
from trainer.seqset import SeqSet


@dataclass(slots=True)
class SegmentCache:
    run_id: str
    scored_topic: str
    closed: SeqSet
    _cached: dict[int, SegmentsByIndex] = field(default_factory=dict)

    def strip(self, record: Record) -> Record:
        """Caches the segments of a verdict and returns its record without them. A record that is not a verdict, or does
        not decode, is returned as it is; the leader sends the latter to the dead letters.
        """
        if record.topic != self.scored_topic:
            return record
        try:
            scored = decode_scored(record)
        except DecodeError:
            return record
        rollout = scored.rollout
        is_open = rollout.run_id == self.run_id and rollout.seq not in self.closed
        if is_open and scored.route is route_of(rollout.question):
            self._cached.setdefault(rollout.seq, {}).setdefault(rollout.index, rollout.segments)
        light = without_content(rollout)
        return replace(record, value=encode(msgspec.structs.replace(scored, rollout=light)))

    def segments(self, seq: int) -> SegmentsByIndex:
        return self._cached.get(seq, {})

    def drop(self, seqs: tuple[int, ...]) -> None:
        for seq in seqs:
            self._cached.pop(seq, None)
            self.closed.add(seq)


def with_segments(scored: ScoredTrajectory, segments: SegmentsByIndex) -> ScoredTrajectory:
    """The verdict as it was before it was stripped, except for its text. It has no segments if no process cached any,
    as for a verdict that came without them; nobody can train on it then.
    """
    rollout = msgspec.structs.replace(scored.rollout, segments=segments.get(scored.rollout.index, ()))
    return msgspec.structs.replace(scored, rollout=rollout)
