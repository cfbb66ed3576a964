"""Files, network, processes and secrets of the host are out of reach, where the sandbox says that it enforces that."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.sandbox.probes import LIMITS, python
from workers.sandbox.base import ExitKind, Sandbox

LINK = "/tmp/link"  # noqa: S108  inside


class IsolationContract:
    # Files

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
        assert ran.ending is ExitKind.EXITED
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

    def test_a_program_runs_as_nobody(self, sandbox: Sandbox, enforced: Callable[[str], None]) -> None:
        enforced("uid")
        source = (
            "import os\nprint(os.getuid() not in {0, %d} and os.getgid() != 0)\n"
            "for line in open('/proc/self/status'):\n"
            "    if line.startswith(('CapPrm', 'CapEff', 'CapAmb', 'NoNewPrivs')): print(int(line.split()[1], 16))\n"
            "try: os.setuid(0)\n"
            "except OSError: print('refused')"
        )
        ran = sandbox.run(python(source % os.getuid()), LIMITS)
        assert ran.stdout.split() == [b"True", b"0", b"0", b"0", b"1", b"refused"], ran

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
        assert ran.ending is ExitKind.EXITED
        assert str(os.getpid()).encode() not in ran.stdout

    def test_no_variable_of_the_host_is_inside(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REWARDSTREAM_SECRET", "secret")
        source = "import os\nprint(os.environ, open(f'/proc/{os.getppid()}/environ').read())"
        assert b"secret" not in sandbox.run(python(source), LIMITS).stdout
        first = sandbox.run(python("import os; print('REWARDSTREAM_SECRET' in os.environ)"), LIMITS)
        assert first.stdout == b"False\n"

    def test_a_program_inherits_no_descriptor(self, sandbox: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            os.set_inheritable(server.fileno(), True)
            ran = sandbox.run(python("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"), LIMITS)
        assert ran.stdout in {b"[0, 1, 2, 3]\n", b""}  # 3 is the listing's own
