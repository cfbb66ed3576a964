"""What each run takes in the database, and how a run's rows are deleted.

Invariants
- Only the rows of the named run go. Prompts, and the references that were picked for them, belong to no run and stay.
- The run's own row goes last. A deletion that was interrupted is therefore seen, and the same call completes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, Table, delete, func, select, text

from infra.db.models import Base, PromptReference, Run

_KEPT = {Run.__tablename__, PromptReference.__tablename__}
_BLOCKS_AT_A_TIME = 4096
"""Blocks of 8 KiB per transaction: a second's work, so that other runs' sinks never wait long."""


@dataclass(frozen=True, slots=True)
class RunRows:
    """A run in the database, and the number of its rows."""

    run_id: str
    phase: str
    created_at: datetime
    finished_at: datetime | None
    groups: int
    scores: int
    bytes: int
    """An estimate: the rows' share of their tables, indexes included."""


def tables_of_runs() -> list[Table]:
    """Every table whose rows belong to a run, except for the run's own row."""
    found = [table for table in Base.metadata.sorted_tables if "run_id" in table.c and table.name not in _KEPT]
    return list(reversed(found))  # those that refer to others first


def list_runs(engine: Engine, run_id: str | None = None) -> list[RunRows]:
    """The runs, oldest first, or one of them. The cost is a count of each table's rows."""
    wanted = select(Run).order_by(Run.created_at, Run.id)
    with engine.connect() as connection:
        runs = connection.execute(wanted if run_id is None else wanted.where(Run.id == run_id)).all()
        counts: dict[str, dict[str, int]] = {}
        row_bytes: dict[str, float] = {}
        for table in tables_of_runs():
            query = select(table.c.run_id, func.count()).group_by(table.c.run_id)
            counts[table.name] = dict(connection.execute(query).tuples().all())
            size = connection.scalar(text("SELECT pg_total_relation_size(:name)"), {"name": table.name}) or 0
            row_bytes[table.name] = size / max(1, sum(counts[table.name].values()))
    return [
        RunRows(
            run_id=run.id,
            phase=run.phase,
            created_at=run.created_at,
            finished_at=run.finished_at,
            groups=counts["groups"].get(run.id, 0),
            scores=counts["scores"].get(run.id, 0),
            bytes=round(sum(rows.get(run.id, 0) * row_bytes[name] for name, rows in counts.items())),
        )
        for run in runs
    ]


def prune_run(engine: Engine, run_id: str, blocks_at_a_time: int = _BLOCKS_AT_A_TIME) -> Iterator[tuple[str, int]]:
    """Deletes the run; yields (table, rows deleted) for each table that had some. Consume it to the end."""
    for table in tables_of_runs():
        if deleted := sum(_batches(engine, table, run_id, blocks_at_a_time)):
            yield table.name, deleted
    with engine.begin() as connection:
        connection.execute(delete(Run).where(Run.id == run_id))


def vacuum(engine: Engine, tables: Sequence[str]) -> None:
    """Makes the space of deleted rows free for new ones."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in tables:
            connection.execute(text(f"VACUUM (ANALYZE) {name}"))


def _batches(engine: Engine, table: Table, run_id: str, blocks: int) -> Iterator[int]:
    """Deletes by ranges of blocks, so that the table is read once, whatever the number of its rows."""
    size = text("SELECT pg_relation_size(:name) / current_setting('block_size')::int")
    within = text("ctid >= CAST(:first AS tid) AND ctid < CAST(:last AS tid)")
    with engine.connect() as connection:
        end = connection.scalar(size, {"name": table.name}) or 0
    for first in range(0, end, blocks):
        limits = {"first": f"({first},0)", "last": f"({first + blocks},0)"}
        with engine.begin() as connection:
            yield connection.execute(delete(table).where(table.c.run_id == run_id, within), limits).rowcount
