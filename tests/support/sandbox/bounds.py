"""No program in any sandbox takes more time, memory, processes, output or files than its limits allow."""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from support.sandbox.probes import LIMITS, SOON, processes_with, python
from support.waiting import wait_until
from workers.sandbox.base import ExitKind, Sandbox


class BoundsContract:
    kind: str

    # Time

    @pytest.mark.parametrize(
        "source",
        [
            "while True: pass",
            "import time; time.sleep(60)",
            "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
            "import os, time\nos.close(1); os.close(2)\ntime.sleep(60)",
            "import threading, time\nthreading.Thread(target=time.sleep, args=[60]).start()",
        ],
        ids=["busy", "asleep", "deaf", "silent", "thread"],
    )
    def test_a_program_that_does_not_end_is_ended_in_time(self, sandbox: Sandbox, source: str) -> None:
        ran = sandbox.run(python(source), SOON)
        assert (ran.ending, ran.code) == (ExitKind.TIMEOUT, None)

    def test_a_grandchild_that_holds_the_output_delays_nothing(self, sandbox: Sandbox) -> None:
        source = (
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        time.sleep(600)\n"
            "    os._exit(0)\n"
            "print('done')"
        )
        started = time.monotonic()
        ran = sandbox.run(python(source), replace(LIMITS, wall_seconds=60.0))
        assert (ran.ending, ran.stdout) == (ExitKind.EXITED, b"done\n")
        assert time.monotonic() - started < 30  # it would be 60 if the output were awaited

    def test_nothing_that_it_started_is_left(self, sandbox: Sandbox) -> None:
        mark = f"rewardstream-left-{os.getpid()}-{self.kind}"
        daemon = (
            f"import subprocess, sys; subprocess.Popen(['bash', '-c', 'sleep 60 # {mark}'], start_new_session=True)"
        )
        ran = sandbox.run(python(f"{daemon}\nimport os\nif os.fork() == 0:\n    {daemon}"), LIMITS)
        assert ran.ending is ExitKind.EXITED
        wait_until(lambda: not processes_with(mark), "the end of what the program left")

    # Memory

    @pytest.mark.parametrize(
        "source",
        [
            "x = bytearray(2**30)",
            "x = []\nwhile True: x.append(bytearray(2**20))",
            "x = '0' * 10**10",
        ],
        ids=["at once", "bit by bit", "text"],
    )
    def test_it_cannot_take_more_memory(self, sandbox: Sandbox, source: str) -> None:
        assert sandbox.run(python(source), LIMITS).ending is ExitKind.OOM

    def test_its_processes_cannot_take_more_together(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("cgroup")
        source = (
            "import os, sys\n"
            "for _ in range(8):\n"
            "    if os.fork() == 0:\n"
            "        x = bytearray(os.urandom(1)) * (100 * 2**20)\n"
            "        os.read(0, 1)\n"
            "        import time; time.sleep(60)\n"
            "os.wait()"
        )
        assert sandbox.run(python(source), LIMITS).ending is ExitKind.OOM

    # Processes

    @pytest.mark.parametrize(
        "source",
        [
            "import os\nwhile True:\n    try: os.fork()\n    except OSError: print('refused', flush=True); os._exit(0)",
            "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=[60]).start()",
        ],
        ids=["fork", "threads"],
    )
    def test_it_cannot_start_processes_without_end(
        self, sandbox: Sandbox, enforced: Callable[[str], None], source: str
    ) -> None:
        enforced("processes")
        ran = sandbox.run(python(source), SOON)
        assert b"refused" in ran.stdout or b"can't start new thread" in ran.stderr or ran.ending is ExitKind.TIMEOUT
        assert sandbox.run(python("print(1)"), LIMITS).stdout == b"1\n"

    def test_a_fork_flood_is_refused(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("processes")
        source = (
            "import os, time\n"
            "count = 0\n"
            "try:\n"
            "    while count < 500:\n"
            "        if os.fork() == 0: time.sleep(60)\n"
            "        count += 1\n"
            "except OSError:\n"
            "    print(count)"
        )
        ran = sandbox.run(python(source), LIMITS)
        assert 0 < int(ran.stdout) <= LIMITS.processes

    # Output and files

    @pytest.mark.parametrize("stream", [1, 2])
    def test_output_is_cut_at_its_limit(self, sandbox: Sandbox, stream: int) -> None:
        ran = sandbox.run(python(f"import os\nwhile True: os.write({stream}, b'x' * 65536)"), LIMITS)
        assert ran.ending is ExitKind.OUTPUT
        assert len((ran.stdout, ran.stderr)[stream - 1]) == LIMITS.output_bytes

    def test_output_at_its_limit_is_kept_whole(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(python(f"print('x' * {LIMITS.output_bytes - 1})"), LIMITS)
        assert (ran.ending, len(ran.stdout)) == (ExitKind.EXITED, LIMITS.output_bytes)
        ran = sandbox.run(python(f"print('x' * {LIMITS.output_bytes})"), LIMITS)
        assert (ran.ending, len(ran.stdout)) == (ExitKind.OUTPUT, LIMITS.output_bytes)

    def test_a_file_cannot_grow_without_end(self, sandbox: Sandbox) -> None:
        source = "f = open('big', 'wb', buffering=0)\nwhile True: f.write(b'x' * 65536)"
        ran = sandbox.run(python(source), LIMITS)
        assert ran.ending is ExitKind.EXITED
        assert b"OSError" in ran.stderr

    def test_all_its_files_cannot_grow_without_end(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("files")
        source = (
            "import os\n"
            "def fill(folder):\n"
            "    number = total = 0\n"
            "    try:\n"
            "        while total < 64 * 2**20:\n"
            "            number += 1\n"
            "            name = folder + '/' + folder.replace('/', '') + str(number)\n"
            "            with open(name, 'wb', buffering=0) as f: total += f.write(b'x' * 2**20)\n"
            "    except OSError: pass\n"
            "    return total\n"
            "print(sum(map(fill, ['/tmp', '/dev/shm', '/', '/dev', '/usr', '/etc', '/python', '/proc', '/var/tmp'])))"
        )
        ran = sandbox.run(python(source), LIMITS)
        assert 0 < int(ran.stdout) <= LIMITS.file_bytes, ran.stderr
