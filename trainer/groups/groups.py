"""Keeps track of groups: which are open, which are complete, and from where reading must resume.

Invariants:
- A record of a closed group changes nothing (a ticket or rollout that is read twice makes one group).
- Every record of an open group is at or above `watermarks`, so a reader that seeks there loses no open group.
- Only verdicts on the question's own route count; shadow scores serve calibration.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from streams.messages import Outcome, PromptTicket, Purpose, Rollout, ScoredTrajectory
from streams.records import TopicPartition
from streams.route_headers import route_of
from trainer.seqset import SeqSet


@dataclass(slots=True)
class OpenGroup:
    """A dispatched group without an outcome."""

    group_id: str
    seq: int
    prompt_id: str
    domain: str
    purpose: Purpose
    size: int
    deadline: float
    scored: dict[int, ScoredTrajectory] = field(default_factory=dict)
    """First verdict of each sample, by sample index."""
    first_offset: dict[TopicPartition, int] = field(default_factory=dict)
    """The lowest offset of the group's records in each partition."""

    @property
    def complete(self) -> bool:
        return len(self.scored) >= self.size

    @property
    def failed_why(self) -> str | None:
        """Why the scorer gave no score, for the first sample without one; None if there is no such sample."""
        return next((s.why or "scorer failed" for _, s in sorted(self.scored.items()) if s.score is None), None)

    @property
    def scores(self) -> list[float]:
        return [s.score for _, s in sorted(self.scored.items()) if s.score is not None]

    @property
    def mean_score(self) -> float | None:
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def score_std(self) -> float:
        """Population standard deviation in float64."""
        mean = sum(self.scores) / len(self.scores)
        return math.sqrt(sum((s - mean) ** 2 for s in self.scores) / len(self.scores))

    def staleness(self, version: int) -> int:
        """Versions between the oldest policy token and `version`. Tokens of an abandoned lineage may have a higher
        version, and then count as fresh.
        """
        spans = [span for s in self.scored.values() for span in s.rollout.spans]
        oldest = min((span.version for span in spans), default=version)
        return max(0, version - oldest)

    def trajectories(self) -> Iterator[ScoredTrajectory]:
        for _, scored in sorted(self.scored.items()):
            yield scored


@dataclass(frozen=True, slots=True)
class GroupEnding:
    """How a group ends without being trained on."""

    outcome: Outcome
    reason: str


@dataclass(slots=True)
class GroupBook:
    """The open groups. Records may come in any order and more than once."""

    closed: SeqSet = field(default_factory=SeqSet)
    open: dict[int, OpenGroup] = field(default_factory=dict)

    def add_ticket(self, ticket: PromptTicket, at: TopicPartition, offset: int) -> bool:
        """Returns whether the ticket belongs to an open group, which it may have opened."""
        return self._note(self._group(ticket.seq, ticket, ticket.samples), at, offset)

    def add_scored(self, scored: ScoredTrajectory, at: TopicPartition, offset: int) -> bool:
        """Returns whether the verdict counts: it is the first of its sample, on the primary route, in an open group."""
        rollout = scored.rollout
        group = self._group(rollout.seq, rollout, rollout.group_size)
        if not self._note(group, at, offset) or group is None:
            return False
        if scored.route is not route_of(rollout.question) or rollout.index in group.scored:
            return False
        group.scored[rollout.index] = scored
        return True

    def close(self, group: OpenGroup) -> None:
        self.closed.add(group.seq)
        del self.open[group.seq]

    def watermarks(self, next_offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The offset from which to resume each partition, given the next offset that would be read."""
        marks = dict(next_offsets)
        for group in self.open.values():
            for partition, offset in group.first_offset.items():
                marks[partition] = min(marks.get(partition, offset), offset)
        return marks

    def _group(self, seq: int, source: PromptTicket | Rollout, size: int) -> OpenGroup | None:
        if seq in self.closed:
            return None
        if seq not in self.open:
            self.open[seq] = OpenGroup(
                source.group_id, seq, source.prompt_id, source.domain, source.purpose, size, source.deadline
            )
        return self.open[seq]

    @staticmethod
    def _note(group: OpenGroup | None, at: TopicPartition, offset: int) -> bool:
        if group is None:
            return False
        group.first_offset[at] = min(group.first_offset.get(at, offset), offset)
        return True


def ending_of(
    group: OpenGroup,
    *,
    version: int,
    now: float,
    caught_up: bool,
    max_staleness: int | None,
    zero_variance_std: float | None,
    mask_cut_off: bool = False,
) -> GroupEnding | None:
    """The ending of a group that will not be trained on, or None while it is incomplete or trainable.

    `caught_up` means that the log was read to its end; only then is a missing verdict known to be late. With
    `zero_variance_std` None, groups whose scores are equal are trained on; with `max_staleness` None, groups of any age
    are. With `mask_cut_off`, responses that reached their token limit carry no loss, so a group that consists of them
    is not trained on.
    """
    why = group.failed_why
    if why is not None:
        return GroupEnding(Outcome.FAILED, why)
    if not group.complete:
        return GroupEnding(Outcome.EXPIRED, "deadline") if caught_up and now > group.deadline else None
    if group.purpose is not Purpose.TRAIN:
        return GroupEnding(Outcome.FILTERED, "measured")
    staleness = group.staleness(version)
    if max_staleness is not None and staleness > max_staleness:
        return GroupEnding(Outcome.STALE, f"{staleness} versions old, at most {max_staleness} are trained on")
    no_signal = _without_signal(group, zero_variance_std, mask_cut_off=mask_cut_off)
    return None if no_signal is None else GroupEnding(Outcome.FILTERED, no_signal)


def _without_signal(group: OpenGroup, zero_variance_std: float | None, *, mask_cut_off: bool) -> str | None:
    """Why a complete group would give no gradient, or None if it would give one."""
    if zero_variance_std is not None and group.score_std < zero_variance_std:
        return "zero_variance"
    if mask_cut_off and all(s.rollout.finish_reason == "length" for s in group.scored.values()):
        return "cut_off"
    return None
