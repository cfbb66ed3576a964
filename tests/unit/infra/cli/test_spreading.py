import os
import sys

import pytest

from infra.cli.torchrun import leads, spread, torchrun


def test_torchrun_starts_the_same_command():
    command = torchrun(3, ["serve", "learner", "--metrics-port", "9500"])
    assert command == [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"),
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
