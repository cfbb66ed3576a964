"""A stack of real parts that is killed or interrupted, at every phase: nothing is left running."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support import stack_program
from support.supervised import FAMILY, IDLE, STUBBORN, await_end, tree_of
from support.waiting import wait_until

STOP_SECONDS = 30
"""A stop takes one second on an idle machine, and its grace is at most ten."""
PHASES = {
    "starting": "",
    "broker": "latest/logs/broker.log",
    "initdb": ".unfinished-postgres-*",
    "postgres": "postgres/postmaster.pid",
    "schema and topics": "latest/settings.json",
    "services": "latest/logs/router.log",
    "running": "latest/learner.ready",
}
"""A phase begins when a file of its pattern is there."""


@pytest.fixture
def runs() -> Iterator[Path]:
    """Not under pytest's private folder, which the user that Postgres runs as cannot enter."""
    with tempfile.TemporaryDirectory(prefix="runs-") as folder:
        yield Path(folder)


def start(runs: Path, behaviour: str) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, stack_program.__file__, "stack", str(runs), behaviour]
    stack = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    assert stack.stdout is not None
    assert stack.stdout.readline() == b"starting\n"
    return stack


def await_phase(runs: Path, phase: str, stack: "subprocess.Popen[bytes]") -> None:
    def reached() -> bool:
        assert stack.poll() is None, f"the stack ended before {phase}"
        return not PHASES[phase] or any(runs.glob(PHASES[phase]))

    wait_until(reached, f"phase {phase}", interval=0.005)


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_stops_cleanly_at_every_phase(runs: Path, phase: str) -> None:
    stack = start(runs, IDLE)
    await_phase(runs, phase, stack)
    processes = tree_of(stack.pid)
    os.kill(stack.pid, signal.SIGINT)
    assert stack.wait(STOP_SECONDS) == 130
    await_end(processes)
    assert strangers(runs) == []


def test_ctrl_c_with_a_service_that_does_not_listen(runs: Path) -> None:
    stack = start(runs, STUBBORN)
    await_phase(runs, "running", stack)
    processes = tree_of(stack.pid)
    os.kill(stack.pid, signal.SIGINT)
    assert stack.wait(STOP_SECONDS) == 130
    await_end(processes)


@pytest.mark.parametrize(("phase", "behaviour"), [("initdb", IDLE), ("running", FAMILY)])
def test_a_killed_stack_leaves_no_process_and_the_next_one_starts(runs: Path, phase: str, behaviour: str) -> None:
    stack = start(runs, behaviour)
    await_phase(runs, phase, stack)
    # what leaves its process group has to notice the end by itself, as Postgres's backends do and `sleep` does not
    processes = tree_of(stack.pid)
    outside = [one for one in processes if one.name() == "sleep" and os.getpgid(one.pid) == one.pid]
    inside = [one for one in processes if one not in outside]
    assert phase != "running" or any(one.name() == "sleep" for one in inside)
    stack.kill()
    stack.wait()
    await_end(inside)
    assert strangers(runs) == []
    for one in outside:
        one.kill()
    again = start(runs, IDLE)
    wait_until(lambda: (runs / "latest" / "router.ready").exists() or again.poll() is not None, "the router to run")
    os.kill(again.pid, signal.SIGINT)
    assert again.wait(STOP_SECONDS) == 130


def strangers(runs: Path) -> list[str]:
    """Command lines of running processes that name this test's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(runs) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found
