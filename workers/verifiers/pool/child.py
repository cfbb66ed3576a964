"""The parent's handle on one verifier process: start it, ask it, kill it.

Invariant: a Child that `start` returned has reported that it is ready; its imports are done.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from infra.settings.tree import RtvSettings
from workers.verifiers.base import Verdict
from workers.verifiers.pool.wire import LENGTH, Ready, Start, body_length, decode_ready, decode_reply, frame, verdict_of

Message = TypeVar("Message")

START_SECONDS = 60.0
"""Longest start of a process. Imports take 1.5 s on an idle core; a machine that swaps needs many times that."""
REAP_SECONDS = 5.0
"""Longest wait for a killed process. It is usually gone in milliseconds; if not, the kernel holds it, and waiting does
not help."""
POLL_SECONDS = 0.002
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class DiedError(RuntimeError):
    """The process ended without an answer; `code` is its exit status, negative for a signal."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"a verifier process ended in its job: {ending(code)}")
        self.code = code


class NotStartedError(RuntimeError):
    """No process could be started; the log lines of the process say why."""


def ending(code: int | None) -> str:
    if code is None:
        return "its connection closed or carried nonsense"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


class Child:
    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._spent = False
        self.ready = Ready({})

    @classmethod
    async def start(cls, settings: RtvSettings) -> Self:
        """Starts a process. Call it in the loop's own thread, since the parent-death signal is bound to a thread.

        Raises NotStartedError.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = _launch(theirs, settings.memory_mib * 2**20)
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        child = cls(process, reader, writer)
        try:
            async with asyncio.timeout(START_SECONDS):
                writer.write(frame(Start(settings.model_dump_json())))
                child.ready = await child._read(decode_ready)
        except (TimeoutError, DiedError) as error:
            child.kill()
            raise NotStartedError(f"a verifier process did not start: {ending(await child.reap())}") from error
        except BaseException:
            child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._spent and self._process.poll() is None

    def starved_seconds(self) -> float:
        """Seconds since its start in which it was ready to run and other processes had the CPU; 0 if the kernel does
        not count them.
        """
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0

    async def ask(self, data: bytes) -> Verdict:
        """Returns the verdict for `data`, a framed Job. Raises DiedError."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise DiedError(await self.reap()) from error
        reply = await self._read(decode_reply)
        self._spent = reply.spent
        return verdict_of(reply)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()

    async def reap(self) -> int | None:
        """Returns the exit status, or None if the process is still there after REAP_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REAP_SECONDS):
                while self._process.poll() is None:  # noqa: ASYNC110  a child watcher would bind us to one loop
                    await asyncio.sleep(POLL_SECONDS)
        return self._process.returncode

    async def _read(self, decode: Callable[[bytes], Message]) -> Message:
        try:
            header = await self._reader.readexactly(LENGTH.size)
            return decode(await self._reader.readexactly(body_length(header)))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise DiedError(await self.reap()) from error
        except (msgspec.DecodeError, ValueError) as error:  # not a frame: something else wrote to its socket
            self.kill()
            raise DiedError(None) from error


def _launch(connection: socket.socket, memory_bytes: int) -> subprocess.Popen[bytes]:
    """Starts a process by vfork and exec, never a bare fork: the parent may hold threads and gigabytes of weights."""
    arguments = [str(connection.fileno()), str(memory_bytes), str(os.getpid())]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "workers.verifiers.pool.process", *arguments],
        pass_fds=[connection.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, "1"),
    )
