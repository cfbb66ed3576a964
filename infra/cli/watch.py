"""Watches a stack that this process owns, until its run ends."""

import time

from infra.cli.errors import CommandError, ExitCode
from infra.db.engine import connect
from infra.local.daemon import describe
from infra.local.stack import Stack
from infra.local.state import write_state
from infra.local.supervisor import RunEnd, Supervisor
from infra.report.history import HistoryWriter
from infra.screen.monitor import TICK_SECONDS, Monitor, Watched


def broker_text(stack: Stack) -> str:
    """The broker's kind and address, and what its death would mean."""
    where = f"{stack.broker.kind} at {stack.broker.bootstrap}"
    return where if stack.broker.durable else f"{where} (keeps its log in memory: its death ends the run)"


def watch(stack: Stack, started: float, *, screen: bool | None) -> RunEnd:
    """Starts the services and shows the run until it ends. `screen` None: shown if there is a terminal."""
    supervisor = stack.start_services()
    stack.serve_page()
    if stack.page.url:
        print(f"page: {stack.page.url}", flush=True)
    run = Watched(
        stack.run_id,
        stack.settings.topics.prefix,
        broker_text(stack),
        started,
        stack.settings,
        stack.folder,
        stack.page.url,
    )
    database = stack.settings.database
    engine = connect(database.full_url(), database.connect_timeout_seconds)
    try:
        with HistoryWriter(stack.folder) as keep, Monitor(run, engine, keep=keep, live=screen) as monitor:
            return _until_end(stack, supervisor, monitor)
    except KeyboardInterrupt:
        end = supervisor.stop()
        write_state(stack.settings.run.folder, describe(stack, supervisor.snapshot(), end))
        raise
    finally:
        engine.dispose()


def _until_end(stack: Stack, supervisor: Supervisor, monitor: Monitor) -> RunEnd:
    end: RunEnd | None = None
    while True:
        begun = time.monotonic()
        state = describe(stack, supervisor.snapshot(), end)
        write_state(stack.settings.run.folder, state)
        monitor.tick(state.services)
        if end is not None:
            return end
        end = supervisor.wait(max(0.1, TICK_SECONDS - (time.monotonic() - begun)))


def require_finished(end: RunEnd) -> None:
    """Raises CommandError if the run did not finish, with the exit code of its end."""
    if end.exit_code:
        raise CommandError(end.message, ExitCode(end.exit_code))
