"""`rewardstream up | down | status | top | reload`: a stack in the background."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.doctor import require_startable
from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import (
    AsJson,
    BootstrapServers,
    DatabaseUrl,
    DryRun,
    Recipe,
    Resume,
    RunFolder,
    Seed,
    Set,
    connections,
    print_dry_run,
    resolve,
    run_options,
)
from infra.cli.runs import RUNS, RunsFolder, engine_of, find_run, open_engine
from infra.services import Service
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from infra.cli.runs import RunPlace
    from infra.local.detached import StackStatus


def up(
    *,
    recipe: Recipe = None,
    seed: Seed = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    database_url: DatabaseUrl = None,
    run_folder: RunFolder = None,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Start broker, Postgres and all services in the background; the prompts of data.prompts are ingested first.

    With --resume, a run that was stopped goes on where it was, with its settings.
    """
    addresses = connections(bootstrap_servers, database_url)
    if resume is None:
        options = (*addresses, *run_options(seed=seed, run_folder=run_folder))
        resolved = resolve(recipe, assignments, *options)
    else:
        from infra.cli.resume import resume_settings

        options = (*addresses, *run_options(seed=seed))
        resolved = resume_settings(resume, run_folder or RUNS, assignments, options, {"--recipe": recipe})
    if dry_run:
        print_dry_run(resolved)
        require_startable(resolved.settings, cheaply=True)
        return
    from infra.local.detached import require_none_up
    from infra.local.detached import up as start

    settings = resolved.settings
    require_startable(settings)
    require_none_up(settings.run.folder)
    state = start(with_own_prompts(settings))
    print(f"run {state.run_id} is up: {state.broker} broker at {state.bootstrap}, database {state.database}")
    if state.page:
        print(f"its page is {state.page}")
    print("`rewardstream top` watches it, `rewardstream down` stops it")


def down(*, runs: RunsFolder = RUNS) -> None:
    """Stop the stack in the background."""
    from infra.local.detached import down as stop

    state = stop(runs)
    if state is None:
        print("nothing was up")
        return
    print(f"run {state.run_id} is down")
    if state.exit_code is None or state.exit_code:
        from infra.cli.resume import how_to_go_on

        print(how_to_go_on(find_run(state.run_id, runs).settings, "up"))


def status(*, runs: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Show what is running. Exit code 0 if all parts are healthy, 1 if one is not, 3 if nothing is up."""
    from infra.local.detached import status as look

    found = look(runs)
    if found is None:
        raise CommandError(
            f"no stack was started in {runs.resolve()}: `rewardstream up` starts one", ExitCode.UNREACHABLE
        )
    advice = _advice(found, runs)
    _print_status(found, advice, as_json=as_json)
    if not found.healthy:
        raise typer.Exit(ExitCode.FAILED if found.running else ExitCode.UNREACHABLE)


def top(
    *, runs: RunsFolder = RUNS, once: bool = typer.Option(False, "--once", help="Print one plain line and exit.")
) -> None:
    """Watch the run that is up, from another terminal."""
    from infra.local.state import read_state

    state = read_state(runs)
    if state is None or state.process is None:
        raise CommandError(f"nothing is up in {runs.resolve()}: `rewardstream up` starts a stack", ExitCode.UNREACHABLE)
    place = find_run(state.run_id, runs)
    with engine_of(place, runs) as engine:
        _watch(place, engine, once=once)


def reload(
    *,
    name: Annotated[
        Service,
        typer.Argument(
            help="rtv loads the installed verifiers again, genrm its judge by the run's settings.json.",
            show_choices=False,
            metavar="rtv|genrm",
        ),
    ],
    runs: RunsFolder = RUNS,
) -> None:
    """Replace the scorers of a run while it is going on: nothing is lost, and nothing is scored twice."""
    from infra.local.detached import reload as ask

    if not name.traits.reloads:
        able = ", ".join(service for service in Service if service.traits.reloads)
        raise CommandError(f"{name} has no scorer to load again: reload takes {able}", ExitCode.USAGE)
    pid = ask(runs, name)
    print(f"{name} (process {pid}) loads its scorer again; its log in {runs / 'latest' / 'logs'} says how it went")


def with_own_prompts(settings: Settings) -> Settings:
    """Ingests data.prompts and data.heldout for this run alone, and returns the settings with the run's id. Without
    prompts of its own, a run draws from everything in the database.
    """
    from infra.cli.prompts import ingest_unless_begun
    from infra.db.migrate import upgrade_engine
    from infra.local import run_folder

    if settings.data.prompts is None and settings.data.heldout is None:
        return settings
    run_id, _ = run_folder.make(settings)
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"id": run_id})})
    with open_engine(settings.database, settings.run.folder) as engine:
        upgrade_engine(engine)
        ingest_unless_begun(engine, settings)
    return settings


def _watch(place: "RunPlace", engine: "Engine", *, once: bool) -> None:
    from infra.local.state import read_state
    from infra.screen.monitor import TICK_SECONDS, Monitor, Watched

    root = place.folder.parent
    settings = place.settings
    started = (place.folder / "logs").stat().st_ctime
    broker = f"{settings.broker.kind} at {settings.broker.bootstrap_servers}"
    page = state.page if (state := read_state(root)) is not None else ""
    watched = Watched(place.run_id, settings.topics.prefix, broker, started, settings, place.folder, page)
    with Monitor(watched, engine, live=False if once else None) as monitor:
        while (state := read_state(root)) is not None and state.process is not None and state.run_id == place.run_id:
            monitor.tick(state.services)
            if once:
                return
            time.sleep(TICK_SECONDS)


def _advice(found: "StackStatus", runs: Path) -> list[str]:
    """What the run lacks; nothing of one that is not going on, whose database may have ended with it."""
    from sqlalchemy.exc import SQLAlchemyError

    from infra.advice.advisories import advise
    from infra.advice.measures import read_measures
    from infra.db.engine import make_engine
    from infra.settings.sources import InvalidSettingsError

    if not found.running:
        return []
    try:
        place = find_run(found.state.run_id, runs)
    except (CommandError, InvalidSettingsError) as error:
        return [f"what the run lacks is not known: {error}"]
    database = place.settings.database
    engine = make_engine(database.full_url(), database.connect_timeout_seconds)
    try:
        with engine.connect() as connection:
            measures = read_measures(connection, place.settings, place.folder, found.scrape)
    except SQLAlchemyError as error:
        return [f"the database does not answer ({type(error).__name__}): its log is in {place.folder / 'logs'}"]
    finally:
        engine.dispose()
    return [str(advisory) for advisory in advise(measures)]


def _print_status(found: "StackStatus", advice: list[str], *, as_json: bool) -> None:
    state = found.state
    if as_json:
        services = [
            {
                "name": entry.service.name,
                "status": entry.service.status,
                "healthy": entry.healthy,
                "pid": entry.service.pid,
                "restarts": entry.service.restarts,
                "metrics_port": entry.service.metrics_port,
            }
            for entry in found.services
        ]
        print(
            json.dumps(
                {
                    "run": state.run_id,
                    "running": found.running,
                    "healthy": found.healthy,
                    "broker": state.broker,
                    "bootstrap": state.bootstrap,
                    "database": state.database,
                    "page": state.page or None,
                    "ended": state.ended or None,
                    "sandbox": found.sandbox or None,
                    "services": services,
                    "advice": advice,
                },
                indent=2,
            )
        )
        return
    print(f"run {state.run_id}: {'up' if found.running else 'not running'} {state.ended}".rstrip())
    for entry in found.services:
        service = entry.service
        mark = "ok" if entry.healthy else service.status if not found.running else f"{service.status}, no answer"
        print(f"{service.name:<12} {mark:<20} pid {service.pid or '-'}  restarts {service.restarts}")
    if found.running and state.page:
        print(f"page         {state.page}")
    if found.sandbox:
        print(f"sandbox      {found.sandbox}")
    for text in advice:
        print(f"! {text}")
