"""Runs on disk and their database, for the commands that look at a run from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.settings.database import DatabaseSettings
from infra.settings.load import load
from infra.settings.tree import Settings

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
    """`infra.local.open_engine`, imported when it is needed: its modules would make every `--help` slow."""
    from infra.local.open_engine import open_engine as open_it

    with open_it(database, root) as engine:
        yield engine
