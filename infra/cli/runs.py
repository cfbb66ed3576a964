"""Runs on disk and their database, for the commands that look at one from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from infra.cli.errors import CommandError, ExitCode
from infra.settings.load import load
from infra.settings.tree import DatabaseSettings, Settings

RunName = Annotated[str, typer.Option("--run", help="A run's id, or `latest`.")]
RunsFolder = Annotated[Path, typer.Option("--run-folder", help="Where runs are kept.")]
RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class RunPlace:
    folder: Path
    settings: Settings

    @property
    def run_id(self) -> str:
        return self.settings.run.id


def find_run(name: str, root: Path) -> RunPlace:
    """Raises CommandError where there is none, InvalidSettingsError where its settings do not load."""
    folder = (root / name).resolve()
    file = folder / "settings.json"
    if not file.is_file():
        found = sorted(path.parent.name for path in root.glob("*/settings.json"))
        known = f"there are: {', '.join(found)}" if found else "there is none yet: start one with `rewardstream demo`"
        raise CommandError(f"no run {name!r} in {root.resolve()}; {known}", ExitCode.UNREACHABLE)
    return RunPlace(folder, load(str(file)).settings)


@contextmanager
def engine_of(run: RunPlace, root: Path) -> Iterator[Engine]:
    """The run's database: as it is reachable, else the embedded server is started for as long as this lasts."""
    from infra.db.engine import DatabaseUnavailableError, connect
    from infra.local.postgres import open_database

    database = run.settings.database
    try:
        engine = connect(database.url, database.connect_timeout_seconds)
    except DatabaseUnavailableError:
        if not _is_embedded(run.settings):
            raise
        server = open_database(DatabaseSettings(), root / "postgres", run.folder / "logs" / "postgres.log")
        engine = connect(server.start(), database.connect_timeout_seconds)
        try:
            yield engine
        finally:
            engine.dispose()
            server.stop()
        return
    try:
        yield engine
    finally:
        engine.dispose()


def _is_embedded(settings: Settings) -> bool:
    """The embedded server listens on a Unix socket only."""
    from infra.db.engine import parse_url

    url = parse_url(settings.database.url)
    return not url.host and str(url.query.get("host", "")).startswith("/")
