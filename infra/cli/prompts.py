"""`rewardstream prompts`: the prompts that a run can draw from, and why each is in or out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from infra.cli import prompt_check, prompt_explanation, prompt_references, prompt_routes, prompt_simulation
from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, DatabaseUrl, Recipe, Set, connections, resolve
from infra.cli.prompt_counts import require_accepted, show_counts
from infra.cli.prompt_sources import (
    ColumnNames,
    Domain,
    Files,
    Origin,
    RejectedFile,
    Rules,
    Split,
    Verifier,
    data_options,
    defaults_of,
    given_files,
    one_file,
)
from infra.cli.runs import RUNS, RunName, RunsFolder, engine_of, find_run, open_engine
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

    from trainer.prompts.ingest import IngestReport
    from trainer.prompts.rejected_rows import RejectedRows

app = typer.Typer(no_args_is_help=True, help="Prompts: check, ingest, list, explain, select, simulate, route.")
app.command()(prompt_check.check)
app.command()(prompt_explanation.explain)
app.command()(prompt_routes.route)
app.command()(prompt_references.references)
app.command()(prompt_simulation.simulate)

_REJECTED_FOLDER = "rejected"


@app.command()
def ingest(
    *,
    files: Files = None,
    split: Split = "train",
    domain: Domain = None,
    verifier: Verifier = None,
    rules: Rules = None,
    columns: ColumnNames = None,
    origin: Origin = None,
    rejected: RejectedFile = None,
    recipe: Recipe = None,
    assignments: Set = None,
    database_url: DatabaseUrl = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Read datasets into Postgres: files of JSONL, JSON, Parquet or CSV in any known format, which
    infra/docs/own-data.md lists.

    A row that is already there changes nothing. Rows that are no prompts are set aside and reported with their line and
    reason; the exit code is then 5, or 1 if no row was a prompt.
    """
    options = data_options(domain, verifier, rules, columns, origin)
    settings = resolve(recipe, assignments, *connections(None, database_url), *options).settings
    chosen = given_files(files, split, settings)
    if not chosen:
        raise CommandError("nothing to ingest: name files, or set data.prompts and data.heldout", ExitCode.USAGE)
    run_id = None if files else settings.run.id or None
    with open_engine(settings.database, runs) as engine:
        into = _file_each(runs / _REJECTED_FOLDER) if rejected is None else one_file(rejected)
        reports = _ingest_files(engine, chosen, settings, run_id, into)
    if as_json:
        reported = [report.as_dict() | {"new": report.new, "known": report.known} for report in reports]
        print(json.dumps(reported, indent=2))
    require_accepted(reports)


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
    """List the prompts in the database, each with its scorer."""
    from sqlalchemy import select

    from infra.db.models import Prompt
    from streams.messages import Question
    from trainer.prompts.scorer_names import scorer_name

    settings = resolve(recipe, assignments, *connections(None, database_url)).settings
    query = select(Prompt.id, Prompt.domain, Prompt.split, Prompt.origin, Prompt.quarantined, Prompt.question)
    if domain is not None:
        query = query.where(Prompt.domain == domain)
    if split is not None:
        query = query.where(Prompt.split == split)
    with open_engine(settings.database, runs) as engine, engine.connect() as connection:
        rows = connection.execute(query.order_by(Prompt.domain, Prompt.id).limit(limit)).all()
    for row in rows:
        question = msgspec.convert(row.question, Question)
        scorer = scorer_name(question)
        if as_json:
            print(json.dumps({**row._mapping, "scorer": scorer}))  # noqa: SLF001 (SQLAlchemy's public name)
        else:
            placed = f"{row.domain:<14} {row.split:<8} {row.origin:<9} {scorer:<20}"
            print(f"{row.id[:12]}  {placed} {_one_line(question.prompt)}")


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
    """Ingests `data.prompts` and `data.heldout`, if they are set: the run draws from these alone. Raises DatasetError,
    CommandError.
    """
    run_id = settings.run.id or None
    rejected = _file_each(settings.run.folder / (run_id or "") / _REJECTED_FOLDER)
    return _ingest_files(engine, given_files(None, "train", settings), settings, run_id, rejected)


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


def _ingest_files(
    engine: "Engine",
    files: "Sequence[tuple[Path, str]]",
    settings: Settings,
    run_id: str | None,
    rejected_to: "Callable[[Path], RejectedRows]",
) -> "list[IngestReport]":
    """Ingests files with their splits. With `run_id`, that run draws only from files that were ingested for it. Raises
    DatasetError.
    """
    from trainer.prompts.ingest import ingest as read_in

    reports = []
    for path, split in files:
        report = read_in(engine, path, defaults_of(settings, split), rejected_to(path), run_id)
        show_counts(report, f"{report.new} new, {report.known} known")
        reports.append(report)
    return reports


def _file_each(folder: Path) -> "Callable[[Path], RejectedRows]":
    """Refused rows go to a file per dataset."""
    from trainer.prompts.rejected_rows import RejectedRows, rejected_path

    return lambda path: RejectedRows(rejected_path(folder, path))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."
