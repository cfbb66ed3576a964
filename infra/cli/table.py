"""The table that is printed at the end of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_summary(summary: Mapping[str, Any], folder: Path, console: Console | None = None) -> None:
    console = console or Console()
    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column("held out")
    for name in ("base", "before", "after", "delta", "95 % interval"):
        table.add_column(name, justify="right")
    results = summary["heldout"]
    for domain, row in [*results["by_domain"].items(), ("overall", results["overall"])]:
        interval = row["delta_ci95"]
        between = f"[{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else "-"
        style = "green" if interval and interval[0] > 0 else "red" if interval and interval[1] < 0 else ""
        scores = (_format_score(row[name]) for name in ("base", "before", "after"))
        delta = "-" if row["delta"] is None else f"{row['delta']:+.3f}"
        table.add_row(domain, *scores, Text(delta, style), Text(between, style))
    console.print(table)
    for line in _summary_lines(summary, folder):
        console.print(line, highlight=False, soft_wrap=True)


def _summary_lines(summary: Mapping[str, Any], folder: Path) -> list[str]:
    groups = ", ".join(f"{count} {outcome}" for outcome, count in summary["groups"].items())
    staleness = ", ".join(f"{name} {_format_number(value)}" for name, value in summary["staleness"].items())
    phases = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in summary["phase_seconds"].items())
    return [
        f"groups     {groups}",
        f"staleness  {staleness} versions",
        f"time       {summary['wall_seconds']:.0f} s in all: {phases}",
        f"restarts   {summary['restarts']}",
        f"broker     {summary['broker']}",
        f"report     {folder / 'report.html'}",
        *(f"! {advisory['what']}: {advisory['mend']}" for advisory in summary["advice"]),
    ]


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _format_score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
