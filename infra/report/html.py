"""`report.html`: one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from infra.report import figures, sections
from infra.report.collect import AFTER, BEFORE, RunRecord
from infra.report.markup import picture, section, text

FILE_NAME = "report.html"
FIGURES_FOLDER = "figures"


def render(
    summary: Mapping[str, Any], record: RunRecord, pictures: Mapping[str, bytes | None], places: Mapping[str, str]
) -> str:
    """The whole page. `pictures` as `draw` returns them; `places`: what -> path."""
    evaluated = [response for response in record.responses if response.label in (BEFORE, AFTER)]
    body = [
        sections.heading(summary),
        sections.heldout(summary, picture(pictures["heldout"], "held-out scores before and after, by domain")),
        section(
            "Learning",
            "Rewards are those of the training groups, at the version whose step consumed them. Held-out points are "
            "measured beside training (selector.eval_every_versions), at the version that they waited for.",
            picture(pictures["heldout_curve"], "held-out score by version"),
            picture(pictures["reward"], "training reward by domain"),
            picture(pictures["learner"], "entropy, clipping, loss and gradient norm"),
        ),
        sections.samples(record),
        sections.diversity(evaluated) if evaluated else "",
        sections.selection(record.selections, record.prompts),
        sections.calibration(summary),
        sections.preparation(summary),
        sections.machinery(
            summary,
            [
                picture(pictures["outcomes"], "groups by outcome, and staleness"),
                picture(pictures["throughput"], "tokens a second"),
            ],
        ),
        sections.audit(summary),
        sections.places(places),
    ]
    template = (resources.files("infra.report") / "page.html").read_text(encoding="utf-8")
    return Template(template).substitute(title=text(f"Rewardstream run {summary['run']}"), body="\n".join(body))


def draw(
    summary: Mapping[str, Any], record: RunRecord, history: Sequence[Mapping[str, Any]]
) -> dict[str, bytes | None]:
    """PNG bytes by name; None where there is nothing to draw."""
    return {
        "heldout": figures.heldout(summary["heldout"]),
        "heldout_curve": figures.heldout_curve(summary["heldout_by_version"]),
        "reward": figures.reward(record.groups),
        "learner": figures.learner(history),
        "outcomes": figures.outcomes(record.groups),
        "throughput": figures.throughput(history),
    }


def write(
    folder: Path,
    summary: Mapping[str, Any],
    record: RunRecord,
    history: Sequence[Mapping[str, Any]],
    places: Mapping[str, str],
) -> Path:
    """Write report.html, and its pictures beside it. Raises OSError."""
    pictures = draw(summary, record, history)
    (folder / FIGURES_FOLDER).mkdir(exist_ok=True)
    for name, png in pictures.items():
        if png is not None:
            (folder / FIGURES_FOLDER / f"{name}.png").write_bytes(png)
    path = folder / FILE_NAME
    path.write_text(render(summary, record, pictures, places), encoding="utf-8")
    return path
