"""Renders a view as a rich screen, and as one plain line."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from infra.screen.view import View

_MIB = 2**20
_SIDES = (("processes", "groups"), ("scores", "topics"))
"""The panels of a terminal that is wide enough, left and right."""
_MOST_ADVICE = 3
"""The most urgent ones; `rewardstream why RUN` shows all."""
_STATE_STYLES = {"running": "green", "waiting": "yellow", "stopped": "dim"}
_PHASES = {
    "eval_before": "evaluation before training",
    "preppo": "Pre-PPO prompt selection",
    "train": "training",
    "drain": "waiting for groups in flight",
    "eval_after": "evaluation after training",
}
_OUTCOME_STYLES = {
    "trained": "green",
    "filtered": "bright_black",
    "stale": "yellow",
    "expired": "yellow",
    "failed": "red",
    "open": "cyan",
}


def screen(view: View) -> RenderableType:
    return _Screen(view)


@dataclass(frozen=True, slots=True)
class _Screen:
    """The view on a terminal of any size. If it has no room for every part, the less important ones are left out whole
    and named, so that nothing is cut without a hint.
    """

    view: View

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def lines(part: RenderableType) -> int:
            return len(console.render_lines(part, options.update(height=None), pad=False))

        view = self.view
        head = Group(_header(view), *_advice(view))
        panels = {
            "scores": _panel("scores", _domains(view)),
            "groups": _panel("groups", _groups(view)),
            "processes": _panel("processes", _processes(view)),
            "topics": _panel("topics", _topics(view)),
        }
        left, right = (Group(*(panels[name] for name in names)) for names in _SIDES)
        whole = Group(head, Columns([left, right], padding=(0, 1)))
        if lines(whole) <= console.height:
            yield whole
            return
        yield head
        room, hidden = console.height - lines(head) - 1, []
        for name, panel in panels.items():
            if lines(panel) <= room:
                yield panel
                room -= lines(panel)
            else:
                hidden.append(name)
        if hidden:
            yield Text(f"no room for {', '.join(hidden)}: enlarge the terminal", "yellow")


def line(view: View, told: Collection[str] = ()) -> str:
    """Returns the view as one line for a log, with the advisories below it whose kinds have not been told."""
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(view.outcomes.items())) or "none yet"
    rewards = _rewards([(row.domain, row.reward) for row in view.domains])
    of_all = _rewards([(row.domain, row.all_groups) for row in view.domains])
    of_all = f" (all groups: {of_all})" if of_all else ""
    advice = "".join(f"\n  ! {advisory}" for advisory in view.advice[:_MOST_ADVICE] if advisory.kind not in told)
    restarts = sum(row.restarts for row in view.processes)
    return (
        f"{clock(view.elapsed)} {phase_text(view.phase)} | version {view.version} | groups: {outcomes} | "
        f"reward: {rewards or '-'}{of_all} | generated {view.generated_rate:.0f} tok/s, "
        f"trained {view.trained_rate:.0f} tok/s | restarts {restarts}{advice}"
    )


def _rewards(by_domain: Sequence[tuple[str, float | None]]) -> str:
    return ", ".join(f"{domain} {reward:.2f}" for domain, reward in by_domain if reward is not None)


def phase_text(phase: str) -> str:
    return _PHASES.get(phase, phase)


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _header(view: View) -> Text:
    return Text.assemble(
        ("Rewardstream ", "bold"),
        f"run {view.run_id}  ",
        (phase_text(view.phase), "bold cyan"),
        f"  {clock(view.elapsed)}  policy version {view.version}  ",
        f"generated {view.generated_rate:.0f} tok/s, trained on {view.trained_rate:.0f} tok/s\n",
        (f"page: {view.page}  " if view.page else "", "dim"),
        (f"broker: {view.broker}", "dim"),
    )


def _advice(view: View) -> list[Text]:
    return [Text(f"! {advisory}", "yellow") for advisory in view.advice[:_MOST_ADVICE]]


def _panel(title: str, table: RenderableType) -> Panel:
    return Panel(table, title=title, title_align="left", border_style="bright_black", padding=(0, 1))


def _table(*columns: str, left: int = 1) -> Table:
    """The first `left` columns are aligned to the left, as text; the others to the right, as numbers."""
    table = Table(box=None, header_style="bright_black", padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    return table


def _processes(view: View) -> Table:
    table = Table(box=None, header_style="bright_black", padding=(0, 1, 0, 0))
    for name in ("", "state", "pid", "cores", "MiB", "restarts", "activity"):
        numeric = name in ("pid", "cores", "MiB", "restarts")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in view.processes:
        table.add_row(
            row.name,
            Text(row.state, _STATE_STYLES.get(row.state, "")),
            str(row.pid or "-"),
            f"{row.cpu_cores:.2f}",
            f"{row.memory_bytes / _MIB:.0f}",
            Text(str(row.restarts), "yellow" if row.restarts else "dim"),
            row.activity,
        )
    return table


def _topics(view: View) -> Table:
    table = _table("topic", "read by", "records/s", "lag", left=2)
    for row in view.topics:
        lag = "-" if row.lag is None else f"{row.lag:.0f}"
        table.add_row(row.topic, row.stage, f"{row.rate:.1f}", lag)
    return table


def _domains(view: View) -> Table:
    labels = list(dict.fromkeys(label for row in view.domains for label in row.heldout))
    table = _table("domain", "asked", "trained", "reward", "all groups", *(f"held-out {label}" for label in labels))
    for row in view.domains:
        scores = (f"{row.heldout[label]:.3f}" if label in row.heldout else "" for label in labels)
        shares = ("" if share is None else f"{share:.0%}" for share in (row.asked, row.trained))
        rewards = ("" if reward is None else f"{reward:.2f}" for reward in (row.reward, row.all_groups))
        table.add_row(row.domain, *shares, *rewards, *scores)
    return table


def _groups(view: View) -> RenderableType:
    counts = Text("  ").join(
        Text(f"{count} {name}", _OUTCOME_STYLES.get(name, "")) for name, count in sorted(view.outcomes.items())
    )
    reasons = ", ".join(f"{count} {name}" for name, count in sorted(view.reasons.items()))
    return Group(
        counts,
        Text(f"filtered because of: {reasons or '-'}", "dim"),
        Text(f"staleness of trained groups: {_staleness(view.staleness)}", "dim"),
    )


def _staleness(staleness: Mapping[int, int]) -> str:
    total = sum(staleness.values())
    ages = (f"{count / total:.0%} at {age}" for age, count in sorted(staleness.items()))
    return f"{', '.join(ages)} (versions)" if total else "-"
