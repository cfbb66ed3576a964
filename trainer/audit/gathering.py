"""Gathers the evidence of an audit: a run's log and its rows in Postgres go through here into the spool.

Invariant: rows are read before the log and again after it, so that a run in progress is judged only by what must be
there already. A ticket that was confirmed before the log was read must be in the log, and a ticket in the log must have
its row after the log was read. Nothing is compared by clocks.

Memory: in memory are only the claims of lineages, one per start of a learner, and the numbers of dead letters by class.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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
    Rollout,
    ScoredTrajectory,
    group_id,
)
from streams.records import Record, RecordPlace, TopicPartition
from streams.route_headers import route_of
from streams.topics import Topic, topic_name
from streams.validate import check_rollout
from trainer.audit.contents import AuditedScore, differing_statistics, score_rows
from trainer.audit.evidence import (
    NO_GROUP,
    AuditedGroup,
    AuditedRun,
    Evidence,
    RolloutCopy,
    RowAfter,
    RowBefore,
    TicketCopy,
    VerdictCopy,
    digest,
    lineages_of,
)
from trainer.audit.spool import EvidenceSpool

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
class LogSummary:
    """What a log says beside its groups."""

    starts: list[LineageStarted] = field(default_factory=list)
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Number of dead letters by stage and error class."""


def gather(run_id: str, engine: Engine, reader: LogReader, spool: EvidenceSpool) -> Evidence:
    """Reads a run's rows, its log, and its rows again. Raises LookupError if the database has no such run."""
    for row in _group_rows(engine, run_id):
        spool.add(row.seq, RowBefore(row))
    sunk = _sink_offsets(engine)
    gone = Counter[str]()
    for place, offset in reader.first_offsets().items():
        gone[bare_topic(place.topic)] += offset
    log = read_log(run_id, reader.read_to_end(), sunk, spool)
    last = None
    for row in _group_rows(engine, run_id):
        spool.add(row.seq, RowAfter(row))
        last = later_lineage(last, row)
    with engine.connect() as connection:
        run = connection.execute(select(Run.finished_at).where(Run.id == run_id)).one_or_none()
        if run is None:
            raise LookupError(f"run {run_id!r} is not in this database")
        finished = run.finished_at is not None
        statistics = differing_statistics(connection, run_id) if finished else []
    for score in score_rows(engine, run_id):
        add_score(run_id, score, spool)
    lineages = lineages_of(log.starts, last if finished else None)
    gone = Counter({topic: count for topic, count in gone.items() if count})
    return Evidence(AuditedRun(run_id, finished, lineages), spool, gone, log.dead_letters, statistics)


def later_lineage(last: int | None, row: AuditedGroup) -> int | None:
    """The higher of `last` and the lineage that closed the row's group, so far as there are any."""
    return max((each for each in (last, row.closed_lineage) if each is not None), default=None)


def bare_topic(name: str) -> str:
    """The topic without the run's prefix."""
    return next((str(topic) for topic in READ if name.endswith(topic)), name)


def audit_topics(prefix: str) -> list[str]:
    """Names of the topics that the audit reads, for its LogReader."""
    return [topic_name(prefix, topic) for topic in READ]


def read_log(
    run_id: str, records: Iterable[Record], sunk: Mapping[TopicPartition, int], spool: EvidenceSpool
) -> LogSummary:
    """Reduces the records of a log to evidence about one run, most of it in the spool.

    `sunk` is the sink's next offset by topic and partition. Verdicts below it must be in Postgres, unless they are in
    the dead letters.
    """
    log = LogSummary()
    for record in records:
        if record.topic.endswith(Topic.DEAD_LETTERS):
            letter = parse(record)
            place = RecordPlace(TopicPartition(letter.topic, letter.partition), letter.offset)
            spool.set_aside(name_of(place), digest(record.value or b""))
            log.dead_letters[f"{letter.stage}/{letter.error_class}"] += 1
            continue
        try:
            message = _decode(record)
        except DecodeError as error:
            spool.add_unreadable(name_of(record.place), str(error), digest(record.value or b""))
            continue
        if _run_of(message) == run_id:
            _add_message(log, spool, record, message, is_sunk=record.offset < sunk.get(record.source, 0))
    return log


def name_of(place: RecordPlace) -> str:
    return f"{place.partition.topic}[{place.partition.partition}]@{place.offset}"


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


def _add_message(log: LogSummary, spool: EvidenceSpool, record: Record, message: object, *, is_sunk: bool) -> None:
    match message:
        case PromptTicket():
            spool.add(message.seq, TicketCopy(message.group_id, digest(record.value or b"")))
        case Rollout():
            spool.add(message.seq, RolloutCopy(message.index, message.group_size))
        case GroupClosed():
            spool.add(message.seq, message)
        case LineageStarted():
            log.starts.append(message)
        case ScoredTrajectory():
            place = name_of(record.place) if is_sunk else None
            spool.add(message.rollout.seq, _verdict_copy(message, record.partition), place)


def _verdict_copy(scored: ScoredTrajectory, partition: int) -> VerdictCopy:
    rollout = scored.rollout
    return VerdictCopy(
        index=rollout.index,
        size=rollout.group_size,
        partition=partition,
        route=str(scored.route),
        scorer=scored.scorer,
        scorer_version=scored.scorer_version,
        score=scored.score,
        status=str(scored.status),
        is_asked=scored.route is route_of(rollout.question),
        oldest=min((span.version for span in rollout.spans), default=None),
    )


def add_score(run_id: str, row: AuditedScore, spool: EvidenceSpool) -> None:
    """Spools a row of `scores` with its group, if its group is one of the run's."""
    number = row.group_id.rpartition(":")[2]
    seq = int(number) if number.isdecimal() and len(number) < len(str(2**63)) else NO_GROUP
    spool.add(seq if row.group_id == group_id(run_id, seq) else NO_GROUP, row)


def outcomes_by_purpose(engine: Engine, run_id: str) -> dict[str, dict[str, int]]:
    """Number of groups in Postgres by purpose and outcome; `open` means no outcome."""
    outcome = func.coalesce(Group.outcome, "open")
    query = select(Group.purpose, outcome, func.count()).where(Group.run_id == run_id)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with engine.connect() as connection:
        for purpose, name, count in connection.execute(query.group_by(Group.purpose, outcome)):
            found[purpose][name] = count
    return dict(found)


def _group_rows(engine: Engine, run_id: str) -> Iterator[AuditedGroup]:
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
        for row in connection.execution_options(yield_per=_BATCH).execute(query):
            yield AuditedGroup(*row)


def _sink_offsets(engine: Engine) -> dict[TopicPartition, int]:
    query = select(StreamOffset.topic, StreamOffset.partition, func.max(StreamOffset.next_offset))
    with engine.connect() as connection:
        rows = connection.execute(query.group_by(StreamOffset.topic, StreamOffset.partition))
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
