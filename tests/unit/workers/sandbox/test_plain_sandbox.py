"""Plain subprocesses keep the contract for what they say that they enforce."""

import os
from pathlib import Path

import pytest
from support.sandbox.contract import SandboxContract
from support.sandbox.probes import LIMITS, python

from workers.sandbox.base import Sandbox


class TestPlainSandbox(SandboxContract):
    kind = "subprocess"

    def test_it_says_what_it_does_not_isolate(self, sandbox: Sandbox) -> None:
        assert {"network", "files"} <= set(sandbox.isolation.missing)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root's programs could")
    def test_programs_of_root_reach_no_process_and_write_no_file(self, sandbox: Sandbox, tmp_path: Path) -> None:
        """Even if the interpreter lies where only root can read it."""
        tmp_path.chmod(0o700)
        source = (
            "import os, subprocess, sys\n"
            "def kill(pid):\n"
            "    try: os.kill(pid, 0)\n"
            "    except PermissionError: return 'refused'\n"
            "def write():\n"
            f"    try: open({str(tmp_path / 'x')!r}, 'w')\n"
            "    except PermissionError: return 'refused'\n"
            "print(os.getuid() != 0, kill(os.getppid()), kill(1), write())\n"
            f"print(kill({os.getpid()}), subprocess.run([sys.executable, '-c', 'print(1)']).returncode, flush=True)"
        )
        ran = sandbox.run(python(source), LIMITS)
        assert ran.stdout == b"1\nTrue refused refused refused\nrefused 0\n", ran

    def test_its_folder_goes_with_it(self, sandbox: Sandbox) -> None:
        folder = Path(
            sandbox.run(python("import os; open('x', 'w'); print(os.getcwd())"), LIMITS).stdout.decode().strip()
        )
        assert "rewardstream-sandbox" in folder.name
        assert not folder.exists()
