"""Writes scored rollouts to Postgres, idempotently: delivering them twice has the effect of once.

Invariant: a batch is one transaction. `prompt_stats` changes only for rows of `scores` that this transaction inserted
and that have a score, and `stream_offsets` only moves forward. Therefore a batch that is delivered again after a crash,
whole or in part, changes nothing that is already counted. An infra_error (score None) is kept as a row and never
enters the statistics. Rows are locked in key order, so that replicas of the sink never deadlock.

The scores of a batch are copied. If one of them is there already, they are one parameter, which Postgres unpacks; so
are the statistics that they change.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter, gt
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    Select,
    String,
    Update,
    and_,
    any_,
    bindparam,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from infra.db.copy_rows import copy_rows
from infra.db.json_rows import encode_rows, rows_of_parameter, without_nul
from infra.db.models import PromptStats, Score, StreamOffset
from infra.db.statistics import SHORT_TEXT, Running, comparable

_NUL = "\x00"
_LAST_INTEGER = 2**31 - 1
_FIRST_TIME, _LAST_TIME = -62_135_510_400.0, 253_402_214_400.0
"""The second day of year 1 and the last of year 9999, in Unix seconds: between them, every time is a `datetime`."""
_COLUMNS_OF_SCORES = Score.__table__.columns
_LIMITS = {
    column.name: column.type.length
    for column in _COLUMNS_OF_SCORES
    if isinstance(column.type, String) and column.type.length
}
_TEXTS_OF = attrgetter(*_LIMITS)
"""The texts with a limit, together: asking for each of them costs more than the checks."""
_INTEGERS, _FLOATS, _TIMES = (
    tuple(column.name for column in _COLUMNS_OF_SCORES if isinstance(column.type, kind))
    for kind in (Integer, Float, DateTime)
)
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
    surprisal: float | None = None
    """Mean of -log p over the response's tokens, in nats, as in `infra.db.models.Score`."""
    answer: str | None = None
    """The answer that the verifier read in the response."""
    keeps_text: bool = True
    """Whether the row keeps a text that is not short."""

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:  # NaN fails this too
            raise ValueError(f"rollout {self.rollout_id}: score {self.score} is not in [0, 1]")
        for name in _INTEGERS:
            if not -_LAST_INTEGER <= (number := getattr(self, name)) <= _LAST_INTEGER:
                raise self._not(name, number, "an integer of 32 bits")
        for name in _FLOATS:
            if (number := getattr(self, name)) is not None and not math.isfinite(number):
                raise self._not(name, number, "finite")
        for name in _TIMES:
            if not _FIRST_TIME <= (number := getattr(self, name)) <= _LAST_TIME:
                raise self._not(name, number, "a time in Unix seconds")
        texts = _TEXTS_OF(self)
        if any(map(gt, map(len, texts), _LIMITS.values())) or _NUL in "".join(texts):
            self._refuse_texts()

    def _refuse_texts(self) -> None:
        for name, limit in _LIMITS.items():
            value: str = getattr(self, name)
            if len(value) > limit or _NUL in value:
                raise ValueError(f"{name} is longer than {limit} characters or contains NUL: {value[:limit]!r}")

    def _not(self, name: str, value: float, what: str) -> ValueError:
        return ValueError(f"rollout {self.rollout_id}: {name} {value} is not {what}")

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.rollout_id, self.route, self.scorer, self.scorer_version


_NO_COLUMNS = {"topic", "partition", "offset", "keeps_text"}
_COLUMNS = tuple(f.name for f in fields(ScoredRecord) if f.name not in _NO_COLUMNS)
_STATISTICS = tuple(f.name for f in fields(Running))
_KEY = ("run_id", "prompt_id", "route")


def score_row(record: ScoredRecord) -> dict[str, object]:
    """A text that is not short is kept if the record says so and the score is a reward: a second verdict on a response
    would keep it twice.
    """
    row = {name: getattr(record, name) for name in _COLUMNS}
    row["scored_at"] = datetime.fromtimestamp(record.scored_at, UTC)
    # The log still has the exact tokens.
    kept = len(record.text) <= SHORT_TEXT or (record.keeps_text and not record.shadow)
    row["text"] = without_nul(record.text) if kept else None
    row["why"] = without_nul(record.why)
    row["answer"] = None if record.answer is None else without_nul(record.answer)
    return row


def insert_new(connection: Connection, records: Sequence[ScoredRecord]) -> list[ScoredRecord]:
    """Inserts the records; returns those that were new, in delivery order. Of duplicates within the batch, the first
    counts. Nearly always all are new, and COPY writes them; a batch that was delivered before takes the slower way.
    """
    first: dict[tuple[str, str, str, str], ScoredRecord] = {}
    for record in records:
        first.setdefault(record.key, record)
    values = [score_row(first[key]) for key in sorted(first)]
    if copy_rows(connection, Score, _COLUMNS, values):
        return list(first.values())
    rows = connection.execute(_INSERT, {"scores": encode_rows(values)})
    inserted = {tuple(row) for row in rows}
    return [record for key, record in first.items() if key in inserted]


def _insert_scores() -> Any:
    statement = insert(Score).from_select(_COLUMNS, rows_of_parameter(Score, _COLUMNS, "scores"))
    key = Score.rollout_id, Score.route, Score.scorer, Score.scorer_version
    return statement.on_conflict_do_nothing().returning(*key)


def _make_statistics() -> Insert:
    """Makes the rows of `keys` that are missing."""
    columns = (*_KEY, *_STATISTICS)
    empty = asdict(Running())
    keys = rows_of_parameter(PromptStats, _KEY, "keys").add_columns(*(literal(empty[name]) for name in _STATISTICS))
    return insert(PromptStats).from_select(columns, keys).on_conflict_do_nothing()


def _lock_statistics() -> Select[Any]:
    """Selects the rows of `keys` in key order, locked until the transaction ends."""
    keys = rows_of_parameter(PromptStats, _KEY, "keys").subquery("keys")
    same = and_(*(getattr(PromptStats, name) == keys.c[name] for name in _KEY))
    columns = [getattr(PromptStats, name) for name in (*_KEY, *_STATISTICS)]
    order = [getattr(PromptStats, name) for name in _KEY]
    return select(*columns).join(keys, same).order_by(*order).with_for_update(of=PromptStats)


def _change_statistics() -> Update:
    changed = rows_of_parameter(PromptStats, (*_KEY, *_STATISTICS), "statistics").subquery("changed")
    same = and_(*(getattr(PromptStats, name) == changed.c[name] for name in _KEY))
    values = {name: changed.c[name] for name in _STATISTICS}
    return update(PromptStats).where(same).values(values | {"updated_at": func.now()})


def _locked(connection: Connection, keys: set[StatsKey]) -> dict[StatsKey, Running]:
    """The statistics of these keys, locked until the transaction ends; missing rows are made."""
    parameter = {"keys": encode_rows([dict(zip(_KEY, key, strict=True)) for key in sorted(keys)])}
    connection.execute(_MAKE, parameter)
    return {(row[0], row[1], row[2]): Running(*row[3:]) for row in connection.execute(_LOCK, parameter)}


def _first_scored(connection: Connection, new: Sequence[ScoredRecord]) -> list[ScoredRecord]:
    """Those of the new rows that are the first with a score of their rollout and route. A rollout that is delivered
    again after its scorer was updated gets another row, and still counts once. Call it with the statistics locked: of
    two writers, the later one then sees the rows of the other.
    """
    repeated = connection.scalars(_REPEATED, {"rollouts": list({record.rollout_id for record in new})}).all()
    if not repeated:
        return list(new)
    ours = {record.key for record in new}
    key = Score.rollout_id, Score.route, Score.scorer, Score.scorer_version
    scored = Score.rollout_id.in_(repeated), Score.score.is_not(None)
    seen = {(row[0], row[1]) for row in connection.execute(select(*key).where(*scored)) if tuple(row) not in ours}
    first = []
    for record in new:
        if (record.rollout_id, record.route) not in seen:
            seen.add((record.rollout_id, record.route))
            first.append(record)
    return first


_REPEATED = (
    select(Score.rollout_id)
    .where(Score.rollout_id == any_(bindparam("rollouts", type_=ARRAY(String))), Score.score.is_not(None))
    .group_by(Score.rollout_id, Score.route)
    .having(func.count() > 1)
)
"""Rollouts with more than one score on a route, of which there are hardly any: their rows alone are read."""
_INSERT = _insert_scores()
_MAKE, _LOCK, _CHANGE = _make_statistics(), _lock_statistics(), _change_statistics()


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
        running = _locked(connection, {(record.run_id, record.prompt_id, record.route) for record in counted})
        for record in _first_scored(connection, counted):
            assert record.score is not None
            key = record.run_id, record.prompt_id, record.route
            answer = comparable(record.answer, record.text)
            answer = None if answer is None else without_nul(answer)  # as it is kept, for the next comparison
            running[key] = running[key].add(record.score, record.policy_version, self._decay, answer)
        changed = [dict(zip(_KEY, key, strict=True)) | asdict(value) for key, value in running.items()]
        connection.execute(_CHANGE, {"statistics": encode_rows(changed)})

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
