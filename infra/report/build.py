"""A run's summary.json and report.html from what was collected.

Invariant: facts.json holds what only the command knew, so that a report can be made again, later and elsewhere.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from infra.files.replace import replace_file
from infra.report import history, html
from infra.report.collect import RunRecord
from infra.report.summary import RunFacts, summarise

SUMMARY_NAME = "summary.json"
FACTS_NAME = "facts.json"


def write_facts(folder: Path, facts: RunFacts) -> None:
    """Raises OSError."""
    replace_file(folder / FACTS_NAME, msgspec.json.encode(facts))


def read_facts(folder: Path) -> RunFacts | None:
    """None where the run never came so far."""
    try:
        return msgspec.json.decode((folder / FACTS_NAME).read_bytes(), type=RunFacts)
    except FileNotFoundError:
        return None


def write_report(folder: Path, record: RunRecord, facts: RunFacts) -> dict[str, Any]:
    """Write report.html with its pictures, then summary.json; returns the summary. Raises OSError."""
    rows = history.read(folder)
    summary = summarise(record, rows, facts)
    html.write(folder, summary, record, rows, _places(folder))
    _write_summary(folder, summary)
    return summary


def finish(folder: Path, summary: dict[str, Any], facts: RunFacts, wall_seconds: float) -> None:
    """Set the seconds from the command's start to its end, which are known last. Raises OSError."""
    write_facts(folder, replace(facts, wall_seconds=wall_seconds))
    _write_summary(folder, summary | {"wall_seconds": round(wall_seconds, 1)})


def _write_summary(folder: Path, summary: dict[str, Any]) -> None:
    replace_file(folder / SUMMARY_NAME, json.dumps(summary, indent=2).encode() + b"\n")


def _places(folder: Path) -> dict[str, str]:
    names = {
        "numbers of this page": SUMMARY_NAME,
        "time series, one JSON line every two seconds": history.FILE_NAME,
        "learner's steps, one JSON line each": "steps.jsonl",
        "settings as they were resolved": "settings.json",
        "audit of the log": "audit.json",
        "pictures of this page": html.FIGURES_FOLDER,
        "logs of the processes": "logs",
        "policy versions": "versions",
        "learner's checkpoints": "checkpoints",
    }
    return {what: name for what, name in names.items() if name == SUMMARY_NAME or (folder / name).exists()}
