"""What every sandbox does, whatever it isolates with; a bound that it lists as enforced is one that holds."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.settings.tree import SandboxSettings
from workers.sandbox.base import BOUNDS, Ending, Limits, Program, Sandbox, SandboxError, Session, SessionEndedError
from workers.sandbox.factory import build_sandbox

MIB = 2**20
LIMITS = Limits(wall_seconds=8.0, memory_bytes=192 * MIB, processes=16, output_bytes=64 * 1024, file_bytes=4 * MIB)
SOON = Limits(wall_seconds=0.5, memory_bytes=192 * MIB, processes=16, output_bytes=64 * 1024, file_bytes=4 * MIB)
SETTINGS = SandboxSettings(interpreters={"bash": ("bash",), "node": ("node",)}, file_mib=4, warm=1)
"""Of what the limits here ask for, so that the warm path is tested."""
LINK = "/tmp/link"  # noqa: S108  inside
NODE = any((Path(folder) / "node").exists() for folder in os.get_exec_path())


def python(source: str, stdin: bytes = b"", *arguments: str) -> Program:
    return Program("python", source, stdin, arguments)


def gone(pid: int) -> bool:
    """Not there, or a zombie that its parent has yet to see."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


def processes_with(word: str) -> list[int]:
    """Pids whose command line holds it."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and word.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def talk(session: Session, request: bytes) -> bytes:
    session.send(request)
    return session.receive(60, 100)


class SandboxContract:
    kind: str

    @pytest.fixture(scope="class")
    def sandbox(self) -> Iterator[Sandbox]:
        try:
            yield build_sandbox(SETTINGS.model_copy(update={"kind": self.kind}))
        except SandboxError as error:
            pytest.skip(str(error))

    @pytest.fixture
    def enforced(self, sandbox: Sandbox) -> Callable[[str], None]:
        def check(bound: str) -> None:
            if bound not in sandbox.isolation.enforced:
                assert bound in sandbox.isolation.missing
                pytest.skip(f"{sandbox.isolation.name} says that it does not bound this here: {bound}")

        return check

    def test_every_bound_is_listed_once(self, sandbox: Sandbox) -> None:
        isolation = sandbox.isolation
        assert sorted([*isolation.enforced, *isolation.missing]) == sorted(BOUNDS)
        assert all(bound in isolation.line for bound in isolation.missing)
        assert {"memory", "time", "output"} <= set(isolation.enforced)

    def test_a_program_reads_its_input_and_arguments_and_files(self, sandbox: Sandbox) -> None:
        source = "import sys\nprint(sys.stdin.read().upper(), sys.argv[1:], open('more').read(), __name__)"
        ran = sandbox.run(Program("python", source, "größe".encode(), ("a", "b"), {"more": b"!"}), LIMITS)
        assert (ran.ending, ran.code, ran.stderr) == (Ending.EXITED, 0, b"")
        assert ran.stdout.decode() == "GRÖSSE ['a', 'b'] ! __main__\n"

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ("import sys; sys.exit(3)", 3),
            ("raise ValueError", 1),
            ("import os; os._exit(0)", 0),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
            ("import ctypes; ctypes.string_at(0)", -11),
            ("def", 1),
        ],
    )
    def test_the_exit_status_is_the_programs(self, sandbox: Sandbox, source: str, code: int) -> None:
        ran = sandbox.run(python(source), LIMITS)
        assert (ran.ending, ran.code) == (Ending.EXITED, code)

    def test_what_was_printed_before_the_end_is_kept(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(python("import sys\nprint('out', flush=True)\nsys.stderr.write('err')\n1/0"), LIMITS)
        assert ran.stdout == b"out\n"
        assert ran.stderr.startswith(b"err")
        assert b"ZeroDivisionError" in ran.stderr

    def test_programs_in_other_languages(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(Program("bash", 'read -r a b; echo $((a + b)) "$1"', b"1 2\n", ("x",)), LIMITS)
        assert (ran.ending, ran.code, ran.stdout) == (Ending.EXITED, 0, b"3 x\n")

    @pytest.mark.skipif(not NODE, reason="node is not installed")
    def test_an_interpreter_that_reserves_much_memory(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(Program("node", "console.log([3, 1, 2].sort().join())"), LIMITS)
        assert (ran.ending, ran.code, ran.stdout) == (Ending.EXITED, 0, b"1,2,3\n"), ran.stderr

    def test_a_language_that_the_settings_do_not_name(self, sandbox: Sandbox) -> None:
        with pytest.raises(ValueError, match=r"'cobol'; rtv\.sandbox\.interpreters has: .*bash"):
            sandbox.run(Program("cobol", ""), LIMITS)

    def test_many_programs_each_with_its_own_result(self, sandbox: Sandbox) -> None:
        programs = [python("print(input())", str(number).encode()) for number in range(7)]
        found = sandbox.run_all(programs, LIMITS)
        assert [ran.stdout for ran in found] == [f"{number}\n".encode() for number in range(7)]

    def test_no_program_sees_what_another_left(self, sandbox: Sandbox) -> None:
        leave = "import os, sys; open('mark', 'w').close(); sys.modules['mark'] = 1; os.environ['MARK'] = '1'"
        look = "import os, sys; print(os.path.exists('mark'), 'mark' in sys.modules, 'MARK' in os.environ)"
        sandbox.run(python(leave), LIMITS)
        assert sandbox.run(python(look), LIMITS).stdout == b"False False False\n"

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
    def test_it_ends_in_time(self, sandbox: Sandbox, source: str) -> None:
        started = time.monotonic()
        ran = sandbox.run(python(source), SOON)
        assert (ran.ending, ran.code) == (Ending.TIMEOUT, None)
        assert time.monotonic() - started < SOON.wall_seconds + 1.5

    def test_a_grandchild_that_holds_the_output_delays_nothing(self, sandbox: Sandbox) -> None:
        source = (
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        time.sleep(60)\n"
            "    os._exit(0)\n"
            "print('done')"
        )
        started = time.monotonic()
        ran = sandbox.run(python(source), LIMITS)
        assert (ran.ending, ran.stdout) == (Ending.EXITED, b"done\n")
        assert time.monotonic() - started < LIMITS.wall_seconds / 2

    def test_nothing_that_it_started_is_left(self, sandbox: Sandbox) -> None:
        mark = f"rewardstream-left-{os.getpid()}-{self.kind}"
        daemon = (
            f"import subprocess, sys; subprocess.Popen(['bash', '-c', 'sleep 60 # {mark}'], start_new_session=True)"
        )
        ran = sandbox.run(python(f"{daemon}\nimport os\nif os.fork() == 0:\n    {daemon}"), LIMITS)
        assert ran.ending is Ending.EXITED
        until(lambda: not processes_with(mark))

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
        assert sandbox.run(python(source), LIMITS).ending is Ending.OOM

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
        assert sandbox.run(python(source), LIMITS).ending is Ending.OOM

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
        assert b"refused" in ran.stdout or b"can't start new thread" in ran.stderr or ran.ending is Ending.TIMEOUT
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
        assert ran.ending is Ending.OUTPUT
        assert len((ran.stdout, ran.stderr)[stream - 1]) == LIMITS.output_bytes

    def test_output_at_its_limit_is_kept_whole(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(python(f"print('x' * {LIMITS.output_bytes - 1})"), LIMITS)
        assert (ran.ending, len(ran.stdout)) == (Ending.EXITED, LIMITS.output_bytes)
        ran = sandbox.run(python(f"print('x' * {LIMITS.output_bytes})"), LIMITS)
        assert (ran.ending, len(ran.stdout)) == (Ending.OUTPUT, LIMITS.output_bytes)

    def test_a_file_cannot_grow_without_end(self, sandbox: Sandbox) -> None:
        source = "f = open('big', 'wb', buffering=0)\nwhile True: f.write(b'x' * 65536)"
        ran = sandbox.run(python(source), LIMITS)
        assert ran.ending is Ending.EXITED
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

    @pytest.mark.parametrize(
        "path",
        ["/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/1/mem", str(Path(__file__)), "/root/.bashrc", "/sys"],
    )
    @pytest.mark.parametrize("by", ["{}", LINK, "/proc/self/root{}", "/proc/self/cwd/..{}", "/../..{}"])
    def test_no_file_of_the_host_can_be_read(
        self, sandbox: Sandbox, enforced: Callable[[str], None], path: str, by: str
    ) -> None:
        enforced("files")
        source = (
            f"import os\nos.symlink({path!r}, {LINK!r})\n"
            f"name = {by.format(path)!r}\n"
            "print(os.listdir(name) if os.path.isdir(name) else open(name, 'rb').read())"
        )
        ran = sandbox.run(python(source), LIMITS)
        assert ran.ending is Ending.EXITED
        assert ran.stdout in {b"", b"b''\n"}  # the first process inside may be of the program's own user, and empty
        assert ran.stdout or any(name in ran.stderr for name in (b"NotFoundError", b"PermissionError", b"OSError"))

    def test_nothing_can_be_written_but_its_folder(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("files")
        source = (
            "import os\nwritable = set()\n"
            "for folder, inner, _ in os.walk('/'):\n"
            "    if folder.startswith('/proc'): continue\n"
            "    if folder.count('/') > 2: inner.clear()\n"
            "    try: open(folder + '/mine', 'w').close()\n"
            "    except OSError: pass\n"
            "    else: writable.add(folder)\n"
            "print(writable)"
        )
        assert sandbox.run(python(source), LIMITS).stdout == b"{'/tmp'}\n"

    # Network and the host's processes

    def test_no_port_of_the_host_can_be_reached(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("network")
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
            name = f"\0rewardstream-test-{os.getpid()}"
            local.bind(name)
            local.listen()
            source = (
                "import socket\n"
                f"targets = [(2, ('127.0.0.1', {server.getsockname()[1]})), (2, ('10.0.0.1', 80)), (1, {name!r})]\n"
                "for family, address in targets:\n"
                "    try: socket.socket(family).connect(address)\n"
                "    except OSError: pass\n"
                "    else: print('connected', address)\n"
                "print([name for _, name in socket.if_nameindex()])"
            )
            ran = sandbox.run(python(source), LIMITS)
        assert ran.stdout == b"['lo']\n", ran.stderr

    def test_it_is_nobody(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("uid")
        source = (
            "import os\nprint(os.getuid() not in {0, %d} and os.getgid() != 0, len(os.getgroups()))\n"
            "for line in open('/proc/self/status'):\n"
            "    if line.startswith(('CapPrm', 'CapEff', 'CapAmb', 'NoNewPrivs')): print(int(line.split()[1], 16))\n"
            "try: os.setuid(0)\n"
            "except OSError: print('refused')"
        )
        ran = sandbox.run(python(source % os.getuid()), LIMITS)
        assert ran.stdout.split() == [b"True", ran.stdout.split()[1], b"0", b"0", b"0", b"1", b"refused"], ran

    def test_the_hosts_processes_are_out_of_reach(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("uid")
        source = (
            "import os, signal\nreached = []\n"
            f"for pid in [os.getppid(), {os.getpid()}, {os.getppid()}, 1, -1]:\n"
            "    try: os.kill(pid, signal.SIGTERM if pid != -1 else 0)\n"
            "    except OSError: pass\n"
            "    else: reached.append(pid)\n"
            "print(reached)"
        )
        ran = sandbox.run(python(source), LIMITS)
        assert ran.ending is Ending.EXITED
        assert str(os.getpid()).encode() not in ran.stdout

    def test_no_variable_of_the_host_is_inside(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REWARDSTREAM_SECRET", "secret")
        source = "import os\nprint(os.environ, open(f'/proc/{os.getppid()}/environ').read())"
        assert b"secret" not in sandbox.run(python(source), LIMITS).stdout
        first = sandbox.run(python("import os; print('REWARDSTREAM_SECRET' in os.environ)"), LIMITS)
        assert first.stdout == b"False\n"

    def test_it_inherits_no_descriptor(self, sandbox: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            os.set_inheritable(server.fileno(), True)
            ran = sandbox.run(python("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"), LIMITS)
        assert ran.stdout in {b"[0, 1, 2, 3]\n", b""}  # 3 is the listing's own

    # Sessions

    def test_a_session_answers_line_by_line(self, sandbox: Sandbox) -> None:
        with sandbox.open("while True: reply(repr(receive()).encode())", LIMITS) as session:
            for request in ({"a": [1, (2.5, None)]}, b"x" * 10**5, {frozenset([1]): "ü"}):
                session.send(request)
                assert session.receive(5, 10**6) == repr(request).encode()

    @pytest.mark.parametrize(
        ("harness", "ending"),
        [
            ("while True: pass", Ending.TIMEOUT),
            ("import os; os._exit(0)", Ending.EXITED),
            ("reply(b'x' * 2000)", Ending.OUTPUT),
            ("x = bytearray(2**30)", Ending.OOM),
            ("import os\nwhile True: os.write(1, b'x' * 4096)", Ending.OUTPUT),
        ],
    )
    def test_a_session_that_gives_no_answer(self, sandbox: Sandbox, harness: str, ending: Ending) -> None:
        with sandbox.open(harness, LIMITS) as session:
            with pytest.raises(SessionEndedError) as error:
                session.receive(0.5 if ending is Ending.TIMEOUT else 6, 1000)
            assert error.value.ran.ending is ending
            with pytest.raises(SessionEndedError):
                session.send(None)
            assert session.close() == error.value.ran

    def test_a_session_ends_with_its_own_limit(self, sandbox: Sandbox) -> None:
        started = time.monotonic()
        with sandbox.open("while True: pass", SOON) as session, pytest.raises(SessionEndedError) as error:
            session.receive(60, 1000)
        assert error.value.ran.ending is Ending.TIMEOUT
        assert time.monotonic() - started < SOON.wall_seconds + 1.5

    def test_a_program_that_shouts_cannot_wedge_it(self, sandbox: Sandbox) -> None:
        """Nobody reads what it writes while the host waits for its own write."""
        started = time.monotonic()
        with (
            sandbox.open("import os\nwhile True: os.write(2, b'x' * 4096)", SOON) as session,
            pytest.raises(SessionEndedError),
        ):
            talk(session, b"x" * 10**6)
        assert time.monotonic() - started < SOON.wall_seconds + 1.5
