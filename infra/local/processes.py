"""Child processes that end with their parent.

Invariant: a child and everything that it starts in its process group end with this process, even if this process ends
by SIGKILL (PR_SET_PDEATHSIG on Linux, and the guardian everywhere). Every child that has ended is reaped.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.local import guardian
from infra.local.interrupts import held

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_POLL_SECONDS = 0.02
_KILL_SECONDS = 1.0
"""SIGKILL takes effect in milliseconds, unless the process waits for a hanging disk."""


class LocalStackError(RuntimeError):
    """A part of the local stack cannot start or continue; the message says which, where, and what to do."""


@dataclass
class ChildProcess:
    """A started process, which leads its own session and process group."""

    name: str
    log: Path
    process: "subprocess.Popen[bytes]"
    started: float = field(default_factory=time.monotonic)
    """Start on the clock of time.monotonic(), in seconds."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs. Once it has ended, nothing of its group is left."""
        with held():  # an interrupt that leaves Popen's own lock taken would hide the process's end for ever
            if self.process.returncode is None and self.process.poll() is not None:
                guardian.kill_group(self.pid, signal.SIGKILL)
                _GUARD.forget(self.pid)
            return self.process.returncode

    @property
    def alive(self) -> bool:
        return self.poll() is None

    def wait(self, timeout: float) -> int | None:
        """Waits at most `timeout` seconds for its end; returns what `poll` returns."""
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return self.poll()

    def send(self, number: signal.Signals) -> None:
        """Signals the process only: a service decides itself when its helpers end."""
        if self.alive:
            self.process.send_signal(number)

    def terminate(self, grace: float, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends this process as the function `terminate` does; returns its exit code."""
        terminate([self], grace, number)
        return int(self.process.returncode)

    def log_tail(self, lines: int = 15) -> str:
        """The log's last lines, for an error message."""
        return log_tail(self.log, lines)


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a text file, or a note that there are none."""
    tail_bytes = 16384
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - tail_bytes))
            text = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return f"({path} does not exist)"
    return "\n".join(text.splitlines()[-lines:]) or f"({path} is empty)"


def terminate(children: Sequence[ChildProcess], grace: float, number: signal.Signals = signal.SIGTERM) -> None:
    """Ends processes in parallel, with all their descendants: the signal first, SIGKILL after `grace` seconds."""
    descendants = [process for child in children if child.alive for process in _descendants(child.pid)]
    for child in children:
        child.send(number)
    deadline = time.monotonic() + grace
    while any(child.alive for child in children) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for child in children:
        if child.alive:
            guardian.kill_group(child.pid, signal.SIGKILL)
            child.process.wait()
            child.poll()
    _kill_all(descendants)  # some left the group, as Postgres's backends do


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    group: int | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> ChildProcess:
    """Starts a program with its output appended to `log`; `death_signal` ends it when this process dies.

    `env` is added to this process's environment; `user` and `group` are ids to run as. A caller that can be
    interrupted (`infra.local.interrupts`) notes the child within the same `held` block.
    Raises LocalStackError if the program cannot be started, OSError if the log cannot be written.
    """
    log.parent.mkdir(parents=True, exist_ok=True)

    def start() -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid(), death_signal),  # noqa: PLW1509 (two system calls, no locks)
            )
        _GUARD.watch(process.pid, death_signal)
        return process

    try:
        with held():
            return ChildProcess(name=name, log=log, process=_SPAWNER.submit(start).result())
    except (FileNotFoundError, PermissionError) as error:
        raise LocalStackError(f"{name}: cannot start {argv[0]} ({error.strerror}: {error.filename})") from error


def run_to_end(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    timeout: float,
    user: int | None = None,
    group: int | None = None,
) -> None:
    """Runs a program as `spawn` does and waits for it. Raises LocalStackError if it fails or takes too long."""
    child: ChildProcess | None = None
    try:
        with held():
            child = spawn(name, argv, log=log, user=user, group=group)
        code = child.wait(timeout)
    finally:
        if child is not None:
            child.terminate(0)
    if code != 0:
        why = f"did not end within {timeout:g} s" if code is None else f"failed with exit code {code}"
        raise LocalStackError(f"{name} {why}; the end of {log}:\n{child.log_tail()}")


def _die_with_parent(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """The function that a child calls between fork and exec; None on systems other than Linux."""
    if _LIBC is None:
        return None
    prctl, getppid = _LIBC.prctl, os.getppid  # looked up here: nothing may be imported between fork and exec

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if getppid() != parent:  # the parent died before the signal was set
            os._exit(1)

    return set_signal


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _kill_all(processes: Sequence[psutil.Process]) -> None:
    """Returns when they are gone. They are not ours to reap, so a zombie counts as gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()  # psutil compares start times, so a reused id is not hit
    deadline = time.monotonic() + _KILL_SECONDS
    while any(_is_running(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class _Guard:
    """The guardian of this process: started with the first child, replaced if it was killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, group: int, number: signal.Signals) -> None:
        with self._lock:
            self._groups[group] = int(number)
            self._tell(f"+{group} {int(number)}\n")

    def forget(self, group: int) -> None:
        with self._lock:
            if self._groups.pop(group, None) is not None:
                self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._process is None or self._process.poll() is not None:
            self._restart()
            return
        try:
            self._write(self._process, line)
        except BrokenPipeError:
            self._process.wait()
            self._restart()

    def _restart(self) -> None:
        argv = [sys.executable, "-I", "-S", str(Path(guardian.__file__)), str(os.getpid())]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
        for group, number in self._groups.items():
            self._write(self._process, f"+{group} {number}\n")

    @staticmethod
    def _write(process: "subprocess.Popen[bytes]", line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(line.encode())
        process.stdin.flush()


_GUARD = _Guard()
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
"""The one thread that forks, because for PR_SET_PDEATHSIG Linux counts the forking thread as the parent. This thread
lives as long as the process."""
