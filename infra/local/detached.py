"""`up`, `down`, `status` and `reload`: a stack that outlives the command that started it.

Invariant: there is one stack in the background per folder of runs; when `down` returns, nothing of it is left.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.local.processes import LocalStackError, log_tail
from infra.local.run_folder import write_settings
from infra.local.state import ServiceLine, StackState, read_state
from infra.scrape import Metrics, Scrape, Scraper
from infra.settings.tree import Settings

DAEMON = (sys.executable, "-m", "infra.local.daemon")
_START_SECONDS = 300.0
"""Enough for Kafka's start on a loaded machine, a new database and its schema. A stack that fails says so earlier."""
_STOP_SECONDS = 15.0
"""A stack stops within ten seconds."""
_POLL_SECONDS = 0.05
_SANDBOX = "rewardstream_sandbox_isolation"


@dataclass(frozen=True, kw_only=True)
class ServiceHealth:
    service: ServiceLine
    healthy: bool
    """Whether it runs and its /metrics answers."""


@dataclass(frozen=True, kw_only=True)
class StackStatus:
    state: StackState
    running: bool
    services: tuple[ServiceHealth, ...]
    scrape: Scrape
    """What the services answered."""
    sandbox: str = ""
    """Isolation of the programs that a model wrote, as reported by RTV; empty if it does not answer."""

    @property
    def healthy(self) -> bool:
        return self.running and all(service.healthy for service in self.services)


def up(settings: Settings, daemon: Sequence[str] = DAEMON) -> StackState:
    """Starts a stack in the background and returns once its services are started. Raises LocalStackError.

    `daemon` is the program to start; it gets the settings' file as its argument.
    """
    runs = settings.run.folder
    require_none_up(runs)
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".up-", dir=runs) as folder:
        return _launch(runs, [*daemon, str(write_settings(settings, Path(folder)).absolute())])


def require_none_up(runs: Path) -> None:
    """Raises LocalStackError if a stack is already up in this folder of runs."""
    if (state := read_state(runs)) is not None and state.process is not None:
        raise LocalStackError(
            f"the stack of run {state.run_id} is up already (process {state.pid}): "
            "`rewardstream status` shows it, `rewardstream down` stops it"
        )


def _launch(runs: Path, argv: list[str]) -> StackState:
    log_file = runs / "stack.log"
    with log_file.open("wb") as output:
        daemon = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _await_state(runs, daemon, log_file)
    except BaseException:  # also an interrupt: `down` would not find a stack that has not written its state yet
        daemon.terminate()
        daemon.wait()
        raise


def _await_state(runs: Path, daemon: "subprocess.Popen[bytes]", log_file: Path) -> StackState:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if (state := read_state(runs)) is not None and state.pid == daemon.pid and state.process is not None:
            return state
        if daemon.poll() is not None:
            raise LocalStackError(f"the stack did not start; the end of {log_file}:\n{log_tail(log_file)}")
        time.sleep(_POLL_SECONDS)
    raise LocalStackError(
        f"the stack is not up after {_START_SECONDS:g} s; its log is {log_file}:\n{log_tail(log_file)}"
    )


def down(runs: Path) -> StackState | None:
    """Stops the stack. Returns its last state; None if no stack was up."""
    state = read_state(runs)
    process = state.process if state else None
    if process is None:
        return None
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()  # its children end with it, see infra.local.processes
        process.wait(_STOP_SECONDS)
    return read_state(runs)


def status(runs: Path) -> StackStatus | None:
    """The state of the stack; None if no stack was ever started in this folder of runs."""
    state = read_state(runs)
    if state is None:
        return None
    running = state.process is not None
    endpoints = {service.name: service.metrics_url for service in state.services}
    with closing(Scraper()) as scraper:
        scrape = scraper.scrape(endpoints if running else {})
    answers = scrape.services
    services = tuple(ServiceHealth(service=service, healthy=service.name in answers) for service in state.services)
    sandbox = next(filter(None, map(_sandbox_of, answers.values())), "")
    return StackStatus(state=state, running=running, services=services, scrape=scrape, sandbox=sandbox)


def reload(runs: Path, name: str) -> int:
    """Asks a service of the stack to load its scorer again; returns its process id. Raises LocalStackError."""
    state = read_state(runs)
    stack = None if state is None else state.process
    if state is None or stack is None:
        raise LocalStackError(f"nothing is up in {runs.resolve()}: `rewardstream up` starts a stack")
    pid = next((service.pid for service in state.services if service.name == name), None)
    try:
        # Only among the stack's own processes, so that an unrelated process with a reused id is not signalled.
        process = next((child for child in stack.children(recursive=True) if child.pid == pid), None)
        if process is None:
            raise LocalStackError(f"service {name} is not running: `rewardstream status` shows what is")
        process.send_signal(signal.SIGHUP)
    except psutil.NoSuchProcess as error:
        raise LocalStackError(
            f"service {name} has just ended: `rewardstream status` shows whether it is back"
        ) from error
    return int(process.pid)


def _sandbox_of(metrics: Metrics) -> str:
    """The isolation that a service reports; empty if it runs no programs."""
    for name, found in metrics:
        if name == _SANDBOX:
            labels = dict(found)
            missing = labels["missing"]
            return labels["name"] + (f", without isolation of {missing}" if missing else "")
    return ""
