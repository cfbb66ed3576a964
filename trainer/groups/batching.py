"""Assembles batches from the log: tickets and verdicts go in, group endings and ready groups come out.

Invariant: a group leaves `book` only through `close`, which the caller calls after it queued the group's closing. A
group that was taken into a batch stays open until then, so a learner that resumes reads it again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from infra.metrics import metrics
from infra.settings.admission_limits import AdmissionLimits
from infra.settings.learner import LearnerSettings
from streams.clients import Reader
from streams.codec import DecodeError, decode
from streams.messages import Outcome, PromptTicket, Purpose, ScoredTrajectory
from streams.records import Record, TopicPartition
from trainer.curriculum.admission import Admission
from trainer.groups.groups import GroupBook, GroupEnding, OpenGroup, ending_of
from trainer.groups.replay import GroupSource
from trainer.runlog import skipped_updates
from trainer.seqset import SeqSet
from trainer.step.batch import Trajectory, TrajectoryError, trajectory_of
from trainer.step.report import StepReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadyGroup:
    """A trainable group with its decoded trajectories."""

    group: OpenGroup
    trajectories: list[Trajectory]


@dataclass(slots=True)
class BatchAssembler:
    """Bookkeeping without I/O: the caller reads the log and publishes the endings."""

    source: GroupSource
    settings: LearnerSettings
    limits: AdmissionLimits
    closed: SeqSet
    verdicts: Callable[[OpenGroup], Iterable[ScoredTrajectory]] = OpenGroup.trajectories
    """Returns a group's verdicts with their tokens."""
    book: GroupBook = field(init=False)
    admission: Admission = field(init=False)
    taken: list[ReadyGroup] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = GroupBook(self.closed)
        limits = one_group_window(self.limits) if self.source.is_replay else self.limits
        self.admission = Admission(limits, self.closed.low)
        for seq in self.closed.above:
            self.admission.closed(seq)

    def add(self, record: Record) -> None:
        """Raises DecodeError; the caller then sends the record to the dead letters."""
        if record.topic == self.source.prompts_topic:
            ticket = decode(record.value, PromptTicket)
            if ticket.run_id == self.source.run_id:
                self.book.add_ticket(ticket, record.source, record.offset)
                self.admission.dispatched(ticket.seq, train=ticket.purpose is Purpose.TRAIN)
            return
        scored = decode(record.value, ScoredTrajectory)
        if self.source.scores is not None:
            scored = self.source.scores.apply(scored)
        if scored.rollout.run_id == self.source.run_id:
            self.book.add_scored(scored, record.source, record.offset)
            self.admission.dispatched(scored.rollout.seq, train=scored.rollout.purpose is Purpose.TRAIN)

    def endings(self, version: int, now: float, *, caught_up: bool) -> Iterator[tuple[OpenGroup, GroupEnding]]:
        """Groups that must be closed without being trained on, with the reason."""
        taken_seqs = {taken.group.seq for taken in self.taken}
        for group in list(self.book.open.values()):
            if group.seq in taken_seqs:
                continue
            ending = ending_of(
                group,
                version=version,
                now=now,
                caught_up=caught_up,
                max_staleness=None if self.source.is_replay else self.settings.max_staleness,
                zero_variance_std=self.settings.zero_variance_std if self.settings.filter_zero_variance else None,
                mask_cut_off=self.settings.overlong.mask,
            )
            if ending is not None:
                yield group, ending

    def take(self, room: int) -> Iterator[tuple[OpenGroup, GroupEnding]]:
        """Moves up to `room` complete groups inside the window into `taken`, oldest first.

        Yields groups whose trajectories cannot be trained on; the caller closes them as failed.
        """
        while room > 0:
            ready = (seq for seq in self.admission.window if seq in self.book.open and self.book.open[seq].complete)
            seq = next(ready, None)
            if seq is None:
                return
            group = self.book.open[seq]
            self.admission.take(seq)
            try:
                self.taken.append(ReadyGroup(group, [trajectory_of(scored) for scored in self.verdicts(group)]))
                room -= 1
            except TrajectoryError as error:
                yield group, GroupEnding(Outcome.FAILED, str(error))

    def close(self, group: OpenGroup) -> None:
        self.book.close(group)
        self.admission.closed(group.seq)

    def close_missing(self) -> None:
        """Replay only: at the end of the log, treats sequence numbers that never appeared as closed."""
        for seq in self.admission.missing:
            self.book.closed.add(seq)
            self.admission.closed(seq)

    @property
    def has_untaken_groups(self) -> bool:
        """Whether a train group is open that has not been taken into a batch."""
        taken_seqs = {taken.group.seq for taken in self.taken}
        return any(g.purpose is Purpose.TRAIN and g.seq not in taken_seqs for g in self.book.open.values())

    def has_overdue_groups(self, now: float) -> bool:
        return any(not group.complete and now > group.deadline for group in self.book.open.values())


def one_group_window(limits: AdmissionLimits) -> AdmissionLimits:
    """The limits with a window of one group, so that all learners that replay a log make the same batches, however fast
    they read.
    """
    return replace(limits, window_share=0.5 / limits.slots)


def read_available(
    reader: Reader, assembler: BatchAssembler, timeout: float
) -> tuple[list[tuple[Record, DecodeError]], int]:
    """Reads the records that have arrived. Returns those that did not decode, and the number of all."""
    broken: list[tuple[Record, DecodeError]] = []
    records = reader.poll(timeout)
    for record in records:
        try:
            assembler.add(record)
        except DecodeError as error:
            log.warning("%s[%d]@%d goes to the dead letters: %s", record.topic, record.partition, record.offset, error)
            broken.append((record, error))
        metrics.messages_total.labels("learner", record.topic).inc()
    return broken, len(records)


def resume_offsets(reader: Reader, assembler: BatchAssembler) -> dict[TopicPartition, int]:
    """The offsets from which a learner that restores this moment must read."""
    return assembler.book.watermarks(reader.positions())


def endings_of_step(
    taken: Sequence[ReadyGroup], staleness: Sequence[int], report: StepReport
) -> list[tuple[OpenGroup, Outcome, str, int | None]]:
    """The endings of a step's groups: (group, outcome, reason, staleness).

    A group whose update was skipped did not change the weights, so it ends as failed.
    """
    skipped = {number for update in report.skipped for number in update.groups}
    return [
        (member.group, Outcome.FAILED, skipped_updates.REASON, None)
        if number in skipped
        else (member.group, Outcome.TRAINED, "", age)
        for number, (member, age) in enumerate(zip(taken, staleness, strict=True))
    ]
