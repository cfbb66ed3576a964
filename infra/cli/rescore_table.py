"""The result of a rescore as tables on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WHY_CHARACTERS = 100
_ID_CHARACTERS = 12
"""Length to which `rewardstream prompts list` shortens ids; `prompts explain` accepts such a beginning."""


def print_plan(plan: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints what a dry run found."""
    console = console or Console()
    table = _make_table("domain", "to score", "scored already")
    domains = sorted({*plan["to_score"], *plan["scored_already"]})
    for domain in domains:
        table.add_row(domain, str(plan["to_score"].get(domain, 0)), str(plan["scored_already"].get(domain, 0)))
    console.print(f"{plan['scorer']} over run {plan['run']}: nothing was written", highlight=False)
    console.print(table)
    _print_line(console, "left out", _join_counts(plan["passed_over"]))
    if plan["unreadable"]:
        _print_line(
            console, "unreadable", f"{plan['unreadable']} records of the log; see `rewardstream dead-letters list`"
        )


def print_changes(summary: Mapping[str, Any], console: Console | None = None) -> None:
    console = console or Console()
    old = ", ".join(f"{name} ({count})" for name, count in summary["old_scorers"].items())
    heading = f"{summary['scorer']} over run {summary['run']}, against {old or 'nothing'}"
    console.print(heading, highlight=False, soft_wrap=True)
    console.print(_domain_table(summary))
    if summary["movers"]:
        console.print(_mover_table(summary))
    groups, done = summary["groups"], summary["this_time"]
    _print_line(
        console,
        "groups",
        f"{groups['now_filtered']} trained on before would be filtered now, {groups['now_trained']} filtered before "
        f"would be trained on; {groups['trained_by_both']} trained, {groups['filtered_by_both']} filtered by both; "
        f"{groups['incomplete']} not scored whole",
    )
    _print_line(
        console,
        "this time",
        f"{done['scored']} scored in {done['seconds']:g} s, {done['scored_already']} had been scored already, "
        f"{done['unscored']} could not be scored, {done['rows']} new rows in Postgres",
    )
    _print_line(console, "left out", _join_counts(done["passed_over"]))
    if done["unreadable"]:
        _print_line(
            console, "unreadable", f"{done['unreadable']} records of the log; see `rewardstream dead-letters list`"
        )
    _print_line(console, "topic", summary["topic"])
    _print_line(console, "picture", summary["picture"] or "none: no rollout has both scores")


def _domain_table(summary: Mapping[str, Any]) -> Table:
    names = ["rollouts", "old", "new", "became\nright", "became\nwrong", "unchanged", "unscored"]
    mended = summary["overall"]["was_unscored"] > 0
    table = _make_table("domain", *names, *(["had no\nscore"] if mended else []))
    for domain, row in [*summary["by_domain"].items(), ("overall", summary["overall"])]:
        table.add_row(
            domain,
            str(row["rollouts"]),
            _format_score(row["old_mean"]),
            _format_score(row["new_mean"]),
            Text(str(row["became_right"]), "green" if row["became_right"] else ""),
            Text(str(row["became_wrong"]), "red" if row["became_wrong"] else ""),
            str(row["unchanged"]),
            Text(str(row["unscored"]), "red" if row["unscored"] else ""),
            *([str(row["was_unscored"])] if mended else []),
        )
    return table


def _mover_table(summary: Mapping[str, Any]) -> Table:
    table = _make_table("moved most", "domain", "rollouts", "old", "new")
    table.add_column("why", no_wrap=True)
    for move in summary["movers"]:
        scores = (f"{move['old_mean']:.3f}", f"{move['new_mean']:.3f}")
        table.add_row(
            move["prompt_id"][:_ID_CHARACTERS], move["domain"], str(move["rollouts"]), *scores, _shorten(move["why"])
        )
    return table


def _make_table(first: str, *names: str) -> Table:
    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    return table


def _print_line(console: Console, name: str, text: str) -> None:
    console.print(f"{name:<11}{text}", highlight=False, soft_wrap=True, markup=False)


def _join_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WHY_CHARACTERS else f"{line[: _WHY_CHARACTERS - 1]}…"


def _format_score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
