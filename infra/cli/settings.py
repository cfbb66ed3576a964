"""`rewardstream settings [NAME]`: every option with its meaning, unit, default and allowed values."""

import json
import textwrap
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import AsJson
from infra.settings.load import suggest
from infra.settings.reference import SectionReference, describe_settings, matching, to_json

_LONGEST_LINE = 100
_INDENT = 4 * " "


def settings(
    *,
    name: Annotated[
        str | None,
        typer.Argument(help="An option (learner.kl.coefficient), a section (learner.kl), or a part of a name (kl)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every option, or those that NAME means: meaning, unit, default and allowed values.

    `--dry-run` of a command prints the values that it would run with, and the source of each.
    """
    sections = describe_settings()
    found = sections if name is None else matching(name, sections)
    if not found:
        raise CommandError(f"no setting has {name!r} in its name; {suggest(name or '')}", ExitCode.USAGE)
    if as_json:
        print(json.dumps(to_json(found), indent=2))
    else:
        print_settings(found)


def print_settings(sections: Sequence[SectionReference], console: Console | None = None) -> None:
    console = console or Console()
    width = min(console.width, _LONGEST_LINE)
    for section in sections:
        _print_filled(console, Text(section.path, "bold"), f": {section.meaning}", width)
        for setting in section.settings:
            console.print(Text.assemble((setting.path, "cyan"), f" = {setting.default_text}"), soft_wrap=True)
            unit = f"; unit: {setting.unit}" if setting.unit else ""
            _print_filled(console, Text(_INDENT), f"{setting.allowed}{unit}", width, "bright_black")
            _print_filled(console, Text(_INDENT), setting.meaning, width)
        console.print()


def _print_filled(console: Console, start: Text, text: str, width: int, style: str = "") -> None:
    """`text` behind `start`, in lines of at most `width` characters; the later ones begin with the indent."""
    filled = textwrap.fill(f"{start.plain}{text}", width, subsequent_indent=_INDENT, break_on_hyphens=False)
    console.print(start + Text(filled[len(start) :], style), soft_wrap=True)
