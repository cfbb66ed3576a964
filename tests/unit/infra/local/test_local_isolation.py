"""`rewardstream status` tells the isolation that RTV has announced in its metrics."""

import json
import os
from pathlib import Path

import psutil
import pytest
from prometheus_client import start_http_server

from infra.cli.stack import status as status_command
from infra.local.state import ServiceLine, StackState, write_state
from workers.sandbox.base import Isolation
from workers.verifiers.pool.isolation import announce

CASES = [
    (Isolation("bubblewrap", ("network",), ()), "bubblewrap"),
    (Isolation("subprocess", ("memory",), ("network", "files")), "subprocess, without isolation of network, files"),
]


@pytest.fixture
def runs(tmp_path: Path):
    """A folder of runs whose stack is this process, which serves its metrics."""
    server, thread = start_http_server(0, "127.0.0.1")
    line = ServiceLine(
        name="rtv", status="running", pid=1, restarts=0, metrics_port=server.server_port, cpu_cores=0, memory_bytes=0
    )
    pid, created = os.getpid(), psutil.Process().create_time()
    common = {"run_id": "r", "folder": "f", "broker": "embedded", "bootstrap": "b", "database": "d"}
    write_state(tmp_path, StackState(pid=pid, created=created, services=(line,), **common))
    yield tmp_path
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("isolation", "line"), CASES)
def test_status_tells_the_isolation(
    runs: Path, capsys: pytest.CaptureFixture[str], isolation: Isolation, line: str
) -> None:
    announce(isolation)
    status_command(runs=runs, as_json=False)
    assert f"\nsandbox      {line}\n" in capsys.readouterr().out
    status_command(runs=runs, as_json=True)
    assert json.loads(capsys.readouterr().out)["sandbox"] == line
