"""A program in a sandbox whose function can be called: inputs go in, values come out.

Invariant: no expected value is ever inside. Whatever the program does instead of answering is a CandidateError.
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
    """The text of a module that runs inside, behind what it needs."""
    folder = Path(__file__).parent
    return "\n".join((folder / file).read_text(encoding="utf-8") for file in ("inside_values.py", name))


class CandidateError(Exception):
    """No value came; `outcome` says why."""

    def __init__(self, outcome: CaseOutcome, raised: tuple[str, str] | None = None) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome
        self.raised = raised
        """Name and text of the exception that the function raised. Only then can it be called again."""


class Candidate:
    def __init__(self, sandbox: Sandbox, source: str, entry_point: str, limits: ProgramLimits, seconds: float) -> None:
        """Load the program; `seconds` for that and for each call. Raises CandidateError; SandboxError."""
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
            raise self._over(where, "it spoke for its harness")

    def call(self, arguments: list[Any], keywords: dict[str, Any], where: str, *, last: bool = False) -> Any:
        """`last`: it cannot be called again. Raises CandidateError."""
        kind, rest = self._ask((arguments, keywords, last), where, forks=not last)
        try:
            if kind == b"V":
                return decode(rest)
        except ValueError:
            pass
        raise self._over(where, "its answer is not a value")

    def _ask(self, request: Any, where: str, *, forks: bool = False) -> tuple[bytes, bytes]:
        """`forks`: the answer is a fork's, and the harness confirms it. Raises CandidateError."""
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
                raise self._over(where, _exit(rest))
            case b"U":
                raise self._over(where, f"what it returned is not a plain value: {_shown(rest)}")
            case b"E":
                name, said = _pair(rest)
                why = with_limit(f"raised {name}: {said}")
                raise CandidateError(wrong(f"{where}: {why}"[:300]), (name, said))
        return kind, rest

    def _over(self, where: str, what: str) -> CandidateError:
        ran = self._session.close()
        return CandidateError(ended(ran, where) if ran.ending is ExitKind.OOM else wrong(f"{where}: {what}"))


def _exit(rest: bytes) -> str:
    try:
        return f"the program ended itself ({exit_text(int(rest))})"
    except ValueError:
        return "the program ended itself"


def _shown(rest: bytes) -> str:
    return rest.decode(errors="replace")[:100]


def _pair(rest: bytes) -> tuple[str, str]:
    """From what claims to be the harness's."""
    try:
        name, said = json.loads(rest)
    except (ValueError, TypeError, RecursionError):
        return "something", _shown(rest)
    return str(name)[:100], str(said)[:200]
