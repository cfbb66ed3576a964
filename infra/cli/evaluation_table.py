"""The result of an evaluation as tables on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 140
"""Characters of the widest table: a name, and three metrics with intervals and p-values."""
_CUT_OFF_TOLD = 0.05
"""Above this fraction, a low score may say that the token limit is too low for the set."""


def print_evaluation(summary: Mapping[str, Any], console: Console | None = None) -> None:
    console = console or _console()
    for model in summary["models"]:
        console.print(_heading(model), highlight=False, soft_wrap=True)
        console.print(_scores(summary, model))
    if summary["comparison"] is not None:
        compared = summary["comparison"]
        console.print(f"{compared['second']} minus {compared['first']}, by prompt", highlight=False, soft_wrap=True)
        console.print(_differences(summary, compared))
    for name in ("folder", "picture"):
        console.print(f"{name:<10} {summary[name] or 'none'}", highlight=False, soft_wrap=True)


def _console() -> Console:
    """The terminal; a pipe has no width, and gets whole lines."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _heading(model: Mapping[str, Any]) -> str:
    source = f", version {model['version']} of run {model['source_run']}" if model["source_run"] else ""
    done = f"{model['rollouts']} responses generated in {model['seconds']:g} s" if model["run"] else "nothing generated"
    lacking = "".join(
        f"; {model[name]} prompts {what}"
        for name, what in (("missing", "without a result"), ("unscorable", "that nothing can score"))
        if model[name]
    )
    cut_off = (model["cut_off"] or 0) > _CUT_OFF_TOLD
    lacking += f"; {model['cut_off']:.0%} of the responses reached rollout.sampling.max_new_tokens" if cut_off else ""
    return f"{model['model']}{source}: {done}{lacking}"


def _scores(summary: Mapping[str, Any], model: Mapping[str, Any]) -> Table:
    table = _table("", "prompts", *summary["metrics"])
    for row in model["rows"]:
        cells = (row["metrics"].get(name) for name in summary["metrics"])
        table.add_row(_name(row), str(row["prompts"]), *(_between(cell, "value", "") for cell in cells))
    return table


def _differences(summary: Mapping[str, Any], compared: Mapping[str, Any]) -> Table:
    table = _table("", "prompts", *(column for name in summary["metrics"] for column in (name, "p")))
    for row in compared["rows"]:
        cells: list[str | Text] = []
        for name in summary["metrics"]:
            found = row["metrics"].get(name)
            style = "" if found is None else "green" if found["ci95"][0] > 0 else "red" if found["ci95"][1] < 0 else ""
            cells += [Text(_between(found, "difference", "+"), style), "-" if found is None else f"{found['p']:.2g}"]
        table.add_row(_name(row), str(row["prompts"]), *cells)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _name(row: Mapping[str, Any]) -> str:
    prefix = "" if row["kind"] == "overall" else f"{row['kind']}: "
    return prefix + str(row["name"]).replace("_", " ")


def _between(cell: Mapping[str, Any] | None, value: str, sign: str) -> str:
    if cell is None:
        return "-"
    low, high = cell["ci95"]
    return f"{cell[value]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
