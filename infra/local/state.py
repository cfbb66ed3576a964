"""What a stack in the background tells about itself: one file, replaced as a whole, beside its runs.

Invariant: the process named in it is the stack's own, checked by its start time, so that a reused process id is never
taken for it.
"""

from pathlib import Path

import msgspec
import psutil

from infra.files.replace import replace_file

_CLOCK_SECONDS = 1.0
"""Start times are compared within this: kernels keep them in hundredths of a second since boot."""


class ServiceLine(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    status: str
    pid: int | None
    restarts: int
    metrics_port: int
    cpu_cores: float
    memory_bytes: int


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    created: float
    """Start of that process, seconds since the epoch."""
    run_id: str
    folder: str
    broker: str
    """`embedded`, `kafka` or `cluster`."""
    bootstrap: str
    database: str
    """The URL without its password."""
    services: tuple[ServiceLine, ...] = ()
    ended: str = ""
    """Why the run ended; empty while it goes on."""
    exit_code: int | None = None

    @property
    def process(self) -> psutil.Process | None:
        """The stack's process, while it runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _CLOCK_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def state_path(runs: Path) -> Path:
    return runs / "stack.json"


def read_state(runs: Path) -> StackState | None:
    """None where no stack was started in this folder of runs."""
    try:
        return msgspec.json.decode(state_path(runs).read_bytes(), type=StackState)
    except FileNotFoundError:
        return None


def write_state(runs: Path, state: StackState) -> None:
    replace_file(state_path(runs), msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
