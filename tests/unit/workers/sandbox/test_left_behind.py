"""A process that is killed while programs run in its sandbox leaves no process, file or group behind."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.sandbox.probes import gone, processes_with
from support.waiting import wait_until

from workers.sandbox import cgroups, owner_marks
from workers.sandbox.cgroups import CgroupRoot
from workers.sandbox.factory import sweep
from workers.sandbox.subprocess_backend import PREFIX

PROGRAM = """
import sys
from infra.settings.tree import SandboxSettings
from workers.sandbox.base import Program
from workers.sandbox.factory import build_sandbox, default_limits

settings = SandboxSettings(kind=sys.argv[1])
sandbox = build_sandbox(settings)
sandbox.run(Program("python", "print(1)"), default_limits(settings, 5))
print("up", flush=True)
sandbox.run(Program("python", "import subprocess; subprocess.run(['sleep', '61.' + '%s'])" % sys.argv[2]),
            default_limits(settings, 50))
"""


def groups() -> list[Path]:
    root = CgroupRoot.find()
    if root is None:
        return []
    return [path for folder in {root.memory, root.pids} for path in folder.glob(f"{cgroups.PREFIX}*")]


def folders() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


@pytest.mark.parametrize("kind", ["auto", "subprocess"])
def test_nothing_is_left_of_a_process_that_was_killed(kind: str) -> None:
    mark = f"61.{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind, str(os.getpid())], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        wait_until(lambda: any(pid != process.pid for pid in processes_with(mark)), "a process in the sandbox")
        process.send_signal(signal.SIGKILL)
    pids = processes_with(f"-{process.pid}-")
    sweep()
    wait_until(lambda: not processes_with(mark) and all(gone(pid) for pid in pids), "the end of the sandbox")
    left = [path.name for path in (*groups(), *folders()) if f"-{process.pid}-" in path.name]
    assert left == []


def test_a_mark_outlives_no_process() -> None:
    program = "from workers.sandbox.owner_marks import owner_mark; print(owner_mark())"
    mark = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    namespace, pid, started = mark.split("-")
    assert owner_marks.is_left_over(f"{mark}-3")
    assert not owner_marks.is_left_over(f"{owner_marks.owner_mark()}-3")
    assert owner_marks.is_left_over(f"{namespace}-{os.getpid()}-{int(started) - 1}")  # the pid came again
    assert not owner_marks.is_left_over(f"{int(namespace) + 1}-{pid}-{started}")  # another container's
    assert not owner_marks.is_left_over("something else")
