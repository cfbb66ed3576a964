"""`rewardstream score FILE`: verdicts on responses from a file, without a run."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson, Recipe, Set, resolve


def score(
    *,
    file: Annotated[Path, typer.Argument(help="JSONL of {scorer, reference, prompt, response, options}.")],
    recipe: Recipe = None,
    assignments: Set = None,
) -> None:
    """Score responses: one JSON verdict a line, in order. A line that cannot be read is a verdict that says why.

    `rewardstream scorers` lists what may be asked for.
    """
    settings = resolve(recipe, assignments).settings
    from workers.scoring_file import score_lines

    try:
        lines = file.open("rb")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", ExitCode.UNREACHABLE) from error
    with lines:
        for verdict in score_lines(lines, settings):
            print(verdict, flush=True)


def scorers(*, as_json: AsJson = False) -> None:
    """The scorers that are installed: name, version, and which answers count."""
    from workers.scoring_file import list_scorers

    found = list_scorers()
    if as_json:
        print(json.dumps([asdict(scorer) for scorer in found], indent=2))
        return
    for scorer in found:
        print(f"{scorer.name} {scorer.version}".strip())
        print(f"  {scorer.policy}")
