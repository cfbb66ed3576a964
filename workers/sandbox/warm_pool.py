"""The sandbox over a launcher: interpreters that wait, each used for one program only.

Invariant: a program meets an interpreter that has run nothing but inside_init. Replacements are started while a
program runs, and come up by themselves, so that no thread is needed.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from infra.settings.tree import SandboxSettings
from workers.sandbox.base import ExitKind, Isolation, Program, ProgramLimits, RunResult, SandboxError
from workers.sandbox.interpreter import harness_code
from workers.sandbox.process_tree import ProcessTree, pump
from workers.sandbox.session import ProcessTreeSession

log = logging.getLogger(__name__)

PYTHON = "python"
FILE = "program"
"""Without an ending, which some interpreters would read a meaning into."""
_STARTS = 2
"""An interpreter that waited may have been killed meanwhile, so there is a second; two failures are a defect."""


class Launcher(Protocol):
    isolation: Isolation

    def start(self, file_bytes: int) -> ProcessTree:
        """Raises SandboxError."""
        ...

    def close(self) -> None: ...


class WarmSandbox:
    def __init__(self, launcher: Launcher, settings: SandboxSettings) -> None:
        self._launcher = launcher
        self._interpreters = settings.interpreters
        self._room = settings.warm
        self._file_bytes = settings.file_mib * 2**20
        self._idle: deque[ProcessTree] = deque()
        self._used: list[ProcessTree] = []
        self.isolation = launcher.isolation

    def run(self, program: Program, limits: ProgramLimits) -> RunResult:
        return self.run_all([program], limits)[0]

    def run_all(self, programs: Sequence[Program], limits: ProgramLimits) -> list[RunResult]:
        waiting = deque(enumerate(self._job(program) for program in programs))
        running: dict[int, ProcessTree] = {}
        found: dict[int, RunResult] = {}
        try:
            while waiting or running:
                while waiting and len(running) < max(1, self._room):
                    index, job = waiting.popleft()
                    running[index] = self._start(job, limits)
                pump(running.values(), min(tree.deadline for tree in running.values()) - time.monotonic())
                for index, tree in tuple(running.items()):
                    if (ending := tree.ending()) is not None:
                        found[index] = tree.finish(ending)
                        del running[index]
        finally:
            for tree in running.values():
                tree.finish(ExitKind.TIMEOUT)
        return [found[index] for index in range(len(programs))]

    def open(self, harness: str, limits: ProgramLimits) -> ProcessTreeSession:
        job: dict[str, Any] = {"argv": None, "name": FILE, "arguments": (), "files": {}, "stdin": b""}
        return ProcessTreeSession(self._start(job | {"harness": harness_code(harness)}, limits))

    def close(self) -> None:
        for tree in (*self._idle, *self._used):
            tree.finish(ExitKind.EXITED)
            tree.bury()
        self._idle.clear()
        self._used.clear()
        self._launcher.close()

    def _job(self, program: Program) -> dict[str, Any]:
        argv = self._interpreters.get(program.language)
        if argv is None and program.language != PYTHON:
            known = ", ".join({PYTHON, *self._interpreters})
            raise ValueError(f"no interpreter for {program.language!r}; rtv.sandbox.interpreters has: {known}")
        files = dict(program.files)
        if argv is not None:
            files[FILE] = program.source.encode()
        return {
            "argv": [*argv, FILE, *program.arguments] if argv is not None else None,
            "name": FILE,
            "arguments": program.arguments,
            "files": files,
            "stdin": program.stdin,
            "source": program.source,
            "harness": None,
        }

    def _start(self, job: dict[str, Any], limits: ProgramLimits) -> ProcessTree:
        """Raises SandboxError."""
        for attempt in range(1, _STARTS + 1):
            try:
                tree = self._ready(limits.file_bytes)
                tree.start(job, limits)
                break
            except SandboxError:
                if attempt == _STARTS:
                    raise
        self._used.append(tree)
        self._settle()
        return tree

    def _settle(self) -> None:
        """While a program runs: bury those before it, and start what replaces it."""
        for used in self._used:
            if used.ran is not None:
                used.bury()
        self._used = [used for used in self._used if used.ran is None]
        try:
            while len(self._idle) < self._room:
                self._idle.append(self._launcher.start(self._file_bytes))
        except SandboxError as error:  # the next program's own start says it too, if it lasts
            log.warning("no sandbox for the next program: %s", error)

    def _ready(self, file_bytes: int) -> ProcessTree:
        """Raises SandboxError."""
        warm = self._idle and file_bytes == self._file_bytes
        tree = self._idle.popleft() if warm else self._launcher.start(file_bytes)
        tree.wait_ready()
        return tree
