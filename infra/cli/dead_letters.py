"""`rewardstream dead-letters`: records that could not be processed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, BootstrapServers, Set, connections, resolve
from infra.cli.runs import RUNS, RunName, RunsFolder, find_run
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from streams.clients import LogReader
    from streams.dead_letters import DeadLetter

app = typer.Typer(no_args_is_help=True, help="Records that could not be processed, kept untouched.")

Ids = Annotated[list[str], typer.Argument(help="PARTITION:OFFSET, as `list` shows them.")]


@app.command("list")
def list_(
    *,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    bootstrap_servers: BootstrapServers = None,
    assignments: Set = None,
    as_json: AsJson = False,
) -> None:
    """List a run's dead letters, oldest first in each partition."""
    from infra.advice.letters import letter_fields

    settings = _run_settings(run, runs, bootstrap_servers, assignments)
    with _open_reader(settings) as reader:
        letters = _read_letters(reader)
    if as_json:
        print(json.dumps([letter_fields(letter) for letter in letters], indent=2))
        return
    for letter in letters:
        where = f"{letter.topic}[{letter.partition}]@{letter.offset}"
        why = f"attempt {letter.attempts}: {letter.error_class}: {letter.reason}"
        print(f"{letter.id:<8} {letter.stage:<10} {where:<40} {why}")
    if not letters:
        print("none")


@app.command()
def show(
    *,
    letter_id: Annotated[str, typer.Argument(help="PARTITION:OFFSET, as `list` shows it.")],
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    bootstrap_servers: BootstrapServers = None,
    assignments: Set = None,
) -> None:
    """Print one dead letter as JSON: where it came from, why it failed, and its bytes, decoded if they decode."""
    from infra.advice.letters import letter_content, letter_fields

    settings = _run_settings(run, runs, bootstrap_servers, assignments)
    with _open_reader(settings) as reader:
        [letter] = _choose_letters(_read_letters(reader), [letter_id])
    print(json.dumps(letter_fields(letter) | letter_content(letter), indent=2))


@app.command()
def replay(
    *,
    letter_ids: Ids,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    bootstrap_servers: BootstrapServers = None,
    assignments: Set = None,
) -> None:
    """Send dead letters again to the topics that they came from. They stay listed; if a record was processed in the
    meantime, the second copy is dropped by its id.
    """
    from streams.clients import make_producer
    from streams.dead_letters import replay as send_again

    settings = _run_settings(run, runs, bootstrap_servers, assignments)
    with _open_reader(settings) as reader:
        letters = _choose_letters(_read_letters(reader), letter_ids)
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    try:
        count = send_again(producer, letters, settings.broker.request_timeout_seconds)
    except ValueError as error:
        raise CommandError(str(error)) from error
    finally:
        producer.close()
    print(f"{count} sent again")


def _run_settings(run: str, runs: Any, bootstrap_servers: str | None, assignments: list[str] | None) -> Settings:
    """The run's settings, changed by the options of the command line."""
    file = find_run(run, runs).folder / "settings.json"
    return resolve(str(file), assignments, *connections(bootstrap_servers, None)).settings


@contextmanager
def _open_reader(settings: Settings) -> Iterator["LogReader"]:
    from streams.clients import LogReader
    from streams.topics import Topic, topic_name

    topic = topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)
    try:
        reader = LogReader(settings.broker, settings.broker.bootstrap_servers, [topic])
    except LookupError as error:
        raise CommandError(str(error), ExitCode.UNREACHABLE) from error
    with reader:
        yield reader


def _read_letters(reader: "LogReader") -> "list[DeadLetter]":
    from streams.dead_letters import list_dead_letters

    return list_dead_letters(reader)


def _choose_letters(letters: "list[DeadLetter]", ids: list[str]) -> "list[DeadLetter]":
    from streams.dead_letters import choose

    try:
        return choose(letters, ids)
    except LookupError as error:
        raise CommandError(str(error.args[0]), ExitCode.UNREACHABLE) from error
