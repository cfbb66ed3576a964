"""The one interface to the sandbox: an untrusted program in, how it ended and what it wrote out.

Invariant: whatever a program does, `run` returns within its limits and leaves no process and no file behind. What the
program must not know (expected values, other jobs, credentials, the host's files) is never inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Ending(StrEnum):
    EXITED = "exited"
    """By itself or by a signal that it provoked; `code` says how."""
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT = "output"
    """It wrote more than it may; what came before the limit is kept."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What is in force, for logs and `rewardstream status`."""

    name: str
    """`bubblewrap` or `subprocess`."""
    enforced: tuple[str, ...]
    """Of: network, files, processes, memory, time, output, uid, cgroup."""
    missing: tuple[str, ...]
    """The rest: what a program could do that nothing here prevents."""


@dataclass(frozen=True, slots=True)
class Limits:
    wall_seconds: float
    memory_bytes: int
    processes: int
    output_bytes: int
    """Of stdout and of stderr, each."""
    file_bytes: int
    """All that it may keep in its temporary folder."""


@dataclass(frozen=True, slots=True)
class Program:
    language: str
    """A key of the settings' interpreters."""
    source: str
    stdin: bytes = b""
    arguments: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Further files beside the source, by plain name."""


@dataclass(frozen=True, slots=True)
class Ran:
    ending: Ending
    code: int | None
    """Exit status, negative for a signal; None unless it exited."""
    stdout: bytes
    stderr: bytes
    seconds: float


class SandboxError(RuntimeError):
    """The sandbox itself failed, not the program: an infra_error, never a verdict."""


class Sandbox(Protocol):
    isolation: Isolation

    def run(self, program: Program, limits: Limits) -> Ran:
        """Raises SandboxError."""
        ...

    def run_all(self, programs: Sequence[Program], limits: Limits) -> list[Ran]:
        """Each in isolation of its own, as many at once as the pool has room. Raises SandboxError."""
        ...

    def close(self) -> None: ...
