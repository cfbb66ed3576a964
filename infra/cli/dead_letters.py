"""`rewardstream dead-letters`: records that could not be processed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
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
    """All of a run's dead letters, oldest first in each partition."""
    settings = _settings(run, runs, bootstrap_servers, assignments)
    with _reader(settings) as reader:
        letters = _letters(reader)
    if as_json:
        print(json.dumps([_about(letter) for letter in letters], indent=2))
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
    """One dead letter as JSON: where it came from, why, and its bytes, decoded where they decode."""
    settings = _settings(run, runs, bootstrap_servers, assignments)
    with _reader(settings) as reader:
        [letter] = _chosen(_letters(reader), [letter_id])
    print(json.dumps(_about(letter) | _content(letter), indent=2))


@app.command()
def replay(
    *,
    letter_ids: Ids,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    bootstrap_servers: BootstrapServers = None,
    assignments: Set = None,
) -> None:
    """Put dead letters back where they came from. They stay listed; what was done meanwhile is dropped by its id."""
    from streams.clients import make_producer
    from streams.dead_letters import replay as put_back

    settings = _settings(run, runs, bootstrap_servers, assignments)
    with _reader(settings) as reader:
        letters = _chosen(_letters(reader), letter_ids)
    producer = make_producer(settings.broker, settings.broker.bootstrap_servers)
    try:
        count = put_back(producer, letters, settings.broker.request_timeout_seconds)
    except ValueError as error:
        raise CommandError(str(error)) from error
    finally:
        producer.close()
    print(f"{count} put back")


def _settings(run: str, runs: Any, bootstrap_servers: str | None, assignments: list[str] | None) -> Settings:
    """The run's, with what the command line says."""
    file = find_run(run, runs).folder / "settings.json"
    return resolve(str(file), assignments, *connections(bootstrap_servers, None)).settings


@contextmanager
def _reader(settings: Settings) -> Iterator["LogReader"]:
    from streams.clients import LogReader
    from streams.topics import Topic, topic_name

    topic = topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)
    try:
        reader = LogReader(settings.broker, settings.broker.bootstrap_servers, [topic])
    except LookupError as error:
        raise CommandError(str(error), ExitCode.UNREACHABLE) from error
    with reader:
        yield reader


def _letters(reader: "LogReader") -> "list[DeadLetter]":
    from streams.dead_letters import list_dead_letters

    return list_dead_letters(reader)


def _chosen(letters: "list[DeadLetter]", ids: list[str]) -> "list[DeadLetter]":
    from streams.dead_letters import choose

    try:
        return choose(letters, ids)
    except LookupError as error:
        raise CommandError(str(error.args[0]), ExitCode.UNREACHABLE) from error


def _about(letter: "DeadLetter") -> dict[str, Any]:
    return {
        "id": letter.id,
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "attempts": letter.attempts,
        "error": letter.error_class,
        "reason": letter.reason,
        "first_failed_at": datetime.fromtimestamp(letter.first_failed_at, UTC).isoformat(),
        "bytes": len(letter.record.value or b""),
    }


def _content(letter: "DeadLetter") -> dict[str, Any]:
    import msgspec

    from streams.codec import DecodeError, decode_by_schema

    record = letter.record
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if "dead_letter." not in name}
    try:
        body: Any = msgspec.to_builtins(decode_by_schema(record.value, record.headers))
    except DecodeError as error:
        body = {"does_not_decode": str(error), "hex": (record.value or b"")[:4096].hex()}
    return {"key": (record.key or b"").decode("utf-8", "replace"), "headers": headers, "body": body}
