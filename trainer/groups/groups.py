"""Keeps track of groups: which are open, which are complete, and from where reading must resume.

Invariants:
- A record of a closed group changes nothing (a ticket or rollout that is read twice makes one group).
- Every record of an open group is at or above `watermarks`, so a reader that seeks there loses no open group.
- Only verdicts on the question's own route count; shadow scores serve calibration.
- Where tickets are awaited, only a group whose ticket was read may end: a verdict on a group that was never dispatched
  is an orphan, which is handed back.
- A verdict or ticket that cannot be used fails its own group, if it names one of this run, and no other.
"""

import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from streams.codec import DecodeError
from streams.messages import LARGEST_GROUP, Outcome, PromptTicket, Purpose, Rollout, ScoredTrajectory
from streams.records import Record, TopicPartition
from streams.route_headers import route_of
from streams.trace_context import trace_of
from streams.validate import NamedGroup, NamedSample
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
    refused: dict[int, str] = field(default_factory=dict)
    """Why a verdict could not be used, by sample index, for samples that had no other verdict by then."""
    orphans: list[Record] | None = None
    """The records of a group whose ticket was not read yet; None once it was, or if no ticket is awaited."""
    trace: str | None = None
    """Traceparent of the group's dispatch; None if it is not traced."""
    verdict_traces: dict[int, str] = field(default_factory=dict)
    """Traceparents of the verdicts that count, by sample index."""
    opened_at: float = field(default_factory=time.time, compare=False)
    """Unix seconds at which this process read of the group first."""

    @property
    def complete(self) -> bool:
        return len(self.scored) >= self.size

    @property
    def failed_why(self) -> str | None:
        """Why there is no score, for the first sample that will have none; None if there is no such sample."""
        if self.refused:
            index = min(self.refused)
            return f"sample {index}: {self.refused[index]}"
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
    awaits_tickets: bool = True
    """False for a replay, whose log may have lost tickets: there a verdict opens its group by itself."""
    open: dict[int, OpenGroup] = field(default_factory=dict)

    def add_ticket(self, ticket: PromptTicket, record: Record) -> bool:
        """Returns whether the ticket belongs to an open group, which it may have opened."""
        group = self._noted(ticket.seq, ticket, ticket.samples, record)
        if group is None:
            return False
        group.trace = trace_of(record) or group.trace
        if group.orphans is not None:
            group.orphans = None
            group.purpose, group.domain, group.prompt_id = ticket.purpose, ticket.domain, ticket.prompt_id
            group.size, group.deadline = ticket.samples, ticket.deadline
            group.scored = {index: scored for index, scored in group.scored.items() if index < group.size}
            group.refused = {index: why for index, why in group.refused.items() if index < group.size}
        return True

    def add_scored(self, scored: ScoredTrajectory, record: Record) -> bool:
        """Returns whether the verdict counts: it is the first of its sample, on the primary route, in an open group.

        Raises DecodeError if the sample is none of its group's, as the group's ticket has it.
        """
        rollout = scored.rollout
        group = self._noted(rollout.seq, rollout, rollout.group_size, record)
        if group is None:
            return False
        if group.orphans is not None:
            group.orphans.append(record)
        elif rollout.group_size != group.size or rollout.purpose is not group.purpose:
            raise DecodeError(
                f"rollout {rollout.rollout_id}: one of {rollout.group_size} samples for {rollout.purpose}, but its "
                f"ticket asks for {group.size} for {group.purpose}"
            )
        if scored.route is not route_of(rollout.question) or rollout.index in group.scored:
            return False
        group.scored[rollout.index] = scored
        if (trace := trace_of(record)) is not None:
            group.verdict_traces[rollout.index] = trace
        return True

    def refuse_sample(self, named: NamedSample, why: str, record: Record) -> None:
        """Fails a group for a verdict that cannot be used, unless the sample has one that can."""
        if named.seq in self.closed:
            return
        if named.seq not in self.open:
            orphans: list[Record] | None = [] if self.awaits_tickets else None
            train, never = Purpose.TRAIN, math.inf
            self.open[named.seq] = OpenGroup(
                named.group_id, named.seq, "", "", train, LARGEST_GROUP, never, orphans=orphans
            )
        group = self.open[named.seq]
        if 0 <= named.index < group.size and named.index not in group.scored:
            group.refused.setdefault(named.index, why)
            self._note(group, record)

    def refuse_ticket(self, named: NamedGroup, why: str, record: Record) -> None:
        """Fails a group for a ticket that cannot be used, unless its ticket was read, or its group closed, before."""
        if named.seq in self.closed or self._has_ticket(named.seq):
            return
        group = OpenGroup(named.group_id, named.seq, "", "", Purpose.TRAIN, 1, 0.0)
        group.refused[0] = f"its ticket cannot be used: {why}"
        before = self.open.get(named.seq)
        if before is not None:
            group.first_offset = before.first_offset
        self.open[named.seq] = group
        self._note(group, record)

    def drop_orphans(self, seqs: Collection[int]) -> list[Record]:
        """Forgets groups without a ticket; returns their records."""
        return [record for seq in seqs for record in self.open.pop(seq).orphans or ()]

    def orphans(self) -> set[int]:
        """The groups whose ticket was not read yet."""
        return {seq for seq, group in self.open.items() if group.orphans is not None}

    def _has_ticket(self, seq: int) -> bool:
        return seq in self.open and self.open[seq].orphans is None

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

    def _noted(self, seq: int, source: PromptTicket | Rollout, size: int, record: Record) -> OpenGroup | None:
        """The group, whose record this is; None if it is closed."""
        if seq in self.closed:
            return None
        if seq not in self.open:
            self.open[seq] = OpenGroup(
                source.group_id,
                seq,
                source.prompt_id,
                source.domain,
                source.purpose,
                size,
                source.deadline,
                orphans=[] if self.awaits_tickets else None,
            )
        self._note(self.open[seq], record)
        return self.open[seq]

    @staticmethod
    def _note(group: OpenGroup, record: Record) -> None:
        offset = record.offset
        group.first_offset[record.source] = min(group.first_offset.get(record.source, offset), offset)


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
    if group.orphans is not None:
        return None
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
