"""The evidence about one group: its records in the log and its rows in Postgres, reduced to what the rules need. Pure.

Invariant: a group's evidence is folded from its items alone, in the order in which they were read, and no item holds
text or tokens. A group with many copies of its records costs no more than one without, as long as they are sound.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from streams.messages import GroupClosed, LineageStarted, Status, group_id, rollout_id
from trainer.audit.contents import AuditedScore, Difference, Found, VerdictKey
from trainer.audit.spool import EvidenceSpool, Spooled
from trainer.curriculum.lineages import Lineages

NO_GROUP = -1
"""The seq of rows whose group id is none of the run's: nothing in the log belongs to them."""


class TicketCopy(msgspec.Struct, frozen=True, array_like=True):
    group_id: str
    digest: bytes


class RolloutCopy(msgspec.Struct, frozen=True, array_like=True):
    index: int
    size: int
    """The group's size, as the rollout names it."""


class VerdictCopy(msgspec.Struct, frozen=True, array_like=True):
    index: int
    size: int
    partition: int
    route: str
    scorer: str
    scorer_version: str
    score: float | None
    status: str
    is_asked: bool
    """Whether it comes from the question's own route."""
    oldest: int | None
    """Lowest policy version of its tokens."""


@dataclass(frozen=True, slots=True)
class AuditedGroup:
    seq: int
    group_id: str
    purpose: str
    samples: int
    confirmed: bool
    digest: bytes
    outcome: str | None
    closed_lineage: int | None
    closed_ordinal: int | None
    closed_version: int | None = None
    staleness: int | None = None
    mean_score: float | None = None


class RowBefore(msgspec.Struct, frozen=True, array_like=True):
    """A row of `groups`, before the log was read."""

    row: AuditedGroup


class RowAfter(msgspec.Struct, frozen=True, array_like=True):
    """A row of `groups`, after the log was read."""

    row: AuditedGroup


KINDS = (TicketCopy, RolloutCopy, VerdictCopy, GroupClosed, RowBefore, RowAfter, AuditedScore)
"""The kinds of items in the spool."""


@dataclass(slots=True)
class GroupLog:
    """The records of one group in the log, except for its ticket and its closing."""

    rollouts: Counter[int] = field(default_factory=Counter)
    """Number of copies by sample index."""
    sizes: set[int] = field(default_factory=set)
    """Group sizes that its rollouts and verdicts name."""
    oldest: int | None = None
    """Lowest policy version of a token of the verdicts that count."""
    verdicts: dict[int, float | None] = field(default_factory=dict)
    """Maps a sample index to the score of the first verdict on the question's own route."""
    said: dict[VerdictKey, list[Found]] = field(default_factory=dict)
    """The first verdict of each key, by the order of its partition, and those in other partitions: a group has moved if
    partitions were added, and the log has no order between them.
    """
    partitions: set[int] = field(default_factory=set)
    """The partitions that hold its verdicts."""
    stored: set[VerdictKey] = field(default_factory=set)
    """Verdicts that the sink must have written, by its stored offsets."""
    copies: int = 0
    """Number of its records in `scored`."""
    bad_verdicts: list[str] = field(default_factory=list)
    """What is wrong with a verdict: a score for an infra_error, or none for another status."""

    @property
    def is_empty(self) -> bool:
        return not self.rollouts and not self.copies

    def add_rollout(self, copy: RolloutCopy) -> None:
        self.rollouts[copy.index] += 1
        self.sizes.add(copy.size)

    def add_verdict(self, group: str, copy: VerdictCopy, *, is_stored: bool) -> None:
        """`is_stored`: whether the sink must have written this record."""
        rollout = rollout_id(group, copy.index)
        key = rollout, copy.route, copy.scorer, copy.scorer_version
        found = Found(copy.score, copy.status)
        self.copies += 1
        self.sizes.add(copy.size)
        self.partitions.add(copy.partition)
        said = self.said.setdefault(key, [])
        if not said or (len(self.partitions) > 1 and found not in said):
            said.append(found)
        if (copy.score is None) != (copy.status == Status.INFRA_ERROR.value):
            self.bad_verdicts.append(f"verdict on {rollout}: {copy.status} with score {copy.score}")
        if copy.is_asked and copy.index not in self.verdicts:
            self.verdicts[copy.index] = copy.score
            versions = [version for version in (self.oldest, copy.oldest) if version is not None]
            self.oldest = min(versions, default=None)
        if is_stored:
            self.stored.add(key)


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """What the rules need to know of the run."""

    run_id: str
    finished: bool
    lineages: Lineages
    """Without those that were started after the run had finished."""


@dataclass(slots=True)
class GroupEvidence:
    """What log and Postgres hold on one group. Everything may be missing."""

    run: AuditedRun
    seq: int
    group_id: str
    previous: int
    """The seq of the row in Postgres before it, or -1."""
    rank: int
    """Number of rows in Postgres with a lower seq."""
    before: AuditedGroup | None = None
    after: AuditedGroup | None = None
    tickets: int = 0
    """Number of copies of its ticket."""
    ticket_id: str = ""
    """The group id that its first ticket names."""
    digests: set[bytes] = field(default_factory=set)
    """Digests of its ticket's bytes; a sound log has one, however often the ticket was produced."""
    log: GroupLog = field(default_factory=GroupLog)
    closings: list[GroupClosed] = field(default_factory=list)
    surviving: list[GroupClosed] = field(default_factory=list)
    """Sorted by ordinal; a sound history has one. A closing that was read twice counts once."""
    scores: list[AuditedScore] = field(default_factory=list)
    """Its rows of `scores`, without those of a rescore."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run's evidence: in the spool what grows with the run, here what does not."""

    run: AuditedRun
    spool: EvidenceSpool
    gone: Mapping[str, int]
    """Number of records that the log no longer holds, by topic without the prefix."""
    dead_letters: Counter[str]
    """Number of dead letters by stage and error class."""
    statistics: list[Difference]
    """Prompts whose statistics differ from their rows."""


def lineages_of(starts: Iterable[LineageStarted], last: int | None) -> Lineages:
    """The lineages of a run. `last`: the highest lineage that a finished run's rows name, or None."""
    return Lineages.of(start for start in starts if last is None or start.lineage <= last)


def fold(run: AuditedRun, seq: int, items: Iterable[Spooled], previous: int = -1, rank: int = 0) -> GroupEvidence:
    """The evidence of a group from its items, in the order in which they were read."""
    group = GroupEvidence(run, seq, group_id(run.run_id, seq), previous, rank)
    for item, place in items:
        match item:
            case VerdictCopy():
                group.log.add_verdict(group.group_id, item, is_stored=place is not None)
            case AuditedScore():
                group.scores.append(item)
            case RolloutCopy():
                group.log.add_rollout(item)
            case TicketCopy():
                group.ticket_id = group.ticket_id or item.group_id
                group.tickets += 1
                group.digests.add(item.digest)
            case GroupClosed():
                group.closings.append(item)
            case RowBefore():
                group.before = item.row
            case RowAfter():
                group.after = item.row
    group.surviving = _surviving(run.lineages, group.closings)
    return group


def _surviving(lineages: Lineages, closings: Iterable[GroupClosed]) -> list[GroupClosed]:
    unique = {
        (closing.lineage, closing.ordinal, closing.outcome): closing for closing in closings if lineages.admits(closing)
    }
    return sorted(unique.values(), key=lambda closing: (closing.ordinal, closing.lineage))


def digest(raw: bytes) -> bytes:
    """SHA-256, as in `Group.ticket_digest`."""
    return hashlib.sha256(raw).digest()
