"""The host's end of one sandboxed process tree: feed it its job, read what it writes, kill it.

Invariant: nothing here waits without a bound. No read waits for the end of a pipe, which a grandchild may hold, and
what is kept of an output is at most its limit.
"""

import marshal
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Protocol

from workers.sandbox.base import ExitKind, ProgramLimits, RunResult, SandboxError
from workers.sandbox.inside_init import MEMORY_EXIT, READY
from workers.sandbox.reaping import STARTED, children_of

START_SECONDS = 10.0
"""An interpreter is ready in 20 ms; on a machine that swaps it takes many times that."""
GONE_SECONDS = 1.0
"""A killed tree is gone in milliseconds; longer means that the kernel holds it, and waiting does not help."""
_CHUNK = 2**16
_SIGNAL_EXIT = 128
"""A launcher reports the death of its child by a signal as a shell does."""


class ChannelClosed(Exception):  # noqa: N818  a signal to the callers here, not an error
    """The channel is closed or full beyond the deadline."""


@dataclass(slots=True)
class DescriptorOutput:
    """The output of one descriptor, up to its limit."""

    descriptor: int
    limit: int = 0
    data: bytearray = field(default_factory=bytearray)
    open: bool = True
    over: bool = False

    def take(self) -> None:
        """Reads once; call it when the descriptor is readable."""
        try:
            chunk = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self.open = bool(chunk)
        room = self.limit - len(self.data)
        self.data += chunk[:room]
        self.over = self.over or len(chunk) > room

    def drain(self) -> None:
        """Reads what is already there, up to the limit."""
        while self.open and not self.over and select.select([self.descriptor], [], [], 0)[0]:
            self.take()


class HostResources(Protocol):
    """The host's resources that a process tree owns."""

    def bound(self, limits: ProgramLimits, *, python: bool) -> dict[str, int]:
        """Sets the limits that the host sets; returns those that inside_init sets, by their names in `resource`."""
        ...

    def memory_killed(self) -> bool:
        """Whether the kernel killed a process of this program for its memory."""
        ...

    def clear(self) -> None:
        """Kill what is left of the tree, and remove its files."""
        ...

    def release(self) -> None:
        """The next program may have it."""
        ...


class ProcessTree:
    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, place: HostResources) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        STARTED.add(process.pid)
        self._channel = channel
        self._place = place
        self._pidfd = os.pidfd_open(process.pid)
        self._stdout = DescriptorOutput(process.stdout.fileno())
        self._stderr = DescriptorOutput(process.stderr.fileno(), limit=_CHUNK)  # a launcher that fails says why
        self.inbox = DescriptorOutput(channel.fileno(), limit=len(READY))
        for output in (self._stdout, self._stderr, self.inbox):
            os.set_blocking(output.descriptor, False)
        self._started = time.monotonic()
        self.deadline = self._started + START_SECONDS
        self._inner: list[tuple[int, int]] = []
        self._buried = False
        self.ended = False
        self.ran: RunResult | None = None

    def boot(self, init: CodeType, setup: dict[str, Any]) -> None:
        """Sends inside_init and its setup; the tree is ready for its job a little later. Raises SandboxError."""
        try:
            self.send(init)
            self.send(setup)
        except ChannelClosed as error:
            raise self._not_started() from error

    def wait_ready(self) -> None:
        """Raises SandboxError."""
        while not self.inbox.data:
            pump([self], self.deadline - time.monotonic())
            if self.inbox.data:
                break
            if self.ended or not self.inbox.open or time.monotonic() >= self.deadline:
                raise self._not_started()
        self._note_inner()
        self.inbox.data.clear()
        self.inbox.limit = 0
        self._stderr.data.clear()

    def start(self, job: dict[str, Any], limits: ProgramLimits) -> None:
        """Hands the job over; its time runs from here. Raises SandboxError."""
        self._started = time.monotonic()
        self.deadline = self._started + limits.wall_seconds
        self._stdout.limit = self._stderr.limit = limits.output_bytes
        try:
            self.send(job | {"limits": self._place.bound(limits, python=not job["argv"])})
        except (ChannelClosed, OSError) as error:
            ran = self.finish(ExitKind.EXITED)
            self.bury()
            raise SandboxError(f"a sandbox ended before its job (code {ran.code}): {error}") from error

    def send(self, message: Any) -> None:
        """Raises ChannelClosed."""
        data = marshal.dumps(message)
        view = memoryview(len(data).to_bytes(8, "little") + data)
        try:
            while view:
                self._channel.settimeout(max(self.deadline - time.monotonic(), 0.001))
                view = view[self._channel.send(view) :]
        except OSError as error:
            raise ChannelClosed from error
        finally:
            self._channel.setblocking(False)

    def descriptors(self) -> Iterable[tuple[int, Callable[[], None]]]:
        if not self.ended:
            yield self._pidfd, self._end
        for output in (self._stdout, self._stderr, self.inbox):
            if output.open and not output.over:
                yield output.descriptor, output.take

    def ending(self) -> ExitKind | None:
        """How it ended, or None while it runs."""
        if self._stdout.over or self._stderr.over:
            return ExitKind.OUTPUT
        if self.ended:
            return ExitKind.EXITED
        return ExitKind.TIMEOUT if time.monotonic() >= self.deadline else None

    def finish(self, ending: ExitKind) -> RunResult:
        """Kills every process; the first call decides the ending. `bury` waits for their deaths."""
        if self.ran is not None:
            return self.ran
        seconds = time.monotonic() - self._started
        if not self._inner:
            self._note_inner()
        if self.ended:
            self._process.wait()
        else:
            self._process.kill()
        self._place.clear()
        self._stdout.drain()
        self._stderr.drain()
        self.ran = self._told(ending, _exit_code(self._process.returncode), seconds)
        self._channel.close()
        return self.ran

    def bury(self) -> None:
        """Waits until all of it is gone, and frees what it holds. Call it after `finish`; it may be called again."""
        if self._buried:
            return
        self._buried = True
        _await_end(self._pidfd)
        self._process.poll()
        for pid, descriptor in self._inner:
            _await_end(descriptor)  # the launcher's child dies with it, and its namespace with the child
            os.close(descriptor)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # it was orphaned and became ours, see reaping
        STARTED.discard(self._process.pid)
        os.close(self._pidfd)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        self._place.release()

    def _note_inner(self) -> None:
        with suppress(ProcessLookupError):
            self._inner += [(pid, os.pidfd_open(pid)) for pid in children_of(self._process.pid)]

    def _told(self, ending: ExitKind, code: int | None, seconds: float) -> RunResult:
        if ending is not ExitKind.OUTPUT and (code == MEMORY_EXIT or self._place.memory_killed()):
            ending = ExitKind.OOM
        elif ending is ExitKind.EXITED and (self._stdout.over or self._stderr.over):
            ending = ExitKind.OUTPUT
        kept = bytes(self._stdout.data), bytes(self._stderr.data)
        return RunResult(ending, code if ending is ExitKind.EXITED else None, *kept, seconds)

    def _not_started(self) -> SandboxError:
        ran = self.finish(ExitKind.EXITED if self.ended else ExitKind.TIMEOUT)
        self.bury()
        said = ran.stderr.decode(errors="replace").strip()[-300:]
        return SandboxError(f"a sandbox did not start ({ran.ending}, code {ran.code}): {said or 'no message'}")

    def _end(self) -> None:
        self.ended = True


def pump(trees: Iterable[ProcessTree], seconds: float) -> None:
    """Waits for the next event of any tree, at most `seconds`, and reads what there is."""
    poll = select.poll()
    handlers = {}
    for tree in trees:
        for descriptor, handler in tree.descriptors():
            handlers[descriptor] = handler
            poll.register(descriptor, select.POLLIN)
    for descriptor, _ in poll.poll(max(seconds, 0) * 1000):
        handlers[descriptor]()


def _await_end(pidfd: int) -> None:
    select.select([pidfd], [], [], GONE_SECONDS)


def _exit_code(status: int | None) -> int | None:
    if status is not None and _SIGNAL_EXIT < status <= _SIGNAL_EXIT + signal.NSIG:
        return _SIGNAL_EXIT - status
    return status
