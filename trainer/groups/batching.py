"""Assembles batches from the log: tickets and verdicts go in, group endings and ready groups come out.

Invariant: a group leaves `book` only through `close`, which the caller calls after it queued the group's closing. A
group that was taken into a batch stays open until then, so a learner that resumes reads it again.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from infra.metrics import metrics
from infra.settings.admission_limits import AdmissionLimits
from infra.settings.learner import LearnerSettings
from streams.clients import Reader
from streams.codec import DecodeError
from streams.log_clock import LogClock, measure_skew
from streams.messages import Outcome, Purpose, ScoredTrajectory
from streams.records import Record, TopicPartition
from streams.validate import decode_scored, decode_ticket, group_named_in, sample_named_in
from trainer.curriculum.admission import Admission
from trainer.groups.groups import GroupBook, GroupEnding, OpenGroup, ending_of
from trainer.groups.replay import GroupSource
from trainer.runlog import skipped_updates
from trainer.seqset import SeqSet
from trainer.step.report import StepReport
from trainer.step.trajectory import Trajectory, TrajectoryError, trajectories_of

log = logging.getLogger(__name__)

VALUE_ONLY = "value_only"
"""Reason of groups on which the value model alone was trained."""


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
    vocabulary: int | None = None
    """Number of token ids that the policy has; None leaves them unchecked."""
    book: GroupBook = field(init=False)
    admission: Admission = field(init=False)
    taken: list[ReadyGroup] = field(default_factory=list)
    clock: LogClock = field(default_factory=LogClock)
    """Deadlines are judged by it."""

    def __post_init__(self) -> None:
        self.book = GroupBook(self.closed, awaits_tickets=not self.source.is_replay)
        limits = one_group_window(self.limits) if self.source.is_replay else self.limits
        self.admission = Admission(limits, self.closed.low)
        for seq in self.closed.above:
            self.admission.closed(seq)

    def add(self, record: Record) -> None:
        """Raises DecodeError; the caller then sends the record to the dead letters. If the record names an open group,
        that group has failed.
        """
        if record.topic == self.source.prompts_topic:
            self._add_ticket(record)
        else:
            self._add_scored(record)

    def _add_ticket(self, record: Record) -> None:
        try:
            ticket = decode_ticket(record)
        except DecodeError as error:
            named = group_named_in(record)
            if named is not None and named.run_id == self.source.run_id:
                self.book.refuse_ticket(named, str(error), record)
                self.admission.dispatched(named.seq, train=True)
            raise
        if ticket.run_id == self.source.run_id:
            if self.book.awaits_tickets:  # in a replay nothing is late: its log is as old as the run that wrote it
                self.clock.see(record)
            self.book.add_ticket(ticket, record)
            self.admission.dispatched(ticket.seq, train=ticket.purpose is Purpose.TRAIN)

    def _add_scored(self, record: Record) -> None:
        try:
            scored = decode_scored(record)
            if self.source.scores is not None:
                scored = self.source.scores.apply(scored)
            if scored.rollout.run_id != self.source.run_id:
                return
            self.book.add_scored(scored, record)
        except DecodeError as error:
            named = sample_named_in(record)
            if named is not None and named.run_id == self.source.run_id:
                self.book.refuse_sample(named, str(error), record)
            raise
        if not self.book.awaits_tickets:
            self.admission.dispatched(scored.rollout.seq, train=scored.rollout.purpose is Purpose.TRAIN)

    def drop_orphans(self, seqs: Collection[int]) -> list[tuple[Record, DecodeError]]:
        """Forgets groups of which there are verdicts and no ticket; returns their records for the dead letters."""
        why = DecodeError("a verdict on a group that was never dispatched: there is no ticket for it in the log")
        return [(record, why) for record in self.book.drop_orphans(seqs)]

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
                self.taken.append(ReadyGroup(group, trajectories_of(self.verdicts(group), self.vocabulary)))
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


@dataclass(slots=True)
class OrphanWatch:
    """Finds groups of which verdicts were read and no ticket, although all tickets written before them are read."""

    patience_seconds: float = 30.0
    """Far longer than a ticket takes to be read once its topic is read to the end."""
    _since: dict[int, float] = field(default_factory=dict)

    def orphans(self, book: GroupBook, now: float, is_caught_up: Callable[[], bool]) -> list[int]:
        """`now`: time.monotonic(). `is_caught_up`: whether everything in the log was read; asked only if it matters."""
        self._since = {seq: self._since.get(seq, now) for seq in book.orphans()}
        old = [seq for seq, since in self._since.items() if now - since > self.patience_seconds]
        return old if old and is_caught_up() else []


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
    measure_skew(records)
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
        else (member.group, Outcome.TRAINED, VALUE_ONLY if report.value_only else "", age)
        for number, (member, age) in enumerate(zip(taken, staleness, strict=True))
    ]
