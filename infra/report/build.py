"""Writes a run's summary.json and report.html, and the summary and picture of a rescore and of an evaluation.

Invariant: facts.json holds what only the command knew, so a report can be made again later and elsewhere. Each file is
replaced as a whole.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from infra.files.replace import replace_file
from infra.report import figures, history
from infra.report.collect import RunRecord
from infra.report.evaluation_figure import evaluation
from infra.report.hacking_figure import hacking_curves
from infra.report.render_page import render
from infra.report.rescored_figure import changes
from infra.report.summary import RunFacts, summarise

SUMMARY_NAME = "summary.json"
FACTS_NAME = "facts.json"
PAGE_NAME = "report.html"
FIGURES_FOLDER = "figures"
CHANGES_NAME = "changes.png"
EVALUATION_NAME = "evaluation.json"
EVALUATION_PICTURE = "evaluation.png"


def write_facts(folder: Path, facts: RunFacts) -> None:
    """Raises OSError."""
    replace_file(folder / FACTS_NAME, msgspec.json.encode(facts))


def read_facts(folder: Path) -> RunFacts | None:
    """None if the run ended before it wrote them."""
    try:
        return msgspec.json.decode((folder / FACTS_NAME).read_bytes(), type=RunFacts)
    except FileNotFoundError:
        return None


def write_report(folder: Path, record: RunRecord, facts: RunFacts) -> dict[str, Any]:
    """Writes report.html with its pictures, then summary.json; returns the summary. Raises OSError."""
    rows = history.read(folder)
    summary = summarise(record, rows, facts)
    write_page(folder, summary, record, rows, _files_of(folder))
    _write_summary(folder, summary)
    return summary


def write_page(
    folder: Path,
    summary: Mapping[str, Any],
    record: RunRecord,
    rows: Sequence[Mapping[str, Any]],
    files: Mapping[str, str],
) -> Path:
    """Writes report.html, and its pictures also as files. `files`: description -> path. Raises OSError."""
    pictures = {
        "heldout": figures.heldout(summary["heldout"]),
        "heldout_curve": figures.heldout_curve(summary["heldout_by_version"]),
        "reward": figures.reward(record.groups),
        "shares": figures.shares(record.groups, record.domain_shares),
        "hacking": hacking_curves(summary["hacking"]),
        "learner": figures.learner(rows),
        "outcomes": figures.outcomes(record.groups),
        "throughput": figures.throughput(rows),
    }
    (folder / FIGURES_FOLDER).mkdir(exist_ok=True)
    for name, png in pictures.items():
        if png is not None:
            replace_file(folder / FIGURES_FOLDER / f"{name}.png", png)
    path = folder / PAGE_NAME
    replace_file(path, render(summary, record, pictures, files).encode())
    return path


def finish(folder: Path, summary: dict[str, Any], facts: RunFacts, wall_seconds: float) -> None:
    """Sets the seconds from the command's start to its end, which are known last. Raises OSError."""
    write_facts(folder, replace(facts, wall_seconds=wall_seconds))
    _write_summary(folder, summary | {"wall_seconds": round(wall_seconds, 1)})


def write_rescore(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Writes summary.json of a rescore and its picture; returns the summary with their paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = changes(summary)
    if picture is not None:
        replace_file(folder / CHANGES_NAME, picture)
    placed = summary | {"folder": str(folder), "picture": None if picture is None else str(folder / CHANGES_NAME)}
    _write_summary(folder, placed)
    return placed


def write_evaluation(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Writes an evaluation and its picture; returns the summary with their paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = evaluation(summary)
    if picture is not None:
        replace_file(folder / EVALUATION_PICTURE, picture)
    place = None if picture is None else str(folder / EVALUATION_PICTURE)
    placed = summary | {"folder": str(folder), "picture": place}
    replace_file(folder / EVALUATION_NAME, json.dumps(placed, indent=2).encode() + b"\n")
    return placed


def _write_summary(folder: Path, summary: dict[str, Any]) -> None:
    replace_file(folder / SUMMARY_NAME, json.dumps(summary, indent=2).encode() + b"\n")


def _files_of(folder: Path) -> dict[str, str]:
    names = {
        "numbers of this page": SUMMARY_NAME,
        "time series, one JSON line every two seconds": history.FILE_NAME,
        "learner's steps, one JSON line per step": "steps.jsonl",
        "resolved settings": "settings.json",
        "audit of the log": "audit.json",
        "pictures of this page": FIGURES_FOLDER,
        "logs of the processes": "logs",
        "policy versions": "versions",
        "learner's checkpoints": "checkpoints",
    }
    return {what: name for what, name in names.items() if name == SUMMARY_NAME or (folder / name).exists()}
