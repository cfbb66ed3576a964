"""`rewardstream score FILE`: verdicts on the responses in a file, without a run."""

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, Recipe, Set, resolve
from infra.settings.tree import Settings

STDIN = Path("-")
WIDTH = 100


def score(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(help="JSONL of {scorer, reference, prompt, response, options}; - reads standard input."),
    ] = None,
    list_scorers: Annotated[
        bool, typer.Option("--list", help="List every scorer with its policy and options; score nothing.")
    ] = False,
    as_json: AsJson = False,
    recipe: Recipe = None,
    assignments: Set = None,
) -> None:
    """Score responses: one JSON verdict per line, in order. A line that cannot be read gets a verdict that says why.

    It needs no broker and no database. `rewardstream score --list` names the scorers and their options.

    Exit code 0: every line was judged. 4: at least one verdict is infra_error (score null), and its `why` says what to
    correct. 2: wrong options or settings. 3: FILE cannot be read.
    """
    settings = resolve(recipe, assignments).settings
    if list_scorers:
        _print_scorers(as_json=as_json)
    elif file is None:
        raise CommandError(
            "FILE is missing: a JSONL file, or - for standard input; --list names the scorers", ExitCode.USAGE
        )
    elif file == STDIN:
        _print_verdicts(sys.stdin.buffer, settings)
    else:
        try:
            lines = file.open("rb")
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}", ExitCode.UNREACHABLE) from error
        with lines:
            _print_verdicts(lines, settings)


def _print_verdicts(lines: BinaryIO, settings: Settings) -> None:
    """Raises typer.Exit if a line has no verdict."""
    from workers.scoring.offline import score_lines
    from workers.scoring.score_request import MAX_LINE

    judged = True
    for verdict in score_lines(_cut_long_lines(lines, MAX_LINE), settings):
        print(verdict, flush=True)
        judged = judged and json.loads(verdict)["score"] is not None
    if not judged:
        raise typer.Exit(ExitCode.NO_VERDICT)


def _cut_long_lines(lines: BinaryIO, most: int) -> Iterator[bytes]:
    """The lines, each cut one byte after `most`, so that a long line cannot fill the memory."""
    while line := lines.readline(most + 1):
        yield line
        while len(line) > most and not line.endswith(b"\n"):
            line = lines.readline(most + 1)
            if not line:
                return


def _print_scorers(*, as_json: bool) -> None:
    from workers.scoring.offline import list_scorers

    found = list_scorers()
    if as_json:
        print(json.dumps([asdict(scorer) for scorer in found], indent=2))
        return
    for scorer in found:
        print(f"{scorer.name} {scorer.version}".strip())
        print(_wrap(scorer.policy, 2))
        for name, meaning in scorer.options.items():
            print(_wrap(f"{name}: {meaning}", 4))


def _wrap(text: str, indent: int) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
