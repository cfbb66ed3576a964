"""A stack of three small services as a program of its own.

`python stack_program.py stack RUNS BEHAVIOUR` runs it in the foreground, `... daemon SETTINGS_FILE` as the background
does. It imports nothing of this package, so that it runs as a file.
"""

import sys
from pathlib import Path

from infra.local.service_commands import CommandTable, ServiceSpec
from infra.settings.load import load
from infra.settings.tree import BrokerKind, BrokerSettings, RunSettings, Settings
from infra.settings.web_page import WebPageSettings

_SERVICE = Path(__file__).with_name("dummy_service.py")
IDLE = "idle"


def spec(name: str, behaviour: str, folder: Path) -> ServiceSpec:
    argv = [sys.executable, "-I", "-S", str(_SERVICE), name, behaviour, str(folder)]
    return ServiceSpec(name=name, argv=lambda port: [*argv, str(port)])


def services(behaviour: str) -> CommandTable:
    return lambda _, file: [spec(name, behaviour, file.parent) for name in ("router", "selector", "learner")]


def daemon(settings_file: Path) -> None:
    from infra.local.daemon import run

    sys.exit(run(load(str(settings_file)).settings, services(IDLE)))


def settings_in(runs: Path) -> Settings:
    return Settings(
        run=RunSettings(folder=runs),
        broker=BrokerSettings(kind=BrokerKind.EMBEDDED),
        page=WebPageSettings(enabled=False),
    )


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
