"""`rewardstream serve NAME`: runs one process of the loop.

Invariant: a service that was asked to stop exits with 0, and one that failed with the code of its error, so that its
supervisor can tell a crash, after which a restart helps, from a misconfiguration.
"""

import gc
import importlib
import logging
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from infra import logs, outages, refusals
from infra.cli.errors import CommandError, ExitCode, explain
from infra.cli.options import (
    BootstrapServers,
    DatabaseUrl,
    DryRun,
    Recipe,
    Set,
    connections,
    print_dry_run,
    require_names,
    resolve,
)
from infra.cli.torchrun import leads, leads_host, spread
from infra.services import Service
from infra.settings.tree import Settings
from infra.tracing import spans


def serve(
    *,
    name: Annotated[Service, typer.Argument(help="The service to run.")],
    recipe: Recipe = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of /metrics, /healthz and /readyz; 0 turns it off.")
    ] = None,
    stopped_code: Annotated[
        int,
        typer.Option(help="Exit code if it was asked to stop; to a Kubernetes Job, a pod that ends with 0 is done."),
    ] = 0,
    dry_run: DryRun = False,
) -> None:
    """Run one process of the loop until it is asked to stop."""
    resolved = resolve(recipe, assignments, *connections(bootstrap_servers, database_url))
    if dry_run:
        print_dry_run(resolved)
        return
    settings = resolved.settings
    require_addresses(name, settings)
    require_names(f"serve {name}", settings)
    if name is Service.LEARNER:
        spread(settings.learner.processes)
    logs.set_up(settings.logs, name, settings.run.id, wrap_stdout=True)
    if leads_host():
        serve_endpoint(settings.metrics.host, settings.metrics.port if metrics_port is None else metrics_port)
    if leads():
        set_up_tracing(name, settings)
    signal.signal(signal.SIGTERM, _interrupt)

    def reread() -> Settings:
        return resolve(recipe, assignments, *connections(bootstrap_servers, database_url)).settings

    try:
        done = run(name, settings, reread)
    finally:
        spans.shut_down()
    gc.freeze()  # saves a second of CPU: the interpreter's last collection of everything that a model's libraries hold
    if not done:
        raise typer.Exit(stopped_code)


def run(name: Service, settings: Settings, reread: Callable[[], Settings] | None = None) -> bool:
    """Returns when the service stopped in order: whether it was done, and not interrupted. `reread` reads the settings
    again from their sources, for a service that loads its scorer again on SIGHUP.
    """
    _bound_threads(name.traits.threads(settings))
    log = logging.getLogger(f"rewardstream.{name}")
    main = importlib.import_module(name.traits.module).main
    log.info("starting pid=%d", os.getpid())
    try:
        if name.traits.rereads_settings:
            main(settings, settings.broker.bootstrap_servers, reread)
        else:
            main(settings, settings.broker.bootstrap_servers)
    except KeyboardInterrupt:
        log.info("stopped by signal")
        return False
    except Exception as error:
        if refusals.explain(error) is None and outages.is_outage(error):
            explained = explain(error)
            text = explained[1] if explained else f"{type(error).__name__}: {error}"
            raise CommandError(text, ExitCode.AWAY) from error
        if isinstance(error, ImportError) or _is_missing_model(error):
            raise CommandError(f"{error}; a restart does not mend that", ExitCode.USAGE) from error
        raise
    log.info("done")
    return True


def _is_missing_model(error: Exception) -> bool:
    """The supervisor takes USAGE for what a restart does not mend, and a folder without a model is such a thing."""
    return any(kind.__name__ == "ModelFilesError" for kind in type(error).__mro__)


def require_addresses(name: Service, settings: Settings) -> None:
    """A single service starts no embedded broker or database. Raises CommandError if an address is missing."""
    if not settings.broker.bootstrap_servers:
        missing = "running broker: give --bootstrap-servers HOST:PORT, or broker.bootstrap_servers"
    elif name.traits.needs_database and not settings.database.url:
        missing = "running database: give --database-url, or database.url"
    else:
        return
    raise CommandError(
        f"serve {name} joins a {missing} in the settings. `rewardstream up` starts everything", ExitCode.USAGE
    )


def set_up_tracing(name: Service, settings: Settings) -> None:
    """Raises CommandError if tracing is on and not installed."""
    try:
        spans.set_up(settings.tracing, name, settings.run.id)
    except spans.TracingNotInstalledError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


def serve_endpoint(host: str, port: int) -> None:
    """One process of a host answers probes, and the first of all serves the metrics. Raises CommandError if the port
    cannot be used.
    """
    from infra import endpoint

    try:
        endpoint.serve(host, port, with_metrics=leads())
    except OSError as error:
        raise CommandError(
            f"metrics port {host}:{port} cannot be used: {error.strerror or error}. Free it, give another with "
            "--metrics-port, or turn the endpoint off with --metrics-port 0",
            ExitCode.UNREACHABLE,
        ) from error


def _bound_threads(threads: int) -> None:
    """Call before torch is imported. OpenMP threads of two processes that spin on the same cores slow both several
    times over, hence PASSIVE.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    outages.stopping.set()
    raise KeyboardInterrupt
