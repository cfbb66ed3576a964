"""CPU and memory that processes use, by session: each service leads a session, so its helpers are counted with it."""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class Usage:
    cpu_cores: float = 0.0
    """Busy cores since the previous sample."""
    memory_bytes: int = 0
    """Resident memory; pages shared between a service and its helpers are counted in each."""


class Meter:
    """Takes one pass over the process table per sample."""

    def __init__(self) -> None:
        self._cpu_seconds: dict[psutil.Process, float] = {}
        self._time = time.monotonic()

    def sample(self, sessions: Collection[int]) -> dict[int, Usage]:
        """Usage of each session, by the id of its leader."""
        now, cpu_seconds = time.monotonic(), dict[psutil.Process, float]()
        busy, memory = dict.fromkeys(sessions, 0.0), dict.fromkeys(sessions, 0)
        for process, session in self._session_members(sessions):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory[session] += process.memory_info().rss
            except psutil.Error:  # it has ended
                continue
            cpu_seconds[process] = times.user + times.system
            busy[session] += cpu_seconds[process] - self._cpu_seconds.get(process, 0.0)
        passed, self._time, self._cpu_seconds = max(now - self._time, 1e-3), now, cpu_seconds
        return {name: Usage(cpu_cores=busy[name] / passed, memory_bytes=memory[name]) for name in sessions}

    def _session_members(self, sessions: Collection[int]) -> list[tuple[psutil.Process, int]]:
        members = []
        for pid in psutil.pids():
            try:
                session = os.getsid(pid)
                if session in sessions:
                    members.append((psutil.Process(pid), session))
            except (ProcessLookupError, PermissionError, psutil.Error):  # it has ended, or belongs to another user
                continue
        return members
