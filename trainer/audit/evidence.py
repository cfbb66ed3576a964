"""The evidence of an audit: a run's log and its rows in Postgres, reduced to what the rules need.

Invariant: rows are read before the log and again after it, so that a run in progress is judged only by what must be
there already. A ticket that was confirmed before the log was read must be in the log, and a ticket in the log must have
its row after the log was read. Nothing is compared by clocks.

Memory: one small object per group and per verdict, some hundred bytes each; no text, no tokens, and no ticket, of
which Postgres keeps the digest.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from sqlalchemy import Engine, func, select

from infra.db.models import Group, Run, StreamOffset
from streams.clients import LogReader
from streams.codec import DecodeError, decode, decode_by_schema
from streams.dead_letters import parse
from streams.messages import (
    GroupClosed,
    LineageStarted,
    PromptTicket,
    Purpose,
    Rollout,
    ScoredTrajectory,
    Status,
)
from streams.records import Record, RecordPlace, TopicPartition
from streams.route_headers import route_of
from streams.topics import Topic, topic_name
from streams.validate import check_rollout
from trainer.audit.contents import (
    Difference,
    Found,
    ScoreComparison,
    VerdictKey,
    compare_scores,
    differing_statistics,
    score_rows,
)

READ = (Topic.PROMPTS, Topic.ROLLOUTS, Topic.SCORED, Topic.GROUPS_CLOSED, Topic.DEAD_LETTERS)
"""The topics to read. Those of the scorers' requests are left out, since they repeat the rollouts."""


_SCHEMAS: dict[Topic, type[msgspec.Struct]] = {
    Topic.PROMPTS: PromptTicket,
    Topic.ROLLOUTS: Rollout,
    Topic.SCORED: ScoredTrajectory,
}
"""The topics of one schema."""
_BATCH = 2000
"""Rows per round trip to the database."""


@dataclass(slots=True)
class TicketSeen:
    group_id: str
    purpose: Purpose
    samples: int
    digests: set[bytes] = field(default_factory=set)
    """Digests of its bytes; a sound log has one, however often the ticket was produced."""
    copies: int = 0


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


@dataclass(slots=True)
class LogEvidence:
    tickets: dict[int, TicketSeen] = field(default_factory=dict)
    groups: dict[str, GroupLog] = field(default_factory=lambda: defaultdict(GroupLog))
    closings: list[GroupClosed] = field(default_factory=list)
    starts: list[LineageStarted] = field(default_factory=list)
    bad_verdicts: list[tuple[str, str]] = field(default_factory=list)
    """(group, what is wrong): a score for an infra_error, or none for another status."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(place in the log, error) of records that neither decode nor are in the dead letters."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Number of dead letters by stage and error class."""
    gone: dict[str, int] = field(default_factory=dict)
    """Number of records that the log no longer holds, by topic without the prefix."""


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


@dataclass(frozen=True, slots=True)
class DatabaseEvidence:
    phase: str
    finished_at: datetime | None
    before: dict[int, AuditedGroup]
    """Groups by seq, before the log was read."""
    after: dict[int, AuditedGroup]
    """Groups by seq, after the log was read."""
    scores: ScoreComparison
    """The rows of `scores`, without those of a rescore, compared with the log."""
    statistics: list[Difference]
    """Prompts whose statistics differ from their rows."""


def gather(run_id: str, engine: Engine, reader: LogReader) -> tuple[LogEvidence, DatabaseEvidence]:
    """Reads a run's rows, its log, and its rows again. Raises LookupError if the database has no such run."""
    before, sunk = _group_rows(engine, run_id), _sink_offsets(engine)
    gone = Counter[str]()
    for place, offset in reader.first_offsets().items():
        gone[bare_topic(place.topic)] += offset
    log = read_log(run_id, reader.read_to_end(), sunk)
    log.gone = {topic: count for topic, count in gone.items() if count}
    after = _group_rows(engine, run_id)
    with engine.connect() as connection:
        run = connection.execute(select(Run.phase, Run.finished_at).where(Run.id == run_id)).one_or_none()
        if run is None:
            raise LookupError(f"run {run_id!r} is not in this database")
        statistics = differing_statistics(connection, run_id) if run.finished_at is not None else []
    said = {group: found.said for group, found in log.groups.items()}
    scores = compare_scores(said, score_rows(engine, run_id))
    if run.finished_at is None:  # rows of verdicts that were written after the log was read
        scores.differences = [each for each in scores.differences if each[0] != "row_without_verdict"]
    return log, DatabaseEvidence(run.phase, run.finished_at, before, after, scores, statistics)


def bare_topic(name: str) -> str:
    """The topic without the run's prefix."""
    return next((str(topic) for topic in READ if name.endswith(topic)), name)


def audit_topics(prefix: str) -> list[str]:
    """Names of the topics that the audit reads, for its LogReader."""
    return [topic_name(prefix, topic) for topic in READ]


def read_log(run_id: str, records: Iterable[Record], sunk: Mapping[TopicPartition, int]) -> LogEvidence:
    """Reduces the records of a log to evidence about one run.

    `sunk` is the sink's next offset by topic and partition. Verdicts below it must be in Postgres, unless they are in
    the dead letters.
    """
    log = LogEvidence()
    dead_places: set[RecordPlace] = set()
    dead_values: set[bytes] = set()
    unread: dict[RecordPlace, tuple[str, bytes]] = {}
    written: list[tuple[RecordPlace, str, VerdictKey]] = []
    for record in records:
        if record.topic.endswith(Topic.DEAD_LETTERS):
            letter = parse(record)
            dead_places.add(RecordPlace(TopicPartition(letter.topic, letter.partition), letter.offset))
            dead_values.add(digest(record.value or b""))
            log.dead_letters[f"{letter.stage}/{letter.error_class}"] += 1
            continue
        try:
            message = _decode(record)
        except DecodeError as error:
            unread[record.place] = str(error), digest(record.value or b"")
            continue
        if _run_of(message) == run_id:
            _add_message(log, record, message)
            if isinstance(message, ScoredTrajectory) and record.offset < sunk.get(record.source, 0):
                written.append((record.place, message.rollout.group_id, _key(message)))
    for place, group, key in written:
        if place not in dead_places:
            log.groups[group].stored.add(key)
    log.unreadable = [
        (f"{place.partition.topic}[{place.partition.partition}]@{place.offset}", why)
        for place, (why, value) in unread.items()
        # the router passes bodies on unread, so a dead letter may name another topic than that of the record here
        if place not in dead_places and value not in dead_values
    ]
    return log


def _decode(record: Record) -> msgspec.Struct:
    """Raises DecodeError where the services set a record aside: headers do not matter in a topic of one schema."""
    for topic, kind in _SCHEMAS.items():
        if record.topic.endswith(topic):
            message = decode(record.value, kind)
            if isinstance(message, Rollout):
                check_rollout(message)
            elif isinstance(message, ScoredTrajectory):
                check_rollout(message.rollout)
            return message
    return decode_by_schema(record.value, record.headers)


def _run_of(message: object) -> str | None:
    scored = message.rollout if isinstance(message, ScoredTrajectory) else message
    return getattr(scored, "run_id", None)


def _add_message(log: LogEvidence, record: Record, message: object) -> None:
    match message:
        case PromptTicket():
            seen = log.tickets.setdefault(message.seq, TicketSeen(message.group_id, message.purpose, message.samples))
            seen.digests.add(digest(record.value or b""))
            seen.copies += 1
        case Rollout():
            group = log.groups[message.group_id]
            group.rollouts[message.index] += 1
            group.sizes.add(message.group_size)
        case GroupClosed():
            log.closings.append(message)
        case LineageStarted():
            log.starts.append(message)
        case ScoredTrajectory():
            _add_verdict(log, message, record.partition)


def _add_verdict(log: LogEvidence, scored: ScoredTrajectory, partition: int) -> None:
    rollout = scored.rollout
    group = log.groups[rollout.group_id]
    group.copies += 1
    group.sizes.add(rollout.group_size)
    group.partitions.add(partition)
    said = group.said.setdefault(_key(scored), [])
    if not said or len(group.partitions) > 1:
        said.append(Found(scored.score, str(scored.status)))
    if (scored.score is None) != (scored.status is Status.INFRA_ERROR):
        what = f"verdict on {rollout.rollout_id}: {scored.status} with score {scored.score}"
        log.bad_verdicts.append((rollout.group_id, what))
    if scored.route is route_of(rollout.question) and rollout.index not in group.verdicts:
        group.verdicts[rollout.index] = scored.score
        versions = [span.version for span in rollout.spans]
        group.oldest = min(versions if group.oldest is None else [*versions, group.oldest], default=None)


def _key(scored: ScoredTrajectory) -> VerdictKey:
    return scored.rollout.rollout_id, str(scored.route), scored.scorer, scored.scorer_version


def digest(raw: bytes) -> bytes:
    """SHA-256, as in `Group.ticket_digest`."""
    return hashlib.sha256(raw).digest()


def outcomes_by_purpose(engine: Engine, run_id: str) -> dict[str, dict[str, int]]:
    """Number of groups in Postgres by purpose and outcome; `open` means no outcome."""
    outcome = func.coalesce(Group.outcome, "open")
    query = select(Group.purpose, outcome, func.count()).where(Group.run_id == run_id)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with engine.connect() as connection:
        for purpose, name, count in connection.execute(query.group_by(Group.purpose, outcome)):
            found[purpose][name] = count
    return dict(found)


def _group_rows(engine: Engine, run_id: str) -> dict[int, AuditedGroup]:
    query = select(
        Group.seq,
        Group.group_id,
        Group.purpose,
        Group.samples,
        Group.confirmed,
        Group.ticket_digest,
        Group.outcome,
        Group.closed_lineage,
        Group.closed_ordinal,
        Group.closed_version,
        Group.staleness,
        Group.mean_score,
    ).where(Group.run_id == run_id)
    with engine.connect() as connection:
        rows = connection.execution_options(yield_per=_BATCH).execute(query)
        return {row.seq: AuditedGroup(*row) for row in rows}


def _sink_offsets(engine: Engine) -> dict[TopicPartition, int]:
    query = select(StreamOffset.topic, StreamOffset.partition, func.max(StreamOffset.next_offset))
    with engine.connect() as connection:
        rows = connection.execute(query.group_by(StreamOffset.topic, StreamOffset.partition))
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
