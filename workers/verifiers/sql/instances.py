"""Makes database instances and queries them from the host, each in a sandbox run of its own.

Invariant: the host never executes SQL. A sandbox returns JSON of plain values, whose shape is checked: if a query took
over its process, it could at most return other rows.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from infra.settings.tree import SandboxSettings
from workers.sandbox.base import ExitKind, Program, RunResult, Sandbox
from workers.sandbox.factory import default_limits
from workers.verifiers.sql.compare import Result, Row, Value
from workers.verifiers.sql.dialects import CASE_SENSITIVE

DERIVED = 8
"""Instances derived from a single given one: each plan of inside_derive is used twice, so that a constant, a lost
DISTINCT and a wrong bound show. Each costs a millisecond."""
NOW = "2025-01-01 00:00:00"
"""Value of `now` in every query, so that a verdict is the same years later."""
MAX_ROWS = 20_000
MAX_BYTES = 2 * 2**20
"""Most bytes of one result."""
OUTPUT_BYTES = 64 * 2**20
"""Most bytes that a run may print: two results per instance, plus JSON's quoting. It bounds database images too."""
KILL = 1.5
"""Multiple of a run's seconds of CPU after which it is killed by the clock: SQLite does not interrupt every query, and
the verdict has its budget on a busy machine, too."""
HEAP_SHARE = 0.5
"""SQLite's share of the sandbox's memory; the rest is for the rows in Python."""
_DERIVE = Path(__file__).with_name("inside_derive.py")
_DIALECT = Path(__file__).with_name("inside_dialect.py")
_EXECUTE = Path(__file__).with_name("inside_execute.py")


Pair = tuple[bytes, bytes]


class Failure(StrEnum):
    ERROR = "error"
    """SQLite refuses the query, or fails while executing it."""
    TIMEOUT = "timeout"
    OOM = "oom"
    SIZE = "size"
    """More rows or bytes than MAX_ROWS and MAX_BYTES."""


class QueryFailedError(RuntimeError):
    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(why)
        self.failure = failure


class SchemaError(ValueError):
    """No database can be made from the schema; the message says why."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The results of a query on one instance."""

    forwards: Result
    backwards: Result
    """The result if the tables' rows are stored in reverse."""


class Databases:
    def __init__(self, sandbox: Sandbox, settings: SandboxSettings) -> None:
        self._sandbox = sandbox
        self._seconds = settings.case_seconds / 2
        """Seconds of CPU for a query on all instances, so that a busy machine ends none. Making the databases, the
        reference's query and the response's query, each killed by the clock, together stay within the verdict's budget.
        """
        self._limits = default_limits(settings, settings.case_seconds)

    def images(self, scripts: Sequence[str], literals: Sequence[str | int | float]) -> tuple[Pair, ...]:
        """Makes pairs of SQLite files: one per script, and DERIVED more if there is one script. The second file of a
        pair holds the rows in reverse. Raises SchemaError, SandboxError.
        """
        asked = {"scripts": list(scripts), "derived": DERIVED if len(scripts) == 1 else 0, "literals": list(literals)}
        seconds = self._seconds * KILL
        ran = self._run((_DERIVE,), asked, {}, seconds)
        if ran.ending is ExitKind.TIMEOUT:
            raise SchemaError(f"making the databases takes longer than {seconds:g} s")
        if ran.ending is not ExitKind.EXITED or ran.code != 0:
            raise SchemaError(f"making the databases ended with {ran.ending}: {_last_line(ran)}")
        answer = json.loads(ran.stdout)
        if "error" in answer:
            raise SchemaError(answer["error"])
        images = [base64.b64decode(image) for image in answer["images"]]
        return tuple(zip(images[::2], images[1::2], strict=True))

    def query(self, text: str, pairs: Sequence[Pair], dialect: str = "sqlite") -> tuple[Runs, ...]:
        """Runs a query on each pair. `text` is for SQLite, with the functions of `dialects` if it was translated from
        another dialect. Raises QueryFailedError, SandboxError.
        """
        asked = {
            "query": text,
            "images": 2 * len(pairs),
            "seconds": self._seconds,
            "rows": MAX_ROWS,
            "bytes": MAX_BYTES,
            "heap": int(self._limits.memory_bytes * HEAP_SHARE),
            "now": NOW,
            "dialect": dialect,
            "case_sensitive": dialect in CASE_SENSITIVE,
        }
        files = {f"{number}.db": image for number, image in enumerate(image for pair in pairs for image in pair)}
        sources = (_EXECUTE,) if dialect == "sqlite" else (_DIALECT, _EXECUTE)
        ran = self._run(sources, asked, files, self._seconds * KILL)
        if ran.ending is ExitKind.EXITED and ran.code == 0:
            answer = json.loads(ran.stdout)
            if "failed" in answer:
                raise QueryFailedError(Failure(answer["failed"]), answer["why"])
            results = [_result(run) for run in answer["results"]]
            return tuple(Runs(*pair) for pair in zip(results[::2], results[1::2], strict=True))
        failures = {ExitKind.TIMEOUT: Failure.TIMEOUT, ExitKind.OOM: Failure.OOM, ExitKind.OUTPUT: Failure.SIZE}
        # On a busy machine the sandbox's wall clock ends a run before its CPU limit does: the same reason.
        said = "time is up" if ran.ending is ExitKind.TIMEOUT else f"the run {ran.ending}: {_last_line(ran)}"
        raise QueryFailedError(failures.get(ran.ending, Failure.ERROR), said)

    def _run(
        self, sources: Sequence[Path], asked: dict[str, Any], files: dict[str, bytes], seconds: float
    ) -> RunResult:
        limits = replace(self._limits, wall_seconds=seconds, output_bytes=OUTPUT_BYTES)
        source = "\n".join(file.read_text(encoding="utf-8") for file in sources)
        program = Program("python", source, json.dumps(asked).encode(), files=files)
        return self._sandbox.run(program, limits)


def _result(run: dict[str, Any]) -> Result:
    return Result(tuple(run["columns"]), tuple(read_row(row) for row in run["rows"]))


def read_row(row: Sequence[Any]) -> Row:
    """Reads a row from JSON; `{"hex": text}` is a blob. Raises ValueError."""
    return tuple(_value(value) for value in row)


def _value(value: Any) -> Value:
    if isinstance(value, dict) and set(value) == {"hex"}:
        return bytes.fromhex(value["hex"])
    if value is not None and not isinstance(value, int | float | str):
        raise ValueError(f"a value is NULL, a number, a text or {{'hex': text}}, got {type(value).__name__}")
    return int(value) if isinstance(value, bool) else value


def _last_line(ran: RunResult) -> str:
    lines = ran.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else f"code {ran.code}, no message"
