"""`rewardstream serve NAME`: one process of the loop.

Invariant: a service that was asked to stop ends with 0, one that failed with the code of its error, so that its
supervisor can tell a restart from a misconfiguration.
"""

import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from types import FrameType
from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import BootstrapServers, DatabaseUrl, DryRun, Recipe, Set, connections, print_dry_run, resolve
from infra.cli.torchrun import leads, spread
from infra.local.service_commands import threads_of
from infra.settings.tree import Settings


class Service(StrEnum):
    ROUTER = "router"
    RTV = "rtv"
    GENRM = "genrm"
    DIFFICULTY = "difficulty"
    SELECTOR = "selector"
    ROLLOUT = "rollout"
    LEARNER = "learner"


_MODULES = {
    Service.ROUTER: "streams.apps.router",
    Service.RTV: "streams.apps.rtv",
    Service.GENRM: "streams.apps.genrm",
    Service.DIFFICULTY: "streams.apps.difficulty",
    Service.SELECTOR: "trainer.curriculum.selector",
    Service.ROLLOUT: "workers.rollout.worker",
    Service.LEARNER: "trainer.main",
}
"""Each has `main(settings, bootstrap)`, which returns when the service is done or was asked to stop."""

_WITH_DATABASE = (Service.DIFFICULTY, Service.SELECTOR)
_NOISY = ("kafka", "aiokafka", "faust", "mode", "httpx", "urllib3", "alembic")


def serve(
    *,
    name: Annotated[Service, typer.Argument(help="Which process.")],
    recipe: Recipe = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics; 0 turns it off.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Run one process of the loop until it is asked to stop."""
    resolved = resolve(recipe, assignments, *connections(bootstrap_servers, database_url))
    if dry_run:
        print_dry_run(resolved)
        return
    settings = resolved.settings
    require_addresses(name, settings)
    if name is Service.LEARNER:
        spread(settings.learner.processes)
    set_up_logging(name)
    if leads():
        serve_metrics(settings.metrics.host, settings.metrics.port if metrics_port is None else metrics_port)
    signal.signal(signal.SIGTERM, _interrupt)

    def reread() -> Settings:
        return resolve(recipe, assignments, *connections(bootstrap_servers, database_url)).settings

    run(name, settings, reread)
    gc.freeze()  # the interpreter's last collection of what a model's libraries hold costs a second of CPU


def run(name: Service, settings: Settings, reread: Callable[[], Settings] | None = None) -> None:
    """Returns when the service stopped in order, whether it was done or interrupted. `reread`: the settings as their
    sources say now, for a service that loads its scorer anew on SIGHUP.
    """
    _bound_threads(threads_of(settings, name))
    log = logging.getLogger(f"rewardstream.{name}")
    main = importlib.import_module(_MODULES[name]).main
    log.info("starting pid=%d", os.getpid())
    try:
        if name is Service.GENRM:
            main(settings, settings.broker.bootstrap_servers, reread)
        else:
            main(settings, settings.broker.bootstrap_servers)
    except KeyboardInterrupt:
        log.info("stopped by signal")
    else:
        log.info("done")


def require_addresses(name: Service, settings: Settings) -> None:
    """A single service starts no embedded parts. Raises CommandError."""
    if not settings.broker.bootstrap_servers:
        missing = "broker that runs: give --bootstrap-servers HOST:PORT, or broker.bootstrap_servers"
    elif name in _WITH_DATABASE and not settings.database.url:
        missing = "database that runs: give --database-url, or database.url"
    else:
        return
    raise CommandError(
        f"serve {name} joins a {missing} in the settings. `rewardstream up` starts everything", ExitCode.USAGE
    )


def set_up_logging(name: str) -> None:
    """One line an event, to stderr; libraries speak up from warnings on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s {name} %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for library in _NOISY:
        logging.getLogger(library).setLevel(logging.WARNING)


def serve_metrics(host: str, port: int) -> None:
    """Raises CommandError where the port is taken."""
    from infra import metrics

    try:
        metrics.serve(host, port)
    except OSError as error:
        raise CommandError(
            f"metrics port {host}:{port} cannot be used: {error.strerror or error}. Free it, give another with "
            "--metrics-port, or turn the endpoint off with --metrics-port 0",
            ExitCode.UNREACHABLE,
        ) from error


def _bound_threads(threads: int) -> None:
    """Before torch loads: OpenMP that spins in two processes on the same cores slows both several times over."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
