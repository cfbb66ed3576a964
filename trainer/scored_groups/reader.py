"""Yields the closed groups of a run from its log.

Invariants:
- Each group that the run's learner closed is yielded exactly once, with every verdict that the learner had.
- It only reads: it is in no consumer group, commits nothing and writes nothing, so a run does not notice it.
- Closings that a later lineage took back are passed over, as far as the log says so when the group is yielded.
- In memory are the groups that were open in the run at one moment, 64 records of each partition, and the client's
  last fetch of each. The log is read in the order of time for that (`log_order`). Where retention has removed groups,
  a number is kept for each later group.
"""

import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.settings.load import SETTINGS_FILE, load, with_changes
from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import DecodeError, decode_by_schema
from streams.log_clock import SKEW_SECONDS
from streams.messages import GroupClosed, LineageStarted, Purpose
from streams.records import Record, RecordPlace
from streams.topics import Topic, topic_name
from streams.validate import decode_scored, decode_ticket
from trainer.curriculum.lineages import Lineages
from trainer.groups.groups import GroupBook
from trainer.scored_groups.log_order import TimeOrder
from trainer.scored_groups.position import LogPosition
from trainer.scored_groups.scored_group import PromptTurns, ScoredGroup, scored_group
from trainer.seqset import SeqSet

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""Longest wait for a record before the caller's time limit is looked at."""


class RunNotReadableError(LookupError):
    """There is no such run, or no log of it; the text says where was looked."""


@dataclass(slots=True)
class _Ended:
    """A group that was closed and may lack verdicts that are in the log."""

    closing: GroupClosed
    closed_at: float
    """Unix seconds at which the record was produced."""
    round: int
    """The round in which the closing was read."""


class ScoredGroups:
    """An iterator over the closed groups of a run, in the order in which they were closed, nearly.

    `follow`: how many seconds to wait for another group at the end of the log. 0 reads what is there; math.inf follows
    the run for ever. If a run that is followed goes on from an earlier checkpoint, its learner may end a group that was
    yielded once more; that ending is not seen.

    `start`: the position of an earlier reader. A learner that keeps `position` with its own checkpoint sees each group
    exactly once, even if it is killed.

    Not thread-safe. The constructor raises RunNotReadableError, BrokerUnavailableError, BrokerSecurityError and
    OffsetsLostError (the log ends before `start`); iteration raises BrokerUnavailableError if the broker goes away.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        start: LogPosition | None = None,
        follow: float = 0.0,
        purposes: Collection[Purpose] = (Purpose.TRAIN,),
    ) -> None:
        broker, bootstrap, prefix = settings.broker, settings.broker.bootstrap_servers, settings.topics.prefix
        self._run_id = settings.run.id
        self._purposes = frozenset(purposes)
        self._follow = follow
        self._prompts, self._scored, self._closed = (
            topic_name(prefix, topic) for topic in (Topic.PROMPTS, Topic.SCORED, Topic.GROUPS_CLOSED)
        )
        done = SeqSet() if start is None else SeqSet.of(start.done_below, start.done_above)
        self._book = GroupBook(done, awaits_tickets=False)  # retention may have removed tickets
        self._turns: dict[int, PromptTurns] = {}
        self._ended: dict[int, _Ended] = {}
        self._closings: dict[int, RecordPlace] = {}
        """The place of the first closing that counts, of groups that were not yielded."""
        self._round = 0
        self._records = 0
        self.gone = 0
        """Number of groups so far of which the log holds nothing but the closing; they are not yielded."""
        self.unreadable = 0
        """Number of records so far that do not decode; the run's services have set them aside in its dead letters."""
        topics = (self._prompts, self._scored, self._closed)
        try:
            self._lineages = self._read_lineages(settings)
            self._reader = LogReader(broker, bootstrap, topics, None if start is None else start.offsets)
        except LookupError as error:
            raise RunNotReadableError(
                f"the log of run {self._run_id} is not at {bootstrap or 'an empty address'}: {error}"
            ) from error
        self._order = TimeOrder(self._reader, bootstrap, broker.request_timeout_seconds)

    @classmethod
    def of_run(
        cls,
        run: str,
        runs: Path | str = "runs",
        *,
        bootstrap_servers: str | None = None,
        start: LogPosition | None = None,
        follow: float = 0.0,
        purposes: Collection[Purpose] = (Purpose.TRAIN,),
    ) -> "ScoredGroups":
        """Reads a run by its id, or `latest`, with the settings in its folder below `runs`. `bootstrap_servers`: where
        its log is, if that is no longer where the run had it.

        Raises InvalidSettingsError, and what the constructor raises.
        """
        file = Path(runs) / run / SETTINGS_FILE
        if not file.is_file():
            raise RunNotReadableError(f"there is no run {run!r} in {Path(runs).resolve()}: it has no {SETTINGS_FILE}")
        settings = load(str(file)).settings
        if bootstrap_servers:
            settings = with_changes(settings, broker={"kind": "cluster", "bootstrap_servers": bootstrap_servers})
        return cls(settings, start=start, follow=follow, purposes=purposes)

    @property
    def position(self) -> LogPosition:
        """From where another reader goes on after the last group that was yielded."""
        offsets = self._book.watermarks(self._order.positions())
        for partition, offset in self._closings.values():
            offsets[partition] = min(offset, offsets.get(partition, offset))
        return LogPosition(offsets, self._book.closed.low, frozenset(self._book.closed.above))

    @property
    def open_groups(self) -> int:
        """Number of groups in memory: dispatched and not yielded, so far as the log was read."""
        return len(self._book.open)

    def __iter__(self) -> Iterator[ScoredGroup]:
        idle_since, quiet_rounds = time.monotonic(), 0
        while True:
            before = self._records
            yield from (group for group in self._one_round() if group.purpose in self._purposes)
            if self._records > before:
                idle_since, quiet_rounds = time.monotonic(), 0
                continue
            quiet_rounds += 1
            # The listed ends may be too low (LogReader.end_offsets), so the end is believed when it was seen twice.
            if quiet_rounds > 1 and time.monotonic() - idle_since >= self._follow:
                return
            if self._follow:
                self._order.await_records(_LOOK_SECONDS)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_lineages(self, settings: Settings) -> Lineages:
        """The claims of the run's learners, one per start. They come first, since a claim takes back closings that
        stand before it.
        """
        with LogReader(settings.broker, settings.broker.bootstrap_servers, [self._closed]) as reader:
            lineages = Lineages()
            for record in reader.read_to_end():
                try:
                    message = decode_by_schema(record.value, record.headers)
                except DecodeError:
                    continue  # it is counted when the record is read in its turn
                if isinstance(message, LineageStarted) and message.run_id == self._run_id:
                    lineages.add(message)
            return lineages

    def _one_round(self) -> Iterator[ScoredGroup]:
        self._round += 1
        for record in self._order.one_round():
            self._records += 1
            for seq in self._add(record):
                if self._is_whole(seq):
                    yield self._finish(seq)
            late = [seq for seq, ended in self._ended.items() if ended.closed_at < record.timestamp - SKEW_SECONDS]
            yield from self._give_up(late)
        # What a closing counts was written before it, so it was read by the end of the next round.
        yield from self._give_up([seq for seq, ended in self._ended.items() if ended.round < self._round])

    def _add(self, record: Record) -> list[int]:
        """Returns the groups that may be whole now."""
        try:
            if record.topic == self._closed:
                return self._add_closing(record)
            seq = self._add_ticket(record) if record.topic == self._prompts else self._add_scored(record)
        except DecodeError as error:
            self.unreadable += 1
            log.debug("%s[%d]@%d: %s", record.topic, record.partition, record.offset, error)
            return []
        return [] if seq is None else [seq]

    def _add_ticket(self, record: Record) -> int | None:
        ticket = decode_ticket(record)
        if ticket.run_id != self._run_id or not self._book.add_ticket(ticket, record):
            return None
        turns = PromptTurns(ticket.messages, ticket.question, ticket.sampling.temperature)
        self._turns.setdefault(ticket.seq, turns)
        return ticket.seq

    def _add_scored(self, record: Record) -> int | None:
        scored = decode_scored(record)
        if scored.rollout.run_id != self._run_id or not self._book.add_scored(scored, record):
            return None
        return scored.rollout.seq

    def _add_closing(self, record: Record) -> list[int]:
        message = decode_by_schema(record.value, record.headers)
        if not isinstance(message, GroupClosed | LineageStarted) or message.run_id != self._run_id:
            return []
        if isinstance(message, LineageStarted):
            self._lineages.add(message)
            admitted = self._lineages.admit([])
        else:
            if message.seq not in self._book.closed and not self._lineages.abandoned(message):
                self._closings.setdefault(message.seq, record.place)
            admitted = self._lineages.admit([message])
        found = [closing for closing in admitted if closing.seq not in self._book.closed]
        for closing in found:
            self._ended.setdefault(closing.seq, _Ended(closing, record.timestamp, self._round))
        return [closing.seq for closing in found]

    def _is_whole(self, seq: int) -> bool:
        group = self._book.open.get(seq)
        return seq in self._ended and seq in self._turns and group is not None and group.complete

    def _give_up(self, seqs: Collection[int]) -> Iterator[ScoredGroup]:
        """Yields groups that lack something, which will not come any more."""
        for seq in seqs:
            if seq in self._book.open:
                yield self._finish(seq)
            else:
                self.gone += 1
                self._book.closed.add(seq)
                del self._ended[seq], self._closings[seq]

    def _finish(self, seq: int) -> ScoredGroup:
        group, closing = self._book.open[seq], self._ended.pop(seq).closing
        self._book.close(group)
        self._closings.pop(seq, None)
        return scored_group(group, self._turns.pop(seq, None), closing)
