"""Makes orphans below this process its children, not init's, so that what a program leaves is found and reaped here.

Invariant: only children are touched that came after a given moment, that nobody here started, and that are in another
session than this process. A process that runs programs without a cgroup or a uid of their own starts no session of
its own meanwhile.
"""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
STARTED: set[int] = set()
"""First processes of all sandboxes of this process that run or wait: no orphans."""
_POLL_SECONDS = 0.001


def adopt_orphans() -> None:
    """For this whole process, from now on. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children_of(pid: int) -> set[int]:
    """Children of all its threads; none if it is gone, or if the kernel does not list them."""
    found: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  names are all that is wanted
            listed = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
            found.update(int(child) for child in listed.split())
    return found


def kill_adopted(known: set[int], seconds: float) -> None:
    """Kill and reap this process's children beyond `known`, and theirs, which become ours in turn."""
    deadline = time.monotonic() + seconds
    while (orphans := _adopted(known)) and time.monotonic() < deadline:
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_POLL_SECONDS)


def _adopted(known: set[int]) -> set[int]:
    session = os.getsid(0)
    found = set()
    for pid in children_of(os.getpid()) - known - STARTED:
        with suppress(ProcessLookupError):
            if os.getsid(pid) != session:
                found.add(pid)
    return found


def kill_user(uid: int) -> None:
    """Every process of this uid, at once: only its own may signal all, so a child becomes it. Needs root."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def tasks_of_user() -> int:
    """Threads of this process's user on the whole host, since RLIMIT_NPROC counts them all."""
    own, count = os.getuid(), 0
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == own:
                count += len(os.listdir(process / "task"))  # noqa: PTH208  their number is all that is wanted
    return count
