import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.torchrun import leads, spread, torchrun

ROOT = Path(__file__).parents[4]


def test_torchrun_starts_the_same_command():
    command = torchrun(3, ["serve", "learner", "--metrics-port", "9500"])
    assert command == [
        *(sys.executable, "-m", "infra.cli.launch", "--standalone", "--nproc-per-node=3", "--shutdown-timeout=3600"),
        *("-m", "infra.cli.main", "serve", "learner", "--metrics-port", "9500"),
    ]


@pytest.mark.parametrize(("processes", "rank", "expected"), [(1, None, 0), (2, None, 1), (2, "0", 0), (2, "1", 0)])
def test_only_the_first_process_is_spread(monkeypatch, processes, rank, expected):
    started = []
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    spread(processes)
    assert len(started) == expected
    assert leads() == (rank != "1")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("ends", "code"), [("sys.exit(76)", 76), ("os.kill(os.getpid(), 9)", 137), ("pass", 0)])
def test_the_launcher_ends_with_the_code_of_the_process_that_failed(tmp_path, ends, code):
    program = tmp_path / "program.py"
    program.write_text(f"import os, sys\n{ends}\n")
    command = [sys.executable, "-m", "infra.cli.launch", "--standalone", "--nproc-per-node=1", str(program)]
    assert subprocess.run(command, capture_output=True, cwd=ROOT, check=False).returncode == code
