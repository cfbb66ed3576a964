"""A view as a rich screen, and as one plain line."""

from collections.abc import Mapping

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from infra.screen.view import View

_MIB = 2**20
_STATE_STYLES = {"running": "green", "waiting": "yellow", "stopped": "dim"}
_OUTCOME_STYLES = {
    "trained": "green",
    "filtered": "bright_black",
    "stale": "yellow",
    "expired": "yellow",
    "failed": "red",
    "open": "cyan",
}


def screen(view: View) -> RenderableType:
    left = Group(_panel("processes", _processes(view)), _panel("groups", _groups(view)))
    right = Group(_panel("scores", _domains(view)), _panel("topics", _topics(view)))
    return Group(_header(view), Columns([left, right], padding=(0, 1)))


def line(view: View) -> str:
    """For a log: everything that matters in one line."""
    outcomes = " ".join(f"{name}={count}" for name, count in sorted(view.outcomes.items())) or "no groups yet"
    rewards = " ".join(f"{row.domain}={row.reward:.2f}" for row in view.domains if row.reward is not None)
    restarts = sum(row.restarts for row in view.processes)
    return (
        f"{clock(view.elapsed)} {view.phase} version={view.version} {outcomes} | reward {rewards or '-'} | "
        f"generated {view.generated_rate:.0f} tok/s, trained {view.trained_rate:.0f} tok/s | restarts {restarts}"
    )


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _header(view: View) -> Text:
    return Text.assemble(
        ("Rewardstream ", "bold"),
        f"run {view.run_id}  ",
        (view.phase.replace("_", " "), "bold cyan"),
        f"  {clock(view.elapsed)}  version {view.version}  ",
        f"generated {view.generated_rate:.0f} tok/s  trained {view.trained_rate:.0f} tok/s\n",
        (f"broker: {view.broker}", "dim"),
    )


def _panel(title: str, table: RenderableType) -> Panel:
    return Panel(table, title=title, title_align="left", border_style="bright_black", padding=(0, 1))


def _table(*columns: str, left: int = 1) -> Table:
    """The first `left` columns are text, the others numbers."""
    table = Table(box=None, header_style="bright_black", padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    return table


def _processes(view: View) -> Table:
    table = Table(box=None, header_style="bright_black", padding=(0, 1, 0, 0))
    for name in ("", "state", "pid", "cpu", "MiB", "died", "doing"):
        table.add_column(name, justify="right" if name in ("pid", "cpu", "MiB", "died") else "left", no_wrap=True)
    for row in view.processes:
        table.add_row(
            row.name,
            Text(row.state, _STATE_STYLES.get(row.state, "")),
            str(row.pid or "-"),
            f"{row.cpu_cores:.2f}",
            f"{row.memory_bytes / _MIB:.0f}",
            Text(str(row.restarts), "yellow" if row.restarts else "dim"),
            row.doing,
        )
    return table


def _topics(view: View) -> Table:
    table = _table("topic", "read by", "per s", "lag", left=2)
    for row in view.topics:
        lag = "-" if row.lag is None else f"{row.lag:.0f}"
        table.add_row(row.topic, row.stage, f"{row.rate:.1f}", lag)
    return table


def _domains(view: View) -> Table:
    labels = list(dict.fromkeys(label for row in view.domains for label in row.heldout))
    table = _table("domain", "reward", *(f"held out {label}" for label in labels))
    for row in view.domains:
        scores = (f"{row.heldout[label]:.3f}" if label in row.heldout else "" for label in labels)
        table.add_row(row.domain, "" if row.reward is None else f"{row.reward:.2f}", *scores)
    return table


def _groups(view: View) -> RenderableType:
    counts = Text("  ").join(
        Text(f"{name} {count}", _OUTCOME_STYLES.get(name, "")) for name, count in sorted(view.outcomes.items())
    )
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(view.reasons.items()))
    return Group(
        counts, Text(f"filtered: {reasons or '-'}", "dim"), Text(f"staleness: {_staleness(view.staleness)}", "dim")
    )


def _staleness(staleness: Mapping[int, int]) -> str:
    total = sum(staleness.values())
    return "  ".join(f"{age}: {count / total:.0%}" for age, count in sorted(staleness.items())) if total else "-"
