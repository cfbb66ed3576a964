"""`python interrupted_spawn.py DELAY` spawns a child, interrupts itself after DELAY seconds, and checks that it knows
every child that runs.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from infra.local.interrupts import held, interrupt_once
from infra.local.processes import ChildProcess, spawn


def spawn_and_be_interrupted(delay: float) -> None:
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


if __name__ == "__main__":
    spawn_and_be_interrupted(float(sys.argv[1]))
