"""The one interface to the sandbox: an untrusted program in, how it ended and what it wrote out.

Invariant: whatever a program does, `run` returns within its limits and leaves no process and no file behind. What the
program must not know (expected values, other jobs, credentials, the host's files) is never inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self

BOUNDS = ("network", "files", "processes", "memory", "time", "output", "uid", "cgroup")


class ExitKind(StrEnum):
    EXITED = "exited"
    """It ended by itself, or by a signal that it provoked; `code` says how."""
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT = "output"
    """It wrote more than it may; what came before the limit is kept."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """The isolation that is in force, for logs and `rewardstream status`."""

    name: str
    """`bubblewrap` or `subprocess`."""
    enforced: tuple[str, ...]
    """Part of BOUNDS. Without `cgroup`, the bounds of memory and files hold for each process, not for all together."""
    missing: tuple[str, ...]
    """The rest of BOUNDS: nothing here prevents a program from crossing these."""
    why: str = ""
    """Why no better one is in force; empty if the settings ask for this one."""

    @property
    def line(self) -> str:
        missing = f"; not isolated: {', '.join(self.missing)}" if self.missing else ""
        return f"{self.name} ({', '.join(self.enforced)}{missing}){f': {self.why}' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    wall_seconds: float
    memory_bytes: int
    processes: int
    output_bytes: int
    """For stdout and for stderr, each."""
    file_bytes: int
    """Total size of the files in its temporary folder."""


@dataclass(frozen=True, slots=True)
class Program:
    language: str
    """`python`, or a key of the settings' interpreters."""
    source: str
    stdin: bytes = b""
    arguments: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Further files in the program's folder, by plain name."""


@dataclass(frozen=True, slots=True)
class RunResult:
    ending: ExitKind
    code: int | None
    """Exit status, negative for a signal; None unless it exited."""
    stdout: bytes
    stderr: bytes
    seconds: float


class SandboxError(RuntimeError):
    """The sandbox itself failed, not the program: an infra_error, never a verdict."""


class SessionEndedError(RuntimeError):
    """The program inside ended, was killed for a limit, or wrote something else than an answer; `ran` says how."""

    def __init__(self, ran: RunResult) -> None:
        super().__init__(f"the session ended: {ran.ending}, code {ran.code}")
        self.ran = ran


class SandboxSession(Protocol):
    """A conversation with our harness, which runs inside the sandbox with the program: requests in, lines out.

    The program shares the harness's process, so that a line is what the program says, whoever wrote it.
    """

    def send(self, request: Any) -> None:
        """Sends anything that marshal takes. Raises SessionEndedError."""
        ...

    def receive(self, seconds: float, size: int) -> bytes:
        """Returns the next line, without its end, of at most `size` bytes. Raises SessionEndedError, its last."""
        ...

    def close(self) -> RunResult:
        """Kills what is left and returns how it ended. May be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class Sandbox(Protocol):
    """Belongs to one thread: its programs are killed when that thread ends."""

    isolation: Isolation

    def run(self, program: Program, limits: ProgramLimits) -> RunResult:
        """Raises SandboxError; ValueError for a language that the settings do not name."""
        ...

    def run_all(self, programs: Sequence[Program], limits: ProgramLimits) -> list[RunResult]:
        """Runs each program in isolation, as many at once as interpreters are kept warm; `limits` hold for each."""
        ...

    def open(self, harness: str, limits: ProgramLimits) -> SandboxSession:
        """Starts `harness`, trusted Python that finds two functions in its globals: `receive()`, the next request, and
        `reply(line: bytes)`. Raises SandboxError.
        """
        ...

    def close(self) -> None: ...
