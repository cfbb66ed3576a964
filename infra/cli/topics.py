"""`rewardstream topics`: a run's topics on a broker."""

import json

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, BootstrapServers, Recipe, Set, connections, require_names, resolve
from infra.settings.tree import Settings

app = typer.Typer(no_args_is_help=True, help="The topics on the broker.")


@app.command()
def create(*, recipe: Recipe = None, assignments: Set = None, bootstrap_servers: BootstrapServers = None) -> None:
    """Create missing topics, with partitions and retention from the settings. If a topic exists and differs, that is an
    error.
    """
    from streams.admin import create_topics, topic_specs

    settings = _settings_with_broker(recipe, assignments, bootstrap_servers)
    require_names("topics create", settings, ["topics.prefix"])
    specs = topic_specs(settings)
    create_topics(settings.broker, settings.broker.bootstrap_servers, specs, settings.topics.replication)
    for spec in specs:
        print(f"{spec.name}: {spec.partitions} partitions")


@app.command("list")
def list_(
    *,
    recipe: Recipe = None,
    assignments: Set = None,
    bootstrap_servers: BootstrapServers = None,
    as_json: AsJson = False,
) -> None:
    """List the topics that have the prefix of the settings, with their partitions."""
    from streams.admin import list_topics

    settings = _settings_with_broker(recipe, assignments, bootstrap_servers)
    topics = list_topics(settings.broker, settings.broker.bootstrap_servers, settings.topics.prefix)
    if as_json:
        print(json.dumps(topics))
        return
    for name, partitions in topics.items():
        print(f"{name}: {partitions} partitions")


@app.command()
def rights(*, recipe: Recipe = None, assignments: Set = None, as_json: AsJson = False) -> None:
    """Print the ACLs that each service's user needs for the run of these settings, and no others."""
    from dataclasses import asdict

    from streams.rights import RIGHTS, rights_of

    settings = resolve(recipe, assignments).settings
    require_names("topics rights", settings, ["topics.prefix"])
    found = [right for service in RIGHTS for right in rights_of(service, settings.topics.prefix, settings.run.id)]
    if as_json:
        print(json.dumps([asdict(right) for right in found], indent=2))
        return
    for right in found:
        pattern = "prefixed" if right.prefixed else "literal"
        print(f"{right.service}: {right.operation} {right.resource} {right.name} ({pattern})")


def _settings_with_broker(recipe: str | None, assignments: list[str] | None, bootstrap_servers: str | None) -> Settings:
    settings = resolve(recipe, assignments, *connections(bootstrap_servers, None)).settings
    if not settings.broker.bootstrap_servers:
        raise CommandError(
            "no broker named: give --bootstrap-servers HOST:PORT, or --settings-file runs/latest/settings.json if a "
            "run is up",
            ExitCode.USAGE,
        )
    return settings
