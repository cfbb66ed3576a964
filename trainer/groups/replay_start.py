"""The start of a replay in a run's log: a group, a time, or a version.

Invariant: a replay sees a whole group or nothing of it. What comes before the start is therefore a set of groups, which
the replaying learner takes for closed, and not a set of offsets: each topic has several partitions, and a group's
verdicts come long after its ticket.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from infra.settings.tree import BrokerSettings
from streams.clients import LogReader
from streams.codec import DecodeError, decode_by_schema
from streams.messages import GroupClosed, LineageStarted, Outcome
from streams.records import Record
from streams.topics import Topic, topic_name
from streams.validate import decode_ticket
from trainer.curriculum.lineages import Lineages
from trainer.groups.replay import ReplayError
from trainer.seqset import SeqSet


@dataclass(frozen=True, slots=True)
class FromGroup:
    seq: int
    """The group's number: its offset in the order in which the run dispatched."""


@dataclass(frozen=True, slots=True)
class FromTime:
    seconds: float
    """Unix seconds, to the millisecond: records have no finer stamps."""


@dataclass(frozen=True, slots=True)
class FromVersion:
    version: int


ReplayFrom = FromGroup | FromTime | FromVersion


@dataclass(frozen=True, slots=True)
class ReplayStart:
    before: SeqSet
    """The groups that are left out."""
    lineage: int = 0
    """Lineage of the version from which the replay begins; 0 if it begins elsewhere."""


def parse_from(text: str) -> ReplayFrom:
    """`120` is a group, `v12` a version, `2026-03-01T12:00` a time, which is local unless it names its zone.

    Raises ValueError.
    """
    if text.isdecimal():
        return FromGroup(int(text))
    if text[:1] == "v" and text[1:].isdecimal():
        return FromVersion(int(text[1:]))
    try:
        return FromTime(math.floor(datetime.fromisoformat(text).timestamp() * 1000) / 1000)
    except ValueError:
        raise ValueError(
            f"{text!r} is no place in a log: give a group's number such as 120, a version such as v12, or a time such "
            "as 2026-03-01T12:00"
        ) from None


def find_start(broker: BrokerSettings, bootstrap: str, run_id: str, prefix: str, at: ReplayFrom) -> ReplayStart:
    """Raises ReplayError if the log has no such place, BrokerUnavailableError."""
    topic = Topic.GROUPS_CLOSED if isinstance(at, FromVersion) else Topic.PROMPTS
    with LogReader(broker, bootstrap, [topic_name(prefix, topic)]) as reader:
        records = reader.read_to_end()
        if isinstance(at, FromVersion):
            return after_version(records, run_id, at.version)
        return from_ticket(dispatch_times(records, run_id), run_id, at)


def dispatch_times(records: Iterable[Record], run_id: str) -> dict[int, float]:
    """When each group was dispatched, by its number, in Unix seconds of the dispatcher's clock. Of several copies of a
    ticket the first counts. What does not decode has no group.
    """
    found: dict[int, float] = {}
    for record in records:
        try:
            ticket = decode_ticket(record)
        except DecodeError:
            continue
        if ticket.run_id == run_id:
            found[ticket.seq] = min(record.timestamp, found.get(ticket.seq, record.timestamp))
    return found


def from_ticket(times: dict[int, float], run_id: str, at: FromGroup | FromTime) -> ReplayStart:
    """Raises ReplayError. `times`: as `dispatch_times` finds them."""
    if isinstance(at, FromGroup):
        if at.seq > max(times, default=-1):
            raise ReplayError(f"run {run_id} has no group {at.seq}; the log has tickets of {_range_of(times)}")
        return ReplayStart(SeqSet(at.seq))
    kept = [seq for seq, seconds in times.items() if seconds >= at.seconds]
    if not kept:
        last = datetime.fromtimestamp(max(times.values(), default=0)).astimezone().isoformat(timespec="seconds")
        raise ReplayError(f"run {run_id} dispatched nothing since then; its last ticket in the log is of {last}")
    return ReplayStart(_all_before(kept, (seq for seq, seconds in times.items() if seconds < at.seconds)))


def after_version(records: Iterable[Record], run_id: str, version: int) -> ReplayStart:
    """The groups that the run closed after it had made `version`, in the surviving history. Raises ReplayError.

    `records`: of `groups.closed`. A trained group names the version that it made, any other the one that it found.
    """
    lineages, closings = Lineages(), list[GroupClosed]()
    for record in records:
        try:
            message = decode_by_schema(record.value, record.headers)
        except DecodeError:
            continue
        if isinstance(message, LineageStarted) and message.run_id == run_id:
            lineages.add(message)
        elif isinstance(message, GroupClosed) and message.run_id == run_id:
            closings.append(message)
    surviving = [closing for closing in closings if lineages.admits(closing)]
    newest = max((closing.version for closing in surviving), default=0)
    if version > newest:
        raise ReplayError(f"run {run_id} has made no version {version}; the newest that closed a group is {newest}")
    earlier = [closing.seq for closing in surviving if not _is_after(closing, version)]
    kept = [closing.seq for closing in surviving if _is_after(closing, version)]
    kept = kept or [1 + max(earlier, default=-1)]  # groups that no version has closed yet
    lineage = max((closing.lineage for closing in surviving if closing.version == version), default=0)
    return ReplayStart(_all_before(kept, earlier), lineage)


def _is_after(closing: GroupClosed, version: int) -> bool:
    """Whether the learner held the version when it took up the group."""
    return closing.version - (closing.outcome is Outcome.TRAINED) >= version


def _all_before(kept: Iterable[int], left_out: Iterable[int]) -> SeqSet:
    """Every group below the first that is kept, of which the log may hold nothing, and those that are left out."""
    return SeqSet.of(min(kept), left_out)


def _range_of(times: dict[int, float]) -> str:
    return f"{min(times)} to {max(times)}" if times else "no group"
