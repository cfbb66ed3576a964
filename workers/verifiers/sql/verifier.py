"""SQL: compares the rows of the response's query with the reference's on several database instances.

Invariant: a query is right if its rows are equal on every instance, also if the tables are stored in reverse. The
reference's rows are never in the sandbox of the response's query. Any fault of the prompt is infra_error.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.sandbox.factory import build_sandbox
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import BaseVerifier, Verdict
from workers.verifiers.sql.compare import Result, same_order, same_rows, tie_groups
from workers.verifiers.sql.instances import (
    DERIVED,
    MAX_ROWS,
    NOW,
    Databases,
    Failure,
    Pair,
    QueryFailedError,
    Runs,
    SchemaError,
    read_row,
)
from workers.verifiers.sql.statement import (
    DisagreementError,
    Query,
    QueryError,
    check_dialect,
    read_answer,
    read_query,
)

CACHED = 64
"""Prompts whose instances and right rows are cached: the samples of a group are judged one after another."""
_STATUS = {
    Failure.ERROR: Status.WRONG,
    Failure.SIZE: Status.WRONG,
    Failure.TIMEOUT: Status.TIMEOUT,
    Failure.OOM: Status.OOM,
}


class PromptError(ValueError):
    """The options or the reference are at fault; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Gold:
    images: tuple[Pair, ...]
    runs: tuple[Runs, ...]
    """The reference's results on each of `images`. Pairs on which its rows depend on an order that it leaves open are
    left out of both.
    """
    query: Query | None
    """None if the prompt gives rows."""


class SqlVerifier(BaseVerifier):
    name = "sql"
    version = "3"
    sandboxed = True
    policy = (
        "One read-only query (SELECT, WITH or VALUES) is judged: the fenced blocks, which must agree, or the whole "
        "text after any reasoning block. Right means the reference's rows, as a multiset, on every database instance, "
        "and in the reference's order if that has ORDER BY, with ties in any order. If one instance is given, "
        f"{DERIVED} more are derived from it, so that constants, lost duplicates, wrong bounds and NULLs show. The "
        "order of columns counts, their names do not; 1 equals 1.0, floats are equal within 1e-9, '1' is not 1, and "
        f"NULL equals NULL. random() and the like are refused; now is {NOW} UTC. A query whose rows depend on an order "
        f"that it does not ask for is wrong, and so is one with more than {MAX_ROWS} rows. The reference is a query, "
        "or the rows on each of several instances as JSON."
    )
    options: ClassVar[Mapping[str, str]] = {
        "schema": "SQLite's CREATE TABLE and INSERT statements; or a list of such texts, one per database instance",
        "ordered": "whether the order of rows counts (default: whether the reference has ORDER BY at its top level)",
        "columns": "`order`: their number and order count; `names`: their names count too, in any case (default order)",
        "dialect": "the dialect of both queries, as sqlglot names it; they are translated, and get the date and text "
        "functions that SQLite lacks (default sqlite)",
    }

    def __init__(self) -> None:
        self._databases: Databases | None = None
        self._gold = lru_cache(CACHED)(self._compute_gold)

    def configure(self, settings: RtvSettings) -> None:
        """Prepares a sandbox. Raises SandboxError."""
        self._databases = Databases(build_sandbox(settings.sandbox, preload=("json", "sqlite3")), settings.sandbox)

    def judge(self, question: Question, response: str) -> Verdict:
        try:
            asked = _read_options(question.options)
            gold = self._gold(asked.scripts, _require_reference(question.ground_truth), asked.dialect)
        except PromptError as error:
            return self._verdict(None, Status.INFRA_ERROR, str(error))
        try:
            query = read_answer(after_reasoning(response), asked.dialect)
            runs = self._open_databases().query(query.text, gold.images, asked.dialect)
        except DisagreementError as error:
            return self._verdict(0.0, Status.WRONG, str(error))
        except QueryError as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        except QueryFailedError as error:
            return self._verdict(0.0, _STATUS[error.failure], str(error)[:300])
        fault = _find_fault(query, runs, gold, asked)
        if fault:
            return self._verdict(0.0, Status.WRONG, fault)
        return self._verdict(1.0, Status.CORRECT, f"the reference's rows on {len(runs)} database instances")

    def _compute_gold(self, scripts: tuple[str, ...], reference: str, dialect: str) -> Gold:
        """Computes the reference's rows. Raises PromptError, SandboxError."""
        rows = _json_rows(reference)
        try:
            query = None if rows is not None else read_query(reference, dialect)
            images = self._open_databases().images(scripts, query.literals if query else ())
            runs = (
                self._open_databases().query(query.text, images, dialect) if query else _read_rows(rows, len(scripts))
            )
        except (QueryError, QueryFailedError) as error:
            raise PromptError(f"the reference is not a working query: {str(error)[:300]}") from error
        except SchemaError as error:
            raise PromptError(f"options.schema does not make a database: {str(error)[:300]}") from error
        kept = [(image, run) for image, run in zip(images, runs, strict=True) if _is_stable(run)]
        if len(kept) < 2:
            raise PromptError("the reference's rows depend on an order that it leaves open: add ORDER BY by a key")
        if all(same_rows(run.forwards.rows, kept[0][1].forwards.rows) for _, run in kept):
            raise PromptError(
                "the reference gives the same rows on every instance, so a constant would pass: give other instances"
            )
        return Gold(tuple(image for image, _ in kept), tuple(run for _, run in kept), query)

    def _open_databases(self) -> Databases:
        if self._databases is None:
            self.configure(RtvSettings())
        assert self._databases is not None
        return self._databases


@dataclass(frozen=True, slots=True)
class _Asked:
    scripts: tuple[str, ...]
    ordered: bool | None
    names: bool
    dialect: str


def _read_options(options: Mapping[str, Any]) -> _Asked:
    """Reads a question's options. Raises PromptError."""
    schema, ordered = options.get("schema"), options.get("ordered")
    scripts = [schema] if isinstance(schema, str) else schema
    if (
        not isinstance(scripts, Sequence)
        or not scripts
        or not all(isinstance(text, str) and text.strip() for text in scripts)
    ):
        raise PromptError("options need schema: SQL that creates and fills the tables, or a list of such texts")
    if ordered is not None and not isinstance(ordered, bool):
        raise PromptError(f"options.ordered is true or false, got {ordered!r}")
    if options.get("columns", "order") not in ("order", "names"):
        raise PromptError(f"options.columns is order or names, got {options['columns']!r}")
    dialect = str(options.get("dialect") or "sqlite")
    try:
        check_dialect(dialect)
    except ValueError as error:
        raise PromptError(f"options.dialect: {error}") from error
    return _Asked(tuple(scripts), ordered, options.get("columns") == "names", dialect)


def _require_reference(text: str | None) -> str:
    """Returns the reference. Raises PromptError if there is none."""
    if text is None or not text.strip():
        raise PromptError("the question has no reference: set the right query")
    return text


def _json_rows(reference: str) -> Any:
    """Reads the reference as a JSON list; None if it is a query, since no query begins with a bracket."""
    if not reference.lstrip().startswith("["):
        return None
    try:
        return json.loads(reference)
    except ValueError as error:
        raise PromptError(f"the reference is neither a query nor JSON rows: {error}") from error


def _read_rows(rows: Any, instances: int) -> tuple[Runs, ...]:
    """Reads expected rows, one list per instance. Raises PromptError."""
    if instances < 2 or len(rows) != instances:
        raise PromptError("expected rows need a schema of several instances, and one list of rows for each of them")
    try:
        results = [Result((), tuple(read_row(row) for row in instance)) for instance in rows]
    except (TypeError, ValueError) as error:
        raise PromptError(f"the reference's rows: {error}") from error
    return tuple(Runs(result, result) for result in results)


def _is_stable(run: Runs) -> bool:
    return same_rows(run.forwards.rows, run.backwards.rows)


def _find_fault(query: Query, runs: Sequence[Runs], gold: Gold, asked: _Asked) -> str | None:
    """Returns why the query is wrong, or None."""
    by_default = gold.query is not None and gold.query.ordered
    ordered = by_default if asked.ordered is None else asked.ordered
    if ordered and not query.ordered and any(len(run.forwards.rows) > 1 for run in gold.runs):
        return "the query has no ORDER BY at its top level"
    for number, (own, right) in enumerate(zip(runs, gold.runs, strict=True), start=1):
        where = f"on database instance {number} of {len(runs)}"
        if asked.names and right.forwards.columns and not _same_names(own.forwards, right.forwards):
            return f"the columns are {', '.join(own.forwards.columns)}, not {', '.join(right.forwards.columns)}"
        shown = gold.query is not None and gold.query.keys_shown
        ends = tie_groups(right.forwards.rows, right.backwards.rows, keys_shown=shown)
        for result in (own.forwards, own.backwards):
            if not same_rows(result.rows, right.forwards.rows):
                return f"{len(result.rows)} rows that are not the reference's {len(right.forwards.rows)} {where}"
            if ordered and not same_order(result.rows, right.forwards.rows, ends):
                return f"the rows are in another order {where}"
    return None


def _same_names(own: Result, right: Result) -> bool:
    return [name.casefold() for name in own.columns] == [name.casefold() for name in right.columns]
