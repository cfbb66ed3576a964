"""`rewardstream prompts`: the prompts that a run can draw from, and why each is in or out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli import prompt_explanation, prompt_references, prompt_routes, prompt_simulation
from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, DatabaseUrl, Recipe, Set, connections, resolve
from infra.cli.runs import RUNS, RunName, RunsFolder, engine_of, find_run, open_engine
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from trainer.prompts.ingest import IngestReport

app = typer.Typer(no_args_is_help=True, help="Prompts: ingest, list, explain, select, simulate, route, references.")
app.command()(prompt_explanation.explain)
app.command()(prompt_routes.route)
app.command()(prompt_references.references)
app.command()(prompt_simulation.simulate)

_SHOWN_REJECTIONS = 5


@app.command()
def ingest(
    *,
    files: Annotated[
        list[Path] | None, typer.Argument(help="JSONL or Parquet files; without any, data.prompts and data.heldout.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of rows that do not name one: train or heldout.")] = "train",
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Read dataset files into Postgres. A row that is already there changes nothing; bad rows are set aside and
    reported with their line.
    """
    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    with open_engine(settings.database, runs) as engine:
        given = [ingest_file(engine, path, split, settings) for path in files or []]
        reports = given or ingest_splits(engine, settings)
    if not reports:
        raise CommandError("nothing to ingest: name files, or set data.prompts and data.heldout", ExitCode.USAGE)
    if as_json:
        print(json.dumps([asdict(report) for report in reports], indent=2))
    if not any(report.accepted for report in reports):
        raise CommandError("no row was accepted", ExitCode.FAILED)


@app.command("list")
def list_(
    *,
    domain: Annotated[str | None, typer.Option(help="Only this domain.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Largest number of prompts to list.")] = 50,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """List the prompts in the database."""
    from sqlalchemy import select

    from infra.db.models import Prompt

    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    query = select(Prompt.id, Prompt.domain, Prompt.split, Prompt.origin, Prompt.quarantined, Prompt.question)
    if domain is not None:
        query = query.where(Prompt.domain == domain)
    if split is not None:
        query = query.where(Prompt.split == split)
    with open_engine(settings.database, runs) as engine, engine.connect() as connection:
        rows = connection.execute(query.order_by(Prompt.domain, Prompt.id).limit(limit)).all()
    for row in rows:
        text = str(row.question["prompt"])
        if as_json:
            print(json.dumps({**row._mapping, "question": row.question}))  # noqa: SLF001 (SQLAlchemy's public name)
        else:
            print(f"{row.id[:12]}  {row.domain:<14} {row.split:<8} {row.origin:<9} {_one_line(text)}")


@app.command("select")
def select_(*, run: RunName = "latest", runs: RunsFolder = RUNS) -> None:
    """Select again which prompts the run trains on, from the current statistics."""
    from trainer.curriculum.selection import latest_round, select_round, selected
    from trainer.curriculum.selector_lock import lock_rounds

    place = find_run(run, runs)
    with engine_of(place, runs) as engine, engine.begin() as connection:
        lock_rounds(connection, place.run_id)
        last = latest_round(connection, place.run_id)
        if last is None:
            raise CommandError(
                f"run {place.run_id} has no selection yet: its selector makes the first one after it has measured the "
                "new prompts"
            )
        round_, version = last[0] + 1, last[1]
        select_round(connection, place.settings, round_, version)
        by_domain = selected(connection, place.run_id, round_)
    print(f"round {round_} of run {place.run_id}")
    for domain, prompts in sorted(by_domain.items()):
        print(f"{domain}: {len(prompts)} in")


def ingest_splits(engine: "Engine", settings: Settings) -> "list[IngestReport]":
    """Ingests `data.prompts` and `data.heldout`, if they are set. Raises DatasetError."""
    files = ((settings.data.prompts, "train"), (settings.data.heldout, "heldout"))
    run_id = settings.run.id or None
    return [ingest_file(engine, path, split, settings, run_id) for path, split in files if path is not None]


def ingest_unless_begun(engine: "Engine", settings: Settings) -> None:
    """Ingests the run's prompts, unless its selector has started: a run that goes on has its prompts. Raises
    DatasetError.
    """
    from sqlalchemy import select

    from infra.db.models import Run

    with engine.connect() as connection:
        begun = connection.scalar(select(Run.id).where(Run.id == settings.run.id)) is not None
    if not begun:
        ingest_splits(engine, settings)


def ingest_file(
    engine: "Engine", path: Path, split: str, settings: Settings, run_id: str | None = None
) -> "IngestReport":
    """Ingests one file. With `run_id`, that run draws only from files that were ingested for it. Raises
    DatasetError.
    """
    from trainer.prompts.dataset import Defaults
    from trainer.prompts.ingest import ingest as read_in
    from trainer.prompts.rejected_rows import rejected_path
    from workers.verifiers.registry import verifier_names

    if split not in ("train", "heldout"):
        raise CommandError(f"--split {split}: allowed are train and heldout", ExitCode.USAGE)
    largest = settings.broker.max_message_bytes // 2
    defaults = Defaults(split=split, verifiers=tuple(verifier_names()), largest_bytes=largest)
    report = read_in(engine, path, defaults, rejected_path(path), run_id)
    domains = ", ".join(f"{domain} {count}" for domain, count in sorted(report.by_domain.items()))
    typer.echo(f"{path}: {report.new} new, {report.known} known ({domains})", err=True)
    for rejection in report.examples[:_SHOWN_REJECTIONS]:
        typer.echo(f"  set aside {rejection}", err=True)
    if report.rejected:
        typer.echo(f"  {report.rejected} rows set aside, all in {report.rejected_file}", err=True)
    return report


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."
