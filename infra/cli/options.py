"""Options that all commands with settings share, and how they become a tree of settings."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from infra import logs
from infra.cli.errors import CommandError, ExitCode
from infra.settings.load import Resolved, described, described_text, load
from infra.settings.sources import Option, parse_assignment
from infra.settings.tree import Settings

Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "--settings-file",
        help="A TOML recipe, the name of a packaged one, or several such as demo,grpo; or a run's settings.json.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set any option; `rewardstream settings` lists them."),
]
BootstrapServers = Annotated[str | None, typer.Option(help="Kafka brokers, HOST:PORT[,HOST:PORT...].")]
DatabaseUrl = Annotated[str | None, typer.Option(help="postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE.")]
Seed = Annotated[int | None, typer.Option(help="Seed of sampling, selection and prompts.")]
RunFolder = Annotated[Path | None, typer.Option(help="Folder that holds the folders of all runs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the settings and the source of each; start nothing.")]
NoScreen = Annotated[
    bool, typer.Option("--no-screen", help="Print a plain line every ten seconds, as without a terminal.")
]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="RUN",
        help="Go on with a run that was stopped, with its settings; an id, or `latest`. Needs Apache Kafka.",
    ),
]
Minutes = Annotated[float | None, typer.Option(min=0.1, help="Duration of training, in place of the recipe's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Dedicated:
    """A dedicated command-line option for one setting; its value is None if it was not given."""

    name: str
    path: str
    value: Any


def resolve(recipe: str | None, assignments: list[str] | None, *dedicated: Dedicated) -> Resolved:
    """Loads the settings, and logs as they say; dedicated options win over `--set`. Raises InvalidSettingsError."""
    options = [parse_assignment(text) for text in assignments or []]
    options += [Option(item.path, item.value, item.name) for item in dedicated if item.value is not None]
    resolved = load(recipe, options)
    logs.set_up_command(resolved.settings.logs, "command", resolved.settings.run.id)
    return resolved


def connections(bootstrap_servers: str | None, database_url: str | None) -> tuple[Dedicated, Dedicated]:
    return (
        Dedicated("--bootstrap-servers", "broker.bootstrap_servers", bootstrap_servers),
        Dedicated("--database-url", "database.url", database_url),
    )


def run_options(
    *,
    seed: int | None = None,
    minutes: float | None = None,
    run_folder: Path | None = None,
    model: str | None = None,
    prompts: Path | None = None,
    heldout: Path | None = None,
) -> tuple[Dedicated, ...]:
    return (
        Dedicated("--seed", "run.seed", seed),
        Dedicated("--minutes", "selector.max_train_seconds", None if minutes is None else minutes * 60),
        Dedicated("--run-folder", "run.folder", run_folder and str(run_folder)),
        Dedicated("--model", "model.path", model),
        Dedicated("--prompts", "data.prompts", prompts and str(prompts)),
        Dedicated("--heldout", "data.heldout", heldout and str(heldout)),
    )


def print_dry_run(resolved: Resolved, *, as_json: bool = False) -> None:
    if as_json:
        rows = {path: {"value": value, "source": source} for path, value, source in described(resolved)}
        print(json.dumps(rows, indent=2))
    else:
        print(described_text(resolved))


def require_names(command: str, settings: Settings, names: Sequence[str] = ("run.id", "topics.prefix")) -> None:
    """Raises CommandError if the run has no id or its topics no prefix: two such runs on one broker and database would
    be one run, and would process each other's rollouts.
    """
    values = {"run.id": settings.run.id, "topics.prefix": settings.topics.prefix}
    missing = [name for name in names if not values[name]]
    if missing:
        raise CommandError(
            f"{command} needs {' and '.join(missing)}, which no other run on this broker and database has: give "
            f"{' '.join(f'--set {name}=NAME' for name in missing)}, the same for every process of the run",
            ExitCode.USAGE,
        )
