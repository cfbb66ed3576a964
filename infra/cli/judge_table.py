"""A judge's evaluation as tables on the terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from trainer.reward_models.evaluate_judge import DomainMeasures, JudgeEvaluation

_SHOWN_PROBES = 8
_PROBE_CHARACTERS = 60


def print_evaluation(found: "JudgeEvaluation", console: Console | None = None) -> None:
    console = console or Console()
    console.print(f"{found.judge} {found.version}", highlight=False, soft_wrap=True, markup=False)
    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column("domain")
    for name in ("triples", "accuracy", "AUC", "ECE", "wrong ones\naccepted", "right ones\nrefused"):
        table.add_column(name, justify="right")
    for domain, row in [*found.domains.items(), ("overall", found.overall)]:
        table.add_row(domain, *_cells(row))
    console.print(table)
    for name, text in _lines(found):
        console.print(f"{name:<17}{text}", highlight=False, soft_wrap=True, markup=False)


def _cells(row: "DomainMeasures") -> tuple[str, ...]:
    measures = (row.accuracy, row.auc, row.ece, row.false_positive_rate, row.false_negative_rate)
    return (str(row.triples), *map(_format_rate, measures))


def _lines(found: "JudgeEvaluation") -> list[tuple[str, str]]:
    flips = found.flips
    lines = [("order flips", f"{_format_rate(flips.rate)} of {flips.pairs} pairs")]
    lines += [
        (kind.replace("_", " "), f"{_format_rate(one.rate)} of {one.judged} accepted")
        for kind, one in found.probes.items()
    ]
    for text, rate in list(found.accepted_probes.items())[:_SHOWN_PROBES]:
        shown = " ".join(text.split())[:_PROBE_CHARACTERS]
        lines.append(("  accepted", f"{shown!r} on {rate:.0%} of the questions"))
    lines.append(("off verdict", f"{found.off_verdict_mass:.3f} of the probability"))
    if found.ties:
        lines.append(("ties", f"{found.ties} triples with the label 0.5 were not judged"))
    if found.failures:
        lines.append(("failures", f"{found.failures} triples had no verdict; the first: {found.first_failure}"))
    return lines


def _format_rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
