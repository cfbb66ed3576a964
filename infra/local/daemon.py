"""The process that owns a stack in the background: `python -m infra.local.daemon SETTINGS_FILE`.

Invariant: while this process lives, the state file says what is running; afterwards it says why the run ended.
"""

import logging
import os
import sys
from pathlib import Path

import psutil

from infra import logs
from infra.db.engine import shown
from infra.local.disk import is_disk_full
from infra.local.interrupts import interrupt_once
from infra.local.service_commands import CommandTable, service_specs
from infra.local.stack import Stack
from infra.local.state import ServiceLine, StackState, write_state
from infra.local.supervisor import RunEnd, RunOutcome, ServiceState
from infra.settings.load import load
from infra.settings.tree import Settings

log = logging.getLogger(__name__)

_REPORT_SECONDS = 1.0


def run(settings: Settings, commands: CommandTable = service_specs) -> int:
    """Runs the stack until the run ends or SIGTERM comes; returns the exit code."""
    runs = settings.run.folder
    with interrupt_once(), Stack(settings, commands) as stack:
        supervisor = stack.start_services()
        stack.serve_page()
        end: RunEnd | None = None
        try:
            while end is None:
                _write_report(runs, describe(stack, supervisor.snapshot()))
                end = supervisor.wait(_REPORT_SECONDS)
        except KeyboardInterrupt:
            end = supervisor.stop()
        log.info("%s", end.message)
        _write_report(runs, describe(stack, supervisor.snapshot(), end))
    return 0 if end.outcome is RunOutcome.STOPPED else end.exit_code


def _write_report(runs: Path, state: StackState) -> None:
    """If the disk is full, the file stays as it was: the supervisor decides what a full disk means for the run."""
    try:
        write_state(runs, state)
    except OSError as error:
        if not is_disk_full(error):
            raise
        log.warning("the state was not written: %s", error)


def describe(stack: Stack, services: tuple[ServiceState, ...], end: RunEnd | None = None) -> StackState:
    return StackState(
        pid=os.getpid(),
        created=psutil.Process().create_time(),
        run_id=stack.run_id,
        folder=str(stack.folder),
        broker=str(stack.broker.kind),
        bootstrap=stack.broker.bootstrap,
        database=shown(stack.database.url),
        page=stack.page.url,
        services=tuple(_service_line(service) for service in services),
        ended=end.message if end else "",
        exit_code=end.exit_code if end else None,
    )


def _service_line(service: ServiceState) -> ServiceLine:
    return ServiceLine(
        name=service.name,
        status=str(service.status),
        pid=service.pid,
        restarts=service.restarts,
        metrics_port=service.metrics_port,
        cpu_cores=round(service.usage.cpu_cores, 2),
        memory_bytes=service.usage.memory_bytes,
    )


if __name__ == "__main__":
    loaded = load(str(Path(sys.argv[1]))).settings
    logs.set_up(loaded.logs, "stack", loaded.run.id, wrap_stdout=True)
    sys.exit(run(loaded))
