"""Writes prompts from dataset files into Postgres.

Invariants:
- Ingesting a file twice has the same effect as once, since a prompt's id is the hash of its content.
- A prompt never changes its split: a train prompt cannot become held out, nor the reverse.
- References that were picked, and a route that was chosen, after the first ingestion stay
  (`trainer.prompts.rerouting`); so does a skill that a later file does not name.
- Memory holds two batches of rows, however large the file is: one is written while the next is read.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ARRAY, Connection, Engine, String, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.copy_rows import copy_rows
from infra.db.json_rows import encode_rows, rows_of_parameter
from infra.db.models import Prompt, RunPrompt
from streams.messages import Question
from trainer.prompts.dataset import Defaults, PromptRow, Rejection, RowParser, read_dataset
from trainer.prompts.dataset_counts import DatasetCounts
from trainer.prompts.rejected_rows import RejectedRows

T = TypeVar("T")

_BATCH = 1000
"""Rows per transaction, so that a million prompts take a thousand round trips."""


@dataclass(slots=True)
class IngestReport(DatasetCounts):
    new: int = 0
    known: int = 0
    """Prompts that were in the database already, or earlier in the file."""

    @property
    def by_domain(self) -> dict[str, int]:
        """Accepted prompts, known ones included."""
        found: dict[str, int] = {}
        for (_, domain, _), count in self.kinds.items():
            found[domain] = found.get(domain, 0) + count
        return found


def ingest(
    engine: Engine,
    path: Path,
    defaults: Defaults,
    rejected_to: RejectedRows | Path | None = None,
    run_id: str | None = None,
) -> IngestReport:
    """Reads `path` into the table `prompts`.

    Bad rows are reported, and written to `rejected_to` if it is given; the other rows go in. With `run_id`, that run
    draws its prompts only from those that were ingested with its id. Raises DatasetError if the file cannot be read;
    the rows before the failure stay.
    """
    parser = RowParser(defaults)
    rejected = rejected_to if isinstance(rejected_to, RejectedRows) else RejectedRows(rejected_to)
    report = _ingest(engine, read_dataset(path, defaults, parser), str(path), rejected, run_id)
    report.finish(parser, rejected)
    return report


def ingest_rows(
    engine: Engine, rows: Iterable[PromptRow], name: str = "rows", run_id: str | None = None
) -> IngestReport:
    """Like `ingest`, for rows in memory."""
    rejected = RejectedRows(None)
    report = _ingest(engine, enumerate(rows, start=1), name, rejected, run_id)
    report.finish(None, rejected)
    return report


def _ingest(
    engine: Engine,
    rows: Iterable[tuple[int, PromptRow | Rejection]],
    name: str,
    rejected: RejectedRows,
    run_id: str | None,
) -> IngestReport:
    report = IngestReport(name)
    with rejected, ThreadPoolExecutor(1, "ingest") as writer:
        written: Future[None] | None = None
        for chunk in _chunks(rows):
            if written is not None:
                written.result()
            written = writer.submit(_write_chunk, engine, report, rejected, chunk, run_id)
        if written is not None:
            written.result()
    return report


def _write_chunk(
    engine: Engine,
    report: IngestReport,
    rejected: RejectedRows,
    chunk: Sequence[tuple[int, PromptRow | Rejection]],
    run_id: str | None,
) -> None:
    batch = _Batch(report)
    with engine.begin() as connection:
        batch.existing = _existing(connection, {row.id for _, row in chunk if isinstance(row, PromptRow)})
        for line, row in chunk:
            rejection = row if isinstance(row, Rejection) else batch.add(line, row)
            if rejection is not None:
                rejected.add(rejection)
        _write(connection, batch)
        _link(connection, run_id, list(batch.values))


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, _BATCH)):
        yield chunk


@dataclass(frozen=True, slots=True)
class _Known:
    """A prompt that is in the database, or earlier in the batch."""

    split: str
    references: tuple[str, ...]
    rerouted: bool
    verifier: str | None
    veto: str | None

    def merge(self, new: Question) -> Question:
        """`new`, with the references and the route that were decided since the first ingestion."""
        if self.references and not new.references:
            new = msgspec.structs.replace(new, references=self.references)
        if self.rerouted:
            new = msgspec.structs.replace(new, verifier=self.verifier, veto=self.veto)
        return new


@dataclass(slots=True)
class _Batch:
    """The rows of one transaction. Of rows with the same prompt, the last is written."""

    report: IngestReport
    existing: dict[str, _Known] = field(default_factory=dict)
    """Those of the rows' prompts that the database has, by id."""
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    """The rows of `prompts` to write, by id."""

    def add(self, line: int, row: PromptRow) -> Rejection | None:
        """Adds the row and counts it, or says why it is rejected."""
        before, report = self._before(row.id), self.report
        if before is not None and before.split != row.split:
            reason = f"the same prompt is already in split {before.split!r}, this row says {row.split!r}"
            return Rejection(report.file, line, reason, row.source)
        report.known += before is not None
        report.new += before is None
        report.add(row)
        question = row.question if before is None else before.merge(row.question)
        self.values[row.id] = {
            "id": row.id,
            "domain": row.domain,
            "split": row.split,
            "origin": row.origin,
            "messages": row.messages,
            "question": question,
            "source": row.source,
            "skill": row.skill,
        }
        return None

    def _before(self, prompt_id: str) -> _Known | None:
        """What is known of a prompt from the database, or from an earlier row."""
        existing, value = self.existing.get(prompt_id), self.values.get(prompt_id)
        if value is None:
            return existing
        question: Any = value["question"]
        rerouted = existing is not None and existing.rerouted
        return _Known(str(value["split"]), question.references, rerouted, question.verifier, question.veto)


def _existing(connection: Connection, ids: set[str]) -> dict[str, _Known]:
    rows = connection.execute(_EXISTING, {"ids": list(ids)})
    return {row.id: _Known(row.split, tuple(row.references or ()), *row[3:]) for row in rows}


def _write(connection: Connection, batch: _Batch) -> None:
    """Writes in key order, so that two commands that ingest the same prompts wait for each other and never deadlock."""
    new = [value for key, value in sorted(batch.values.items()) if key not in batch.existing]
    known = [value for key, value in sorted(batch.values.items()) if key in batch.existing]
    if new and not copy_rows(connection, Prompt, _COLUMNS, new):  # another command has just written one of them
        known = [value for _, value in sorted(batch.values.items())]
    if known:
        connection.execute(_UPSERT, {"prompts": encode_rows(known)})


def _link(connection: Connection, run_id: str | None, prompt_ids: Sequence[str]) -> None:
    if run_id is not None and prompt_ids:
        connection.execute(_LINK, {"run": run_id, "ids": sorted(prompt_ids)})


def _upsert() -> Any:
    """A row that says nothing new is not written again."""
    statement = insert(Prompt).from_select(_COLUMNS, rows_of_parameter(Prompt, _COLUMNS, "prompts"))
    changed: dict[str, Any] = {name: statement.excluded[name] for name in ("domain", "origin", "question", "source")}
    changed["skill"] = func.coalesce(statement.excluded.skill, Prompt.skill)
    news = or_(*(getattr(Prompt, name).is_distinct_from(value) for name, value in changed.items()))
    return statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=news)


_COLUMNS = ("id", "domain", "split", "origin", "messages", "question", "source", "skill")
_IDS = bindparam("ids", type_=ARRAY(String))
_EXISTING = select(
    Prompt.id,
    Prompt.split,
    Prompt.question["references"].label("references"),
    Prompt.rerouted_at.is_not(None),
    Prompt.question["verifier"].astext,
    Prompt.question["veto"].astext,
).where(Prompt.id == any_(_IDS))
_UPSERT = _upsert()
_LINK = (
    insert(RunPrompt)
    .from_select(("run_id", "prompt_id"), select(bindparam("run", type_=String), func.unnest(_IDS)))
    .on_conflict_do_nothing()
)
