"""`train --resume`, `demo --resume` and `up --resume`: a run goes on where it was; and what to do once one has stopped.

Invariant: a run that goes on has its former settings, except for those in `infra.settings.resumable`. Nothing is
started if it cannot go on.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import Dedicated, resolve
from infra.cli.runs import RUNS, RunPlace, find_run
from infra.settings.database import DatabaseSettings
from infra.settings.load import Resolved, with_changes
from infra.settings.resumable import RESUMABLE, refused_changes
from infra.settings.tree import BrokerKind, Settings


def resume_settings(
    run: str,
    root: Path,
    assignments: list[str] | None,
    dedicated: tuple[Dedicated, ...],
    given: Mapping[str, Any],
) -> Resolved:
    """The settings with which the run goes on. `given`: options that do not go with --resume, by name.

    Raises CommandError if the run cannot go on, InvalidSettingsError.
    """
    if refused := [name for name, value in given.items() if value is not None]:
        raise CommandError(
            f"--resume goes on with the settings of run {run}; {', '.join(refused)} cannot change them. --set changes "
            "those that may change",
            ExitCode.USAGE,
        )
    place = find_run(run, root)
    _require_resumable(place, root)
    resolved = resolve(str(place.folder / "settings.json"), assignments, *dedicated)
    if refused := refused_changes(place.settings, resolved.settings):
        listed = "\n".join(f"  {line}" for line in refused)
        raise CommandError(
            f"run {place.run_id} cannot go on with other settings:\n{listed}\nA resumed run may change "
            f"{', '.join(RESUMABLE)}. For anything else, start a run from its weights: {train_on(place.settings)}",
            ExitCode.USAGE,
        )
    return Resolved(_without_local_addresses(resolved.settings, root), resolved.sources)


def how_to_go_on(settings: Settings, command: str = "train") -> str:
    """What to do after the run has stopped: the commands that continue and show it. `settings` are the run's, and
    `command` is the one that it was started with.
    """
    run_id, folder = settings.run.id, _folder_option(settings.run.folder)
    look = f"\nTo see what it did: rewardstream report --run {run_id}{folder}" if command != "up" else ""
    if settings.broker.kind is BrokerKind.EMBEDDED:
        return (
            f"Run {run_id} cannot go on: the embedded broker kept its log in memory. On Apache Kafka (KAFKA_HOME, or "
            "--bootstrap-servers) a run can.\n"
            f"To train on from its newest weights, with a fresh optimizer: {train_on(settings)}{look}"
        )
    return f"To go on: rewardstream {command} --resume {run_id}{folder}{look}"


def train_on(settings: Settings) -> str:
    """The command that starts a new run from the newest weights that the run published."""
    folder = settings.run.folder / settings.run.id
    newest = max((folder / "versions").glob("lineage*-v*"), default=None)
    words = ["rewardstream", "train", "--settings-file", str(folder / "settings.json"), "--set", "run.id="]
    if is_local(settings.database, settings.run.folder):
        words += ["--set", "database.url="]
    return shlex.join([*words, *(("--model", str(newest)) if newest else ())])


def is_local(database: DatabaseSettings, root: Path) -> bool:
    """Whether the URL is that of the embedded server of this folder of runs, which gets another one at each start."""
    from infra.local.open_engine import is_embedded

    return bool(database.url) and is_embedded(database.url) and (root / "postgres" / "PG_VERSION").exists()


def _require_resumable(place: RunPlace, root: Path) -> None:
    from infra.local.state import read_state

    settings = place.settings
    state = read_state(root)
    if state is not None and state.run_id == place.run_id and state.process is not None:
        raise CommandError(
            f"run {place.run_id} is going on (process {state.pid}): `rewardstream top` watches it", ExitCode.USAGE
        )
    if settings.learner.replay.run:
        raise CommandError(
            f"{place.run_id} trains again on the log of run {settings.learner.replay.run}, which takes no services: "
            f"`rewardstream replay --resume {place.run_id}` goes on with it",
            ExitCode.USAGE,
        )
    if _is_finished(place.folder):
        raise CommandError(
            f"run {place.run_id} is finished: `rewardstream report --run {place.run_id}` shows it. A new run trains on "
            f"from its weights: {train_on(settings)}",
            ExitCode.USAGE,
        )
    if settings.broker.kind is BrokerKind.EMBEDDED:
        raise CommandError(how_to_go_on(settings), ExitCode.UNREACHABLE)


def _is_finished(folder: Path) -> bool:
    """Whether the run ended and was audited; one that was stopped during its audit gets it when it goes on."""
    file = folder / "summary.json"
    if not file.is_file() or not (folder / "audit.json").is_file():
        return False
    return bool(json.loads(file.read_bytes()).get("finished"))


def _without_local_addresses(settings: Settings, root: Path) -> Settings:
    """The local Kafka and the embedded Postgres get new addresses when they start, on the data that they have."""
    return with_changes(
        settings,
        run={"folder": root},
        broker={"bootstrap_servers": ""} if settings.broker.kind is BrokerKind.KAFKA else {},
        database={"url": ""} if is_local(settings.database, root) else {},
    )


def _folder_option(folder: Path) -> str:
    return "" if folder == RUNS else f" --run-folder {shlex.quote(str(folder))}"
