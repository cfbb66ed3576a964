"""What the supervisor's tests share, and a stack of small services as a program of its own.

`python supervised.py stack RUNS BEHAVIOUR` is a stack of three of them, `... daemon SETTINGS_FILE` the same as the
background runs it.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from infra.local.service_commands import CommandTable, ServiceSpec
from infra.settings.load import load
from infra.settings.tree import BrokerKind, BrokerSettings, RunSettings, Settings

T = TypeVar("T")
_SERVICE = Path(__file__).with_name("dummy_service.py")

IDLE, STUBBORN, CRASH, FAMILY, FILL, LEAVE, REFUSE = "idle", "stubborn", "crash", "family", "fill", "leave", "refuse"
DIVERGE = "diverge"


def spec(name: str, behaviour: str, folder: Path) -> ServiceSpec:
    argv = [sys.executable, "-I", "-S", str(_SERVICE), name, behaviour, str(folder)]
    return ServiceSpec(name=name, argv=lambda port: [*argv, str(port)])


def ready_file(folder: Path, name: str) -> Path:
    """Holds the service's process id once it runs."""
    return folder / f"{name}.ready"


def pid_of(folder: Path, name: str) -> int:
    return int(await_true(lambda: ready_file(folder, name).exists() and ready_file(folder, name).read_text()))


def await_true(condition: Callable[[], T]) -> T:
    """The first true value; the test's own timeout bounds the wait."""
    while not (value := condition()):
        time.sleep(0.02)
    return value


def tree_of(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie whose parent died waits for init only."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def services(behaviour: str) -> CommandTable:
    return lambda _, file: [spec(name, behaviour, file.parent) for name in ("router", "selector", "learner")]


def daemon(settings_file: Path) -> None:
    from infra.local.daemon import run

    sys.exit(run(load(str(settings_file)).settings, services(IDLE)))


def settings_in(runs: Path) -> Settings:
    return Settings(run=RunSettings(folder=runs), broker=BrokerSettings(kind=BrokerKind.EMBEDDED))


def stack(runs: Path, behaviour: str) -> None:
    from infra.local.interrupts import interrupt_once
    from infra.local.stack import Stack

    try:
        with interrupt_once():
            print("starting", flush=True)
            with Stack(settings_in(runs), services(behaviour)) as started:
                started.start_services()
                started.wait()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    if sys.argv[1] == "daemon":
        daemon(Path(sys.argv[2]))
    else:
        stack(Path(sys.argv[2]), sys.argv[3])
