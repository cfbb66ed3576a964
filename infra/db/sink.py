"""Writes scored rollouts to Postgres, idempotently: delivering them twice has the effect of once.

Invariant: a batch is one transaction. `prompt_stats` changes only for rows of `scores` that this transaction inserted
and that have a score, and `stream_offsets` only moves forward. Therefore a batch that is delivered again after a crash,
whole or in part, changes nothing that is already counted. An infra_error (score None) is kept as a row and never
enters the statistics. Rows are locked in key order, so that replicas of the sink never deadlock.

A batch is one parameter, which Postgres unpacks, inserts and counts in one statement.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import CTE, Connection, Engine, String, func, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.count_scores import count_scores
from infra.db.json_rows import encode_rows, rows_of_parameter
from infra.db.models import Score, StreamOffset

_NUL = "\x00"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LIMITS = {
    column.name: column.type.length
    for column in Score.__table__.columns
    if isinstance(column.type, String) and column.type.length
}


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
    surprisal: float | None = None
    """Mean of -log p over the response's tokens, in nats, as in `infra.db.models.Score`."""

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:  # NaN fails this too
            raise ValueError(f"rollout {self.rollout_id}: score {self.score} is not in [0, 1]")
        if not math.isfinite(self.seconds) or not math.isfinite(self.judged or 0):
            raise ValueError(f"rollout {self.rollout_id}: seconds {self.seconds} or judged {self.judged} is not finite")
        for name, limit in _LIMITS.items():
            value: str = getattr(self, name)
            if len(value) > limit or _NUL in value:
                raise ValueError(f"{name} is longer than {limit} characters or contains NUL: {value[:limit]!r}")

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.rollout_id, self.route, self.scorer, self.scorer_version


_WHERE_READ = {"topic", "partition", "offset"}
_BATCH = "batch"
_COLUMNS = tuple(f.name for f in fields(ScoredRecord) if f.name not in _WHERE_READ)


def score_row(record: ScoredRecord) -> dict[str, object]:
    row = {name: getattr(record, name) for name in _COLUMNS}
    row["scored_at"] = datetime.fromtimestamp(record.scored_at, UTC)
    # A model may sample NUL, which Postgres cannot keep in text; the log still has the exact tokens.
    row["text"] = record.text.replace(_NUL, _REPLACEMENT)
    row["why"] = record.why.replace(_NUL, _REPLACEMENT)
    return row


def _parameters(records: Sequence[ScoredRecord]) -> dict[str, str]:
    first: dict[tuple[str, str, str, str], ScoredRecord] = {}
    for record in records:
        first.setdefault(record.key, record)
    return {_BATCH: encode_rows([score_row(first[key]) for key in sorted(first)])}


def _inserted() -> CTE:
    """Inserts the rows of the parameter `_BATCH`, in their order; its rows are those that were new."""
    statement = insert(Score).from_select(_COLUMNS, rows_of_parameter(Score, _COLUMNS, _BATCH))
    counted = Score.run_id, Score.prompt_id, Score.route, Score.score, Score.policy_version
    return statement.on_conflict_do_nothing().returning(*counted).cte("new")


def insert_new(connection: Connection, records: Sequence[ScoredRecord]) -> int:
    """Inserts the records; returns how many were new. Of duplicates within the batch, the first counts."""
    return connection.scalar(select(func.count()).select_from(_inserted()), _parameters(records)) or 0


class ScoreSink:
    """`decay` in [0, 1]: weight of a prompt's evidence after one version. `consumer_group` owns the offsets."""

    def __init__(self, engine: Engine, decay: float, consumer_group: str) -> None:
        self._engine = engine
        self._consumer_group = consumer_group
        new = _inserted()
        counted = count_scores(new, decay).cte("counted")
        self._insert_and_count = select(func.count()).select_from(new).add_cte(counted)

    def write(self, records: Sequence[ScoredRecord]) -> int:
        """Writes a batch; returns how many rows were new. Raises sqlalchemy.exc.OperationalError if the database is
        gone; nothing is written then, and the same batch may be written again.
        """
        if not records:
            return 0
        with self._engine.begin() as connection:
            new = connection.scalar(self._insert_and_count, _parameters(records)) or 0
            self._move_offsets(connection, records)
        return new

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """The next offset to read, by topic and partition; empty before the first batch."""
        query = select(StreamOffset.topic, StreamOffset.partition, StreamOffset.next_offset)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(StreamOffset.consumer_group == self._consumer_group))
            return {(topic, partition): offset for topic, partition, offset in rows}

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
