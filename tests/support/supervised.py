"""Small services under a supervisor: how they behave, where they note that they run, and which processes are left."""

from pathlib import Path

import psutil

from support.waiting import wait_until

IDLE, STUBBORN, CRASH, FAMILY, FILL, LEAVE, REFUSE = "idle", "stubborn", "crash", "family", "fill", "leave", "refuse"
DIVERGE, AWAY, FULL = "diverge", "away", "full"


def ready_file(folder: Path, name: str) -> Path:
    """Holds the service's process id once it runs."""
    return folder / f"{name}.ready"


def pid_of(folder: Path, name: str) -> int:
    file = ready_file(folder, name)
    return int(wait_until(lambda: file.exists() and file.read_text(), f"{name} to run"))


def tree_of(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie whose parent died waits for init only."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def await_end(processes: list[psutil.Process]) -> None:
    wait_until(lambda: not survivors(processes), "the end of processes", details=lambda: str(survivors(processes)))
