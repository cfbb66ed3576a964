"""A program in a sandbox whose function can be called: arguments are sent to it, and values are returned.

Invariant: no expected value ever enters the sandbox. If the program does anything other than answer, a CandidateError
is raised.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Self

from streams.messages import Status
from workers.sandbox.base import ExitKind, ProgramLimits, Sandbox, SandboxSession, SessionEndedError
from workers.verifiers.code.outcome import CaseOutcome, ended, exit_text, with_limit, wrong
from workers.verifiers.code.values import decode

OUT_OF_MEMORY = "the memory limit was reached"


@cache
def harness(name: str) -> str:
    """Returns the source of a module that runs inside the sandbox, preceded by the module that it needs."""
    folder = Path(__file__).parent
    return "\n".join((folder / file).read_text(encoding="utf-8") for file in ("inside_values.py", name))


class CandidateError(Exception):
    """The program returned no value; `outcome` says why."""

    def __init__(self, outcome: CaseOutcome, raised: tuple[str, str] | None = None) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome
        self.raised = raised
        """Name and text of the exception that the function raised; None if something else went wrong, after which the
        candidate cannot be called again."""


class Candidate:
    def __init__(self, sandbox: Sandbox, source: str, entry_point: str, limits: ProgramLimits, seconds: float) -> None:
        """Loads the program; `seconds` is the time limit of loading and of each call. Raises CandidateError,
        SandboxError.
        """
        self._session: SandboxSession = sandbox.open(harness("inside_candidate.py"), limits)
        self._seconds = seconds
        self._size = limits.output_bytes
        try:
            self._load(source, entry_point)
        except CandidateError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def _load(self, source: str, entry_point: str) -> None:
        where = "loading the program"
        kind, _ = self._ask({"source": source, "entry_point": entry_point}, where)
        if kind == b"N":
            raise CandidateError(wrong(f"the program defines no {entry_point!r}"))
        if kind != b"R":
            raise self._end(where, "it answered in the name of its harness")

    def call(self, arguments: list[Any], keywords: dict[str, Any], where: str, *, last: bool = False) -> Any:
        """Calls the function; after the `last` call it cannot be called again. Raises CandidateError."""
        kind, rest = self._ask((arguments, keywords, last), where, forks=not last)
        try:
            if kind == b"V":
                return decode(rest)
        except ValueError:
            pass
        raise self._end(where, "its answer is not a value")

    def _ask(self, request: Any, where: str, *, forks: bool = False) -> tuple[bytes, bytes]:
        """Sends a request and returns the kind and the rest of the answer. If `forks`, a fork answers and the harness
        confirms it. Raises CandidateError.
        """
        try:
            self._session.send(request)
            line = self._session.receive(self._seconds, self._size)
            if forks and line[:1] != b"D":
                confirmation = self._session.receive(self._seconds, self._size)
                line = line if confirmation == b"K" else confirmation
        except SessionEndedError as error:
            raise CandidateError(ended(error.ran, where)) from None
        kind, rest = line[:1], line[1:]
        match kind:
            case b"M":
                raise CandidateError(CaseOutcome(Status.OOM, f"{where}: {OUT_OF_MEMORY}"))
            case b"D":
                raise self._end(where, _describe_exit(rest))
            case b"U":
                raise self._end(where, f"it returned a value that is not plain: {_shorten(rest)}")
            case b"E":
                name, said = _read_exception(rest)
                why = with_limit(f"raised {name}: {said}")
                raise CandidateError(wrong(f"{where}: {why}"[:300]), (name, said))
        return kind, rest

    def _end(self, where: str, what: str) -> CandidateError:
        ran = self._session.close()
        return CandidateError(ended(ran, where) if ran.ending is ExitKind.OOM else wrong(f"{where}: {what}"))


def _describe_exit(rest: bytes) -> str:
    try:
        return f"the program ended itself ({exit_text(int(rest))})"
    except ValueError:
        return "the program ended itself"


def _shorten(rest: bytes) -> str:
    return rest.decode(errors="replace")[:100]


def _read_exception(rest: bytes) -> tuple[str, str]:
    """Reads an exception's name and text; the answer may be forged, so its form is not trusted."""
    try:
        name, said = json.loads(rest)
    except (ValueError, TypeError, RecursionError):
        return "something", _shorten(rest)
    return str(name)[:100], str(said)[:200]
