"""Ctrl-C at every moment of a spawn: the child is known or was never started, and the process ends."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import interrupted_spawn
from support.waiting import wait_until

from infra.local.interrupts import held, interrupt_once
from infra.local.processes import spawn

MOMENTS = 24
LAST_SECONDS = 0.006
"""A spawn takes two to four milliseconds, the thread that forks included."""


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_an_interrupt_leaves_no_child_unknown_and_no_lock_taken(moment: int) -> None:
    delay = LAST_SECONDS * moment / MOMENTS
    done = subprocess.run(
        [sys.executable, interrupted_spawn.__file__, str(delay)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


class InterruptedLock:
    """The lock that Popen.poll takes; the first time, SIGINT comes before Popen can note that it has it."""

    def __init__(self, lock: threading.Lock) -> None:
        self.lock, self.interrupted = lock, False

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 (as Popen calls it)
        taken = self.lock.acquire(blocking)
        if not self.interrupted:
            self.interrupted = True
            signal.raise_signal(signal.SIGINT)
        return taken

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_an_interrupt_while_a_child_is_polled_leaves_its_end_to_be_seen(tmp_path: Path) -> None:
    child = spawn("sleeper", ["sleep", "60"], log=tmp_path / "log")
    child.process._waitpid_lock = InterruptedLock(child.process._waitpid_lock)
    with interrupt_once():
        with pytest.raises(KeyboardInterrupt):
            child.poll()
        child.process.send_signal(signal.SIGTERM)
        wait_until(lambda: child.poll() is not None, "the end of the child to be seen")


def test_an_interrupt_within_a_held_block_comes_at_the_outermost_end() -> None:
    reached = []

    def interrupted() -> None:
        with held():
            with held():
                signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")
        reached.append("after")

    with interrupt_once(), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == ["inner", "outer"]


def test_a_second_interrupt_changes_nothing() -> None:
    with interrupt_once():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
