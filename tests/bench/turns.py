"""Two programs in turns: each a child that does one step when told, so that what else the machine does falls on both.

Invariants: a child is idle between its turns, blocked on a read. Its replies are JSON lines on what was its stdout;
whatever else it prints goes to stderr. Standard library only: children run in other environments too.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO


class Turns:
    """The child's end."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def wait(self) -> bool:
        """Until the next turn; False where there is none any more."""
        return bool(sys.stdin.readline())

    def reply(self, **values: float | str) -> None:
        """Adds the process's peak memory so far, `peak_gib`."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
        print(json.dumps(values | {"peak_gib": peak}), file=self._out, flush=True)


class SideEndedError(RuntimeError):
    """A child that ended before its turn was over; the text says where its output is."""


class Side:
    """The parent's end: starts `command`, whose stderr goes to `log`, and ends it on leaving the `with`."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **environment},
            )

    def turn(self) -> dict[str, Any]:
        """What the child replies. Raises SideEndedError."""
        self.begin()
        return self.reply()

    def begin(self) -> None:
        """Raises SideEndedError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def reply(self) -> dict[str, Any]:
        """What the child replies to the turn that was begun. Raises SideEndedError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _ended(self) -> SideEndedError:
        code = self._process.wait()
        return SideEndedError(
            f"a side ended with exit code {code}; the end of {self._log}:\n{self._log.read_text()[-2000:]}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
