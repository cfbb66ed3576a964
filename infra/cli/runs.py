"""Runs on disk and their database, for the commands that look at a run from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.local.interrupts import held, interrupt_once
from infra.settings.load import load
from infra.settings.tree import DatabaseSettings, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

RunName = Annotated[str, typer.Option("--run", help="A run's id, or `latest`.")]
RunsFolder = Annotated[Path, typer.Option("--run-folder", help="Folder that holds the folders of all runs.")]
RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class RunPlace:
    folder: Path
    settings: Settings

    @property
    def run_id(self) -> str:
        return self.settings.run.id


def find_run(name: str, root: Path) -> RunPlace:
    """The run of this name. Raises CommandError if there is none, InvalidSettingsError if its settings do not load."""
    folder = (root / name).resolve()
    file = folder / "settings.json"
    if not file.is_file():
        found = sorted(path.parent.name for path in root.glob("*/settings.json"))
        known = f"it has {', '.join(found)}" if found else "it has none yet: start one with `rewardstream demo`"
        raise CommandError(f"no run {name!r} in {root.resolve()}; {known}", ExitCode.UNREACHABLE)
    return RunPlace(folder, load(str(file)).settings)


@contextmanager
def engine_of(run: RunPlace, root: Path) -> Iterator["Engine"]:
    """Yields an engine of the run's database."""
    with open_engine(run.settings.database, root) as engine:
        yield engine


@contextmanager
def open_engine(database: DatabaseSettings, root: Path) -> Iterator["Engine"]:
    """Yields an engine of the server that the settings name. If they name none, or the embedded one of a run that has
    ended, it is the embedded server of this folder of runs: the running one, else one that is started for the block.

    Raises DatabaseUnavailableError, DatabaseUrlError, LocalStackError.
    """
    from infra.db.engine import DatabaseUnavailableError, connect
    from infra.db.migrate import upgrade_engine

    if database.url and not is_embedded(database.url):
        with _disposing(connect(database.url, database.connect_timeout_seconds)) as engine:
            yield engine
        return
    try:
        engine = connect(database.url or _newest_url(root), database.connect_timeout_seconds)
    except DatabaseUnavailableError:
        with _start_server(root) as url, _disposing(connect(url)) as engine:
            upgrade_engine(engine)
            yield engine
        return
    with _disposing(engine):
        yield engine


@contextmanager
def _start_server(root: Path) -> Iterator[str]:
    from infra.local.postgres import open_database

    server = open_database(DatabaseSettings(), root / "postgres")
    with interrupt_once():
        try:
            yield server.start()
        finally:
            with held():
                server.stop()


@contextmanager
def _disposing(engine: "Engine") -> Iterator["Engine"]:
    try:
        yield engine
    finally:
        engine.dispose()


def _newest_url(root: Path) -> str:
    """URL of the newest run's embedded server. Raises DatabaseUnavailableError if that run had none."""
    from infra.db.engine import DatabaseUnavailableError

    known = (root / "latest" / "settings.json").is_file()
    url = find_run("latest", root).settings.database.url if known else ""
    if not url or not is_embedded(url):
        raise DatabaseUnavailableError(f"no embedded server was started for the newest run in {root}")
    return url


def is_embedded(url: str) -> bool:
    """Whether the URL is that of an embedded server, which listens on a Unix socket only."""
    from infra.db.engine import parse_url

    parsed = parse_url(url)
    return not parsed.host and str(parsed.query.get("host", "")).startswith("/")
