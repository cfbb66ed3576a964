"""`rewardstream runs`: the runs in a database, one of them at a glance, and how their rows go."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, DatabaseUrl, Recipe, Set, connections, resolve
from infra.cli.runs import RUNS, RunsFolder, open_engine

app = typer.Typer(no_args_is_help=True, help="The runs in a database.")

FINISHED = "finished"


@app.command("list")
def list_(
    *,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """List the runs in the database with what they take, oldest first."""
    from infra.db.prune import list_runs

    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    with open_engine(settings.database, runs) as engine:
        found = list_runs(engine)
    for run in found:
        if as_json:
            print(json.dumps(asdict(run), default=str))
        else:
            size = f"{run.bytes / 1e6:,.1f} MB"
            print(f"{run.run_id:<40} {run.phase:<12} {run.groups:>9,} groups {run.scores:>11,} scores {size:>12}")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run's id, or `latest`.")] = "latest",
    *,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show a run: recipe, model, state, versions, groups by ending, held-out scores, size, and where its report is.

    The database is that of the run's folder, or the one that is named.
    """
    from infra.cli.run_overview_table import folder_bytes, lines_of
    from infra.db.run_overview import read_overview

    folder = (runs / run).resolve()
    own = folder / "settings.json"
    if recipe is None and own.is_file():
        recipe = str(own)
    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    with open_engine(settings.database, runs) as engine:
        found = read_overview(engine, folder.name)
    if found is None:
        raise CommandError(f"no run {folder.name} in the database: `rewardstream runs list` shows them")
    disk = folder_bytes(folder)
    if as_json:
        print(json.dumps(asdict(found) | {"disk_bytes": disk, "folder": str(folder)}, default=str))
        return
    for line in lines_of(found, folder, disk):
        print(line)


@app.command()
def prune(
    run_ids: Annotated[list[str], typer.Argument(help="Ids of the runs whose rows are deleted.")],
    *,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Delete a run that is not finished, too; nothing of it may be running.")
    ] = False,
) -> None:
    """Delete runs from the database: groups, scores, statistics, selections. Prompts and the log stay."""
    from infra.db.prune import list_runs, prune_run, vacuum

    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    with open_engine(settings.database, runs) as engine:
        phases = {run.run_id: run.phase for run in list_runs(engine)}
        if missing := [run_id for run_id in run_ids if run_id not in phases]:
            raise CommandError(f"no run {', '.join(missing)} in the database: `rewardstream runs list` shows them")
        going_on = [run_id for run_id in run_ids if phases[run_id] != FINISHED]
        if going_on and not unfinished:
            raise CommandError(
                f"run {', '.join(going_on)} is not finished (phase {phases[going_on[0]]}): stop it first, then give "
                "--unfinished",
                ExitCode.USAGE,
            )
        changed: set[str] = set()
        for run_id in run_ids:
            deleted = dict(prune_run(engine, run_id))
            changed |= deleted.keys()
            print(f"{run_id}: " + (", ".join(f"{count:,} {name}" for name, count in deleted.items()) or "no rows"))
        vacuum(engine, sorted(changed))
