"""Ctrl-C at every moment of a spawn: the child is known or was never started, and the process ends.

`python test_interrupted_spawn.py DELAY` spawns a child, interrupts itself after DELAY seconds, and checks that it knows
every child that runs.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

MOMENTS = 24
LAST_SECONDS = 0.006
"""A spawn takes two to four milliseconds, the thread that forks included."""


def spawn_and_be_interrupted(delay: float) -> None:
    from infra.local.interrupts import held, interrupt_once
    from infra.local.processes import ChildProcess, spawn

    def interrupt() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    child: ChildProcess | None = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            with interrupt_once():
                threading.Thread(target=interrupt, daemon=True).start()
                with held():
                    child = spawn("sleeper", ["sleep", "60"], log=Path(folder) / "log")
                time.sleep(60)
        except KeyboardInterrupt:
            for process in psutil.Process().children(recursive=True):
                if process.name() == "sleep":
                    assert child is not None, "a child was started that nobody knows"
                    assert process.pid == child.pid
            print("interrupted", flush=True)
            if child is not None:
                child.terminate(1)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_an_interrupt_leaves_no_child_unknown_and_no_lock_taken(moment: int) -> None:
    delay = LAST_SECONDS * moment / MOMENTS
    done = subprocess.run(
        [sys.executable, __file__, str(delay)], capture_output=True, text=True, timeout=10, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_an_interrupt_within_a_held_block_comes_at_the_outermost_end() -> None:
    from infra.local.interrupts import held, interrupt_once

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
    from infra.local.interrupts import interrupt_once

    with interrupt_once():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    spawn_and_be_interrupted(float(sys.argv[1]))
