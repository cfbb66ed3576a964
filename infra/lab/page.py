"""An experiment's page in Markdown, with its table and its picture: the result as it came out.

Invariant: every number on the page is computed from the results; a page of fewer seeds than planned says so.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from infra.files.replace import replace_file
from infra.lab.experiment import Experiment, Findings, Results, Row
from infra.lab.statistics import FEWEST
from infra.report.style import png

_SIZE = (7.2, 3.6)
"""Inches."""


def write_page(experiment: Experiment, results: Results, out: Path) -> Path:
    """Writes NAME.md and NAME.png; returns the page."""
    out.mkdir(parents=True, exist_ok=True)
    findings = experiment.conclude(results)
    figure = Figure(figsize=_SIZE, layout="constrained")
    findings.draw(figure)
    replace_file(out / f"{experiment.name}.png", png(figure, *figure.axes))
    page = out / f"{experiment.name}.md"
    replace_file(page, page_text(experiment, results, findings).encode())
    return page


def page_text(experiment: Experiment, results: Results, findings: Findings) -> str:
    parts = [
        f"# {experiment.title}",
        experiment.question,
        "\n".join([f"**{_heading(results)}.** {findings.sentences[0]}", *findings.sentences[1:]]),
        f"![{experiment.title}]({experiment.name}.png)",
        table(findings.rows),
        experiment.method,
        _made_from(experiment, results),
        f"    rewardstream experiment {experiment.name}",
    ]
    return "\n\n".join(parts) + "\n"


def _heading(results: Results) -> str:
    few = min(map(len, results.values())) < FEWEST
    return f"Preliminary result, with fewer than {FEWEST} seeds in an arm" if few else "Result"


def table(rows: Sequence[Row]) -> str:
    """Markdown; the columns are those of the first row, the first of them left-aligned."""
    columns = list(rows[0])
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([row[name] for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _made_from(experiment: Experiment, results: Results) -> str:
    runs = [run for own in results.values() for run in own.values()]
    fewest, most = min(map(len, results.values())), max(map(len, results.values()))
    seeds = f"{most} seed{'s' if most > 1 else ''}" if fewest == most else f"{fewest} to {most} seeds"
    text = (
        f"The page is made from {len(runs)} runs, {seeds} per arm; intervals are 95 %, by bootstrap over the "
        f"seeds. A run took {fmean(run.cpu_seconds for run in runs):.0f} seconds of CPU on average."
    )
    if fewest < FEWEST:
        text += f" Values without an interval come from fewer than {FEWEST} seeds, and say little."
    missing = [arm.name for arm in experiment.arms if arm.name not in results]
    if missing:
        text += f" Not run yet: {', '.join(missing)}."
    if fewest < experiment.seeds:
        text += f" {experiment.seeds} seeds are planned: the same command makes the missing runs."
    return text
