"""Writes scored rollouts to Postgres, idempotently: delivering them twice has the effect of once.

Invariant: a batch is one transaction. `prompt_stats` changes only for rows of `scores` that this transaction inserted
and that have a score, and `stream_offsets` only moves forward. Therefore a batch that is delivered again after a crash,
whole or in part, changes nothing that is already counted. An infra_error (score None) is kept as a row and never
enters the statistics. Rows are locked in key order, so that replicas of the sink never deadlock.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, String, bindparam, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import PromptStats, Score, StreamOffset
from infra.db.statistics import Running

_NUL = "\x00"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LIMITS = {
    column.name: column.type.length
    for column in Score.__table__.columns
    if isinstance(column.type, String) and column.type.length
}
StatsKey = tuple[str, str, str]
"""run_id, prompt_id, route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRecord:
    """One record of the topic `scored`: where it was read, and the plain fields of a row of `scores`.

    Raises ValueError if it can never be stored; the caller sends such a record to the dead letters.
    """

    topic: str
    partition: int
    offset: int
    rollout_id: str
    route: str
    scorer: str
    scorer_version: str
    run_id: str
    group_id: str
    prompt_id: str
    domain: str
    purpose: str
    policy_version: int
    score: float | None
    """In [0, 1]; None for infra_error."""
    status: str
    why: str
    text: str
    response_tokens: int
    seconds: float
    scored_at: float
    """Unix seconds."""
    shadow: bool = False
    """Whether the score is not a reward, as in `infra.db.models.Score`."""
    judged: float | None = None
    """The judge's own score, if a veto overrode it."""

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:  # NaN fails this too
            raise ValueError(f"rollout {self.rollout_id}: score {self.score} is not in [0, 1]")
        for name, limit in _LIMITS.items():
            value: str = getattr(self, name)
            if len(value) > limit or _NUL in value:
                raise ValueError(f"{name} is longer than {limit} characters or contains NUL: {value[:limit]!r}")

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.rollout_id, self.route, self.scorer, self.scorer_version


_KEY = (PromptStats.run_id, PromptStats.prompt_id, PromptStats.route)
_WHERE_READ = {"topic", "partition", "offset"}
_COLUMNS = tuple(f.name for f in fields(ScoredRecord) if f.name not in _WHERE_READ)
_MOVE = (
    update(PromptStats.__table__)  # type: ignore[arg-type]  # a declarative class's table is a Table
    .where(
        PromptStats.run_id == bindparam("_run_id"),
        PromptStats.prompt_id == bindparam("_prompt_id"),
        PromptStats.route == bindparam("_route"),
    )
    .values({name: bindparam(name) for name in asdict(Running())} | {"updated_at": func.now()})
)


def _score_row(record: ScoredRecord) -> dict[str, object]:
    row = {name: getattr(record, name) for name in _COLUMNS}
    row["scored_at"] = datetime.fromtimestamp(record.scored_at, UTC)
    # A model may sample NUL, which Postgres cannot keep in text; the log still has the exact tokens.
    row["text"] = record.text.replace(_NUL, _REPLACEMENT)
    row["why"] = record.why.replace(_NUL, _REPLACEMENT)
    return row


def insert_new(connection: Connection, records: Sequence[ScoredRecord]) -> list[ScoredRecord]:
    """Inserts the records; returns those that were new, in delivery order. Of duplicates within the batch, the first
    counts.
    """
    first: dict[tuple[str, str, str, str], ScoredRecord] = {}
    for record in records:
        first.setdefault(record.key, record)
    statement = insert(Score).on_conflict_do_nothing()
    returning = statement.returning(Score.rollout_id, Score.route, Score.scorer, Score.scorer_version)
    rows = connection.execute(returning, [_score_row(first[key]) for key in sorted(first)])
    inserted = {tuple(row) for row in rows}
    return [record for key, record in first.items() if key in inserted]


class ScoreSink:
    """`decay` in [0, 1]: weight of a prompt's evidence after one version. `consumer_group` owns the offsets."""

    def __init__(self, engine: Engine, decay: float, consumer_group: str) -> None:
        self._engine = engine
        self._decay = decay
        self._consumer_group = consumer_group

    def write(self, records: Sequence[ScoredRecord]) -> int:
        """Writes a batch; returns how many rows were new. Raises sqlalchemy.exc.OperationalError if the database is
        gone; nothing is written then, and the same batch may be written again.
        """
        if not records:
            return 0
        with self._engine.begin() as connection:
            new = insert_new(connection, records)
            self._move_statistics(connection, new)
            self._move_offsets(connection, records)
        return len(new)

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """The next offset to read, by topic and partition; empty before the first batch."""
        query = select(StreamOffset.topic, StreamOffset.partition, StreamOffset.next_offset)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(StreamOffset.consumer_group == self._consumer_group))
            return {(topic, partition): offset for topic, partition, offset in rows}

    def _move_statistics(self, connection: Connection, new: Sequence[ScoredRecord]) -> None:
        counted = [record for record in new if record.score is not None]
        if not counted:
            return
        running = self._lock_statistics(
            connection, sorted({(record.run_id, record.prompt_id, record.route) for record in counted})
        )
        for record in counted:
            assert record.score is not None
            key = record.run_id, record.prompt_id, record.route
            running[key] = running[key].add(record.score, record.policy_version, self._decay)
        connection.execute(
            _MOVE,
            [
                {"_run_id": run_id, "_prompt_id": prompt_id, "_route": route, **asdict(value)}
                for (run_id, prompt_id, route), value in running.items()
            ],
        )

    def _lock_statistics(self, connection: Connection, keys: Sequence[StatsKey]) -> dict[StatsKey, Running]:
        """The statistics of these keys, locked until the transaction ends; missing rows are made."""
        empty = asdict(Running())
        connection.execute(
            insert(PromptStats).on_conflict_do_nothing(),
            [{"run_id": run_id, "prompt_id": prompt_id, "route": route, **empty} for run_id, prompt_id, route in keys],
        )
        rows = connection.execute(
            select(*_KEY, *(getattr(PromptStats, name) for name in empty))
            .where(tuple_(*_KEY).in_(keys))
            .order_by(*_KEY)
            .with_for_update()
        )
        return {(row[0], row[1], row[2]): Running(*row[3:]) for row in rows}

    def _move_offsets(self, connection: Connection, records: Sequence[ScoredRecord]) -> None:
        following: dict[tuple[str, int], int] = {}
        for record in records:
            where = record.topic, record.partition
            following[where] = max(following.get(where, 0), record.offset + 1)
        statement = insert(StreamOffset)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["consumer_group", "topic", "partition"],
                set_={"next_offset": statement.excluded.next_offset},
                where=StreamOffset.next_offset < statement.excluded.next_offset,
            ),
            [
                {"consumer_group": self._consumer_group, "topic": topic, "partition": partition, "next_offset": offset}
                for (topic, partition), offset in sorted(following.items())
            ],
        )
