"""Writes prompts from dataset files into Postgres.

Invariants:
- Ingesting a file twice has the same effect as once, since a prompt's id is the hash of its content.
- A prompt never changes its split: a train prompt cannot become held out, nor the reverse.
- References that were picked, and a route that was chosen, after the first ingestion stay
  (`trainer.prompts.rerouting`); so does a skill that a later file does not name.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import Prompt, RunPrompt
from streams.messages import Question
from trainer.prompts.dataset import Defaults, PromptRow, Rejection, read_dataset

T = TypeVar("T")

_BATCH = 1000
"""Rows per transaction, so that a million prompts take a thousand round trips."""


@dataclass(slots=True)
class IngestReport:
    file: str
    new: int = 0
    known: int = 0
    """Prompts that were in the database already, or earlier in the file."""
    by_domain: dict[str, int] = field(default_factory=dict)
    """Accepted prompts, known ones included."""
    rejected: list[Rejection] = field(default_factory=list)
    rejected_file: str | None = None

    @property
    def accepted(self) -> int:
        return self.new + self.known


def ingest(
    engine: Engine, path: Path, defaults: Defaults, rejected_to: Path | None = None, run_id: str | None = None
) -> IngestReport:
    """Reads `path` into the table `prompts`.

    Bad rows are reported, and written to `rejected_to` if it is given; the other rows go in. With `run_id`, that run
    draws its prompts only from those that were ingested with its id. Raises DatasetError if the file cannot be read;
    the rows before the failure stay.
    """
    report = IngestReport(str(path))
    for chunk in _chunks(read_dataset(path, defaults)):
        report.rejected += [row for _, row in chunk if isinstance(row, Rejection)]
        prompts = [(line, row) for line, row in chunk if isinstance(row, PromptRow)]
        with engine.begin() as connection:
            _link(connection, run_id, _upsert(connection, report, prompts))
    if rejected_to is not None and report.rejected:
        write_rejected(rejected_to, report.rejected)
        report.rejected_file = str(rejected_to)
    return report


def ingest_rows(
    engine: Engine, rows: Iterable[PromptRow], name: str = "rows", run_id: str | None = None
) -> IngestReport:
    """Like `ingest`, for rows in memory."""
    report = IngestReport(name)
    for chunk in _chunks(enumerate(rows, start=1)):
        with engine.begin() as connection:
            _link(connection, run_id, _upsert(connection, report, chunk))
    return report


def rejected_path(path: Path) -> Path:
    """The file for a dataset's bad rows, in the same folder: `data.jsonl` -> `data.rejected.jsonl`."""
    return path.with_suffix(".rejected.jsonl")


def write_rejected(path: Path, rejected: Sequence[Rejection]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for rejection in rejected:
            plain = {name: getattr(rejection, name) for name in ("file", "line", "reason", "row")}
            file.write(json.dumps(plain) + "\n")


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, _BATCH)):
        yield chunk


def _upsert(connection: Connection, report: IngestReport, rows: Sequence[tuple[int, PromptRow]]) -> list[str]:
    """Writes the prompts; returns the ids of the accepted ones."""
    known = _existing(connection, {row.id for _, row in rows})
    values: dict[str, dict[str, Any]] = {}
    for line, row in rows:
        before = known.get(row.id)
        if before is not None and before.split != row.split:
            reason = f"the same prompt is already in split {before.split!r}, this row says {row.split!r}"
            report.rejected.append(Rejection(report.file, line, reason, row.source))
            continue
        report.known += before is not None
        report.new += before is None
        report.by_domain[row.domain] = report.by_domain.get(row.domain, 0) + 1
        question = row.question if before is None else before.merge(row.question)
        known[row.id] = _Known(row.split, question, rerouted=before is not None and before.rerouted)
        values[row.id] = _values(row, question)
    if values:
        statement = insert(Prompt)
        updated = ("domain", "origin", "question", "source")
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["id"],
                set_={name: statement.excluded[name] for name in updated}
                | {"skill": func.coalesce(statement.excluded.skill, Prompt.skill)},
            ),
            [values[key] for key in sorted(values)],
        )
    return sorted(values)


def _link(connection: Connection, run_id: str | None, prompt_ids: Sequence[str]) -> None:
    if run_id is not None and prompt_ids:
        rows = [{"run_id": run_id, "prompt_id": prompt_id} for prompt_id in prompt_ids]
        connection.execute(insert(RunPrompt).on_conflict_do_nothing(), rows)


@dataclass(frozen=True, slots=True)
class _Known:
    """A prompt that is in the database already."""

    split: str
    question: Question
    rerouted: bool

    def merge(self, new: Question) -> Question:
        """`new`, with the references and the route that were decided since the first ingestion."""
        if self.question.references and not new.references:
            new = msgspec.structs.replace(new, references=self.question.references)
        if self.rerouted:
            new = msgspec.structs.replace(new, verifier=self.question.verifier, veto=self.question.veto)
        return new


def _existing(connection: Connection, ids: set[str]) -> dict[str, _Known]:
    query = select(Prompt.id, Prompt.split, Prompt.question, Prompt.rerouted_at).where(Prompt.id.in_(ids))
    return {
        row.id: _Known(row.split, msgspec.convert(row.question, Question), row.rerouted_at is not None)
        for row in connection.execute(query)
    }


def _values(row: PromptRow, question: Question) -> dict[str, Any]:
    return {
        "id": row.id,
        "domain": row.domain,
        "split": row.split,
        "origin": row.origin,
        "messages": list(row.messages),
        "question": msgspec.to_builtins(question),
        "source": row.source,
        "skill": row.skill,
    }
