"""The state of a stack in the background: one file in the folder of runs, replaced as a whole.

Invariant: the process that it names is the stack's own. Its start time is checked, so that an unrelated process with a
reused id is never taken for it.
"""

from pathlib import Path

import msgspec
import psutil

from infra.files.replace import replace_file
from infra.local.ports import LOOPBACK

_CLOCK_SECONDS = 1.0
"""Tolerance when start times are compared: kernels keep them in hundredths of a second since boot."""


class ServiceLine(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    status: str
    pid: int | None
    restarts: int
    metrics_port: int
    cpu_cores: float
    memory_bytes: int

    @property
    def metrics_url(self) -> str:
        return f"http://{LOOPBACK}:{self.metrics_port}/metrics"


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    created: float
    """Start of that process, in Unix seconds."""
    run_id: str
    folder: str
    broker: str
    """`embedded`, `kafka` or `cluster`."""
    bootstrap: str
    database: str
    """URL of the database, without its password."""
    page: str = ""
    """Address of the run's page; empty if it has none."""
    services: tuple[ServiceLine, ...] = ()
    ended: str = ""
    """Why the run ended; empty while it is running."""
    exit_code: int | None = None

    @property
    def process(self) -> psutil.Process | None:
        """The stack's process; None if it is not running."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _CLOCK_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def state_path(runs: Path) -> Path:
    return runs / "stack.json"


def read_state(runs: Path) -> StackState | None:
    """The stack's state; None if no stack was started in this folder of runs."""
    try:
        return msgspec.json.decode(state_path(runs).read_bytes(), type=StackState)
    except FileNotFoundError:
        return None


def write_state(runs: Path, state: StackState) -> None:
    replace_file(state_path(runs), msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
